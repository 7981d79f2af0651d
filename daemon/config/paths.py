"""Where the files of a controller are: a folder for each process, in which the other one only reads."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from cache.directory.lookup import Lookup
from cache.errors import LatchdError
from daemon.config import old_layout
from daemon.config.site import Site
from daemon.errors import ConfigError

log = logging.getLogger(__name__)

DIRECTORY_MODE = 0o2750
"""A process writes into its folder, the other one reads there as the group, which the folder hands down."""


@dataclass(frozen=True, slots=True)
class Paths:
    """cache.db in the folder of sync, journal.db and the keys of readers in that of doors."""

    cache: Path
    journal: Path

    @classmethod
    def of(cls, site: Site) -> Self:
        """As the site file has it."""
        directory = Path(site.tables.state.directory)
        return cls(directory / "sync" / "cache.db", directory / "doors" / "journal.db")

    @property
    def reader_keys(self) -> Path:
        """The sealed keys of readers, in the folder of the journal."""
        return self.journal.with_name("reader-keys.sealed")

    def cache_before(self) -> Path | None:
        """Where cache.db was before it had a folder, if it still is there: read until sync has taken it over."""
        before = self.cache.parent.parent / self.cache.name
        return before if before.is_file() else None

    def lookup(self, *, bounded: bool = False) -> Lookup:
        """The cache as the process that opens doors reads it; ``bounded`` where a door waits for the answer."""
        return Lookup(self.cache, scratch=self.journal.parent, before=self.cache_before(), bounded=bounded)

    def prepare_doors(self) -> Self:
        """Make the folder of doors if it is not there (systemd-tmpfiles makes it), and take over its old files."""
        _prepare(self.journal.parent, ("reader-keys.sealed", self.journal.name))
        return self

    def prepare_sync(self) -> Self:
        """Make the folder of sync if it is not there, and take over its old files."""
        _prepare(self.cache.parent, ("cache.synced", self.cache.name))
        return self


def _prepare(folder: Path, names: tuple[str, ...]) -> None:
    try:
        if not folder.is_dir():
            folder.parent.mkdir(mode=0o750, exist_ok=True)
            folder.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
            os.chmod(folder, DIRECTORY_MODE)  # mkdir leaves out the bit that hands down the group
    except OSError as error:
        raise ConfigError(f"{folder} cannot be made: {error.strerror}") from None
    try:
        for done in old_layout.take_over(folder, names):
            log.warning("%s", done)
    except OSError as error:
        raise LatchdError(
            f"the files in {folder.parent} cannot be taken over into {folder}: {error.strerror or error}"
        ) from None
