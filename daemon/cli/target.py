"""Which controller ``latchctl`` is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from daemon.config.load import load_site
from daemon.config.site import Site

DEFAULT_SOCKET = Path("/run/latchd/control.sock")


@dataclass(frozen=True, slots=True)
class Target:
    """Which controller is meant: its site file, and its sockets."""

    config: Path
    socket: Path | None

    def site(self) -> Site:
        """The site file, without its secrets: a technician may not read those."""
        return load_site(self.config, secrets=None)

    def control(self) -> Path:
        """The socket of the doors process."""
        if self.socket is not None:
            return self.socket
        return Path(self.site().tables.control.socket) if self.config.exists() else DEFAULT_SOCKET
