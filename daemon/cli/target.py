"""Which controller ``latchctl`` is about."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cache.errors import CacheError, JournalError
from daemon.cli.common import DEFAULT_CONFIG
from daemon.config.bounds import DOORS_SOCKET, SYNC_SOCKET
from daemon.errors import ConfigError

if TYPE_CHECKING:
    from daemon.config.site import Site


@dataclass(frozen=True, slots=True)
class Target:
    """Which controller is meant: its site file, and its sockets."""

    config: Path
    socket: Path | None

    def site(self) -> Site:
        """Read the site file without its secrets, which a technician may not read."""
        from daemon.config.load import load_site

        return load_site(self.config, secrets=None)

    def control(self) -> Path:
        """The socket of the doors process.

        The rest of the site file is not read, so that a daemon can be asked while the file is being edited.
        """
        return self.socket if self.socket is not None else self._said("socket", Path(DOORS_SOCKET))

    def sync_control(self) -> Path:
        """The socket of the sync process, found in the same way."""
        return self._said("sync_socket", Path(SYNC_SOCKET))

    @contextmanager
    def without_daemon(self) -> Iterator[Site]:
        """Return the site, to read the files because no daemon answers.

        An error then says first that no daemon answers.
        """
        try:
            yield self.site()
        except (ConfigError, CacheError, JournalError) as error:
            kind = next(kind for kind in (ConfigError, CacheError, JournalError) if isinstance(error, kind))
            raise kind(f"no daemon answers at {self.control()}, and the files cannot be used: {error}") from error

    def _said(self, key: str, default: Path) -> Path:
        """Return the path in ``[control]``, else the default.

        A technician who may not read the site file gets the default: the daemon decides who may ask.
        """
        try:
            control = tomllib.loads(self.config.read_text(encoding="utf-8")).get("control", {})
        except PermissionError:
            return default
        except OSError as error:
            if self.config == DEFAULT_CONFIG:
                return default
            raise ConfigError(f"{self.config} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise ConfigError(f"{self.config} is not valid TOML: {error}") from None
        found = control.get(key) if isinstance(control, dict) else None
        return Path(found) if isinstance(found, str) else default
