"""Which controller ``latchctl`` is about."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.errors import ConfigError

if TYPE_CHECKING:
    from daemon.config.site import Site

DEFAULT_SOCKET = Path("/run/latchd/control.sock")


@dataclass(frozen=True, slots=True)
class Target:
    """Which controller is meant: its site file, and its sockets."""

    config: Path
    socket: Path | None

    def site(self) -> Site:
        """The site file, without its secrets: a technician may not read those."""
        from daemon.config.load import load_site

        return load_site(self.config, secrets=None)

    def control(self) -> Path:
        """The socket of the doors process.

        The rest of the site file is not looked at: a daemon that runs can be asked while somebody edits it.
        """
        if self.socket is not None:
            return self.socket
        if not self.config.exists():
            return DEFAULT_SOCKET
        try:
            control = tomllib.loads(self.config.read_text(encoding="utf-8")).get("control", {})
        except OSError as error:
            raise ConfigError(f"{self.config} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{self.config} is not valid TOML: {error}") from None
        socket = control.get("socket") if isinstance(control, dict) else None
        return Path(socket) if isinstance(socket, str) else DEFAULT_SOCKET
