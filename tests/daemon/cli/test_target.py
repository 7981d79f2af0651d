"""Which sockets `latchctl` asks: those of the site file, or the usual ones for whoever may not read it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cache.errors import JournalError, LatchdError
from daemon.cli.doctor import diagnose
from daemon.cli.target import Target
from daemon.config.bounds import DOORS_SOCKET, SYNC_SOCKET
from daemon.errors import ConfigError, RequestError
from tests.daemon.simulated import Bench

NO_ONE = 65534


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    return folder / "site.toml"


@pytest.fixture
def forbidden(file: Path) -> Iterator[Path]:
    """A site file in a folder that this user may not look into, as /etc/latchd is for a technician."""
    file.write_text('[control]\nsocket = "/srv/doors.sock"\n')
    file.parent.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NO_ONE)
    try:
        yield file
    finally:
        if root:
            os.seteuid(0)
        file.parent.chmod(0o700)


def test_the_site_file_says_where_the_sockets_are(file: Path) -> None:
    file.write_text('[control]\nsocket = "/srv/doors.sock"\nsync_socket = "/srv/sync.sock"\n')
    target = Target(file, None)
    assert (target.control(), target.sync_control()) == (Path("/srv/doors.sock"), Path("/srv/sync.sock"))
    assert Target(file, Path("/tmp/other.sock")).control() == Path("/tmp/other.sock")


@pytest.mark.parametrize("text", ["", "control = 1", "[control]\nsocket = 5\nsync_socket = 5"])
def test_without_a_word_of_it_they_are_where_they_always_are(file: Path, text: str) -> None:
    file.write_text(text)
    target = Target(file, None)
    assert (target.control(), target.sync_control()) == (Path(DOORS_SOCKET), Path(SYNC_SOCKET))


def test_a_technician_who_may_not_read_the_site_file_can_still_ask(forbidden: Path) -> None:
    target = Target(forbidden, None)
    assert (target.control(), target.sync_control()) == (Path(DOORS_SOCKET), Path(SYNC_SOCKET))


def test_a_file_that_is_not_there_is_reported_unless_no_one_named_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"site\.toml cannot be read: No such file"):
        Target(file, None).control()
    monkeypatch.setattr("daemon.cli.target.DEFAULT_CONFIG", file)
    assert Target(file, None).control() == Path(DOORS_SOCKET)


def test_a_file_that_is_no_toml_is_reported(file: Path) -> None:
    file.write_text("[control")
    with pytest.raises(ConfigError, match=r"site\.toml is not valid TOML"):
        Target(file, None).control()


def test_doctor_tells_a_technician_what_was_not_looked_at(forbidden: Path, tmp_path: Path) -> None:
    first, *others = diagnose(Target(forbidden, tmp_path / "no.sock"))
    assert (first.check, first.state) == ("site file", "note")
    assert "run as root" in first.text
    assert [finding.check for finding in others] == ["doors", "sync"]
    assert (others[0].state, str(tmp_path / "no.sock") in others[0].text) == ("fault", True)


def test_without_a_daemon_a_fault_of_the_files_says_that_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = tmp_path / "absent.toml"
    monkeypatch.setattr("daemon.cli.target.DEFAULT_CONFIG", absent)
    assert reported_without_daemon(Target(absent, None)).startswith(
        f"ConfigError: no daemon answers at {DOORS_SOCKET}, and the files cannot be used: {absent} cannot be read"
    )
    bench = Bench(tmp_path / "b")
    meant = Target(bench.file, None)
    assert reported_without_daemon(meant, JournalError("damaged")) == (
        f"JournalError: no daemon answers at {bench.directory}/control.sock, and the files cannot be used: damaged"
    )
    assert reported_without_daemon(meant, RequestError("no such door")) == "RequestError: no such door"


def reported_without_daemon(meant: Target, raised: LatchdError | None = None) -> str:
    """What a technician reads when this goes wrong while the files are looked at."""
    try:
        with meant.without_daemon():
            assert raised is not None
            raise raised
    except LatchdError as error:
        return f"{type(error).__name__}: {error}"
