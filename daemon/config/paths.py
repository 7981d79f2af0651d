"""Where the files of a controller are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from daemon.config.site import Site
from daemon.errors import ConfigError

DIRECTORY_MODE = 0o770
"""Both processes write into the directory; no other user may read it (less what umask takes away)."""


@dataclass(frozen=True, slots=True)
class Paths:
    """cache.db, journal.db and the sealed keys of readers, in the directory that ``[state]`` names."""

    cache: Path
    journal: Path

    @classmethod
    def of(cls, site: Site) -> Self:
        """As the site file has it."""
        directory = Path(site.tables.state.directory)
        return cls(directory / "cache.db", directory / "journal.db")

    @property
    def reader_keys(self) -> Path:
        """The sealed keys of readers, in the folder of the databases."""
        return self.journal.with_name("reader-keys.sealed")

    def prepare(self) -> Self:
        """Make the directory if it is not there (systemd-tmpfiles makes it on a controller)."""
        try:
            self.cache.parent.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"{self.cache.parent} cannot be made: {error.strerror}") from None
        return self
