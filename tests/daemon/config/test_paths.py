"""The two databases are where the site file says, in a directory that nobody else looks into."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from daemon.config.paths import Paths
from daemon.errors import ConfigError
from tests.daemon.simulated import SITE, Bench


def test_they_are_in_the_directory_of_the_site_file(tmp_path: Path) -> None:
    site = Bench(tmp_path).site()
    assert Paths.of(site) == Paths(tmp_path / "state" / "cache.db", tmp_path / "state" / "journal.db")


def test_the_directory_is_made_if_it_is_not_there_and_left_if_it_is(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "new" / "cache.db", tmp_path / "new" / "journal.db")
    assert paths.prepare() is paths
    directory = tmp_path / "new"
    assert stat.S_IMODE(directory.stat().st_mode) & 0o007 == 0
    directory.chmod(0o700)
    paths.prepare()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_is_a_fault_of_the_site_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="file/state cannot be made: Not a directory"):
        Paths(tmp_path / "file" / "state" / "cache.db", tmp_path / "j").prepare()


def test_the_default_is_the_directory_that_the_units_may_write(tmp_path: Path) -> None:
    text = SITE.replace('[state]\ndirectory = "{directory}/state"\n', "")
    assert Paths.of(Bench(tmp_path, text).site()).cache == Path("/var/lib/latchd/cache.db")
