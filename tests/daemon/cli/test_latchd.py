"""A wrong site file: every fault in one report, exit code 2, and no device is opened. So says the kernel."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.daemon.site_text import level, osdp_door, scim, site_text
from tests.daemon.spawned import environment, until

IN_OPEN = 0x20
"""Of inotify(7): a file was opened."""

SITE = site_text(
    scim("http://127.0.0.1:9/scim/v2", "file:{here}/key"),
    osdp_door("{port}", "file:{here}/scbk"),
    '[schedule.office]\nmon-fri = ["08:00-18:00"]\n',
    level("Staff by day", more='schedule = "office"\n'),
)

WRONG = [
    ('timezone = "UTC"', 'timezone = "Mars/Olympus"', "site.toml:3: site.timezone: expected an IANA time zone"),
    ("address = 0", "adress = 0", 'site.toml:19: reader.lobby-in.adress: unknown key; did you mean "address"?'),
    (
        'lock = "reader:lobby-in/out0"',
        'lock = "main.out1"',
        'site.toml:24: door.lobby.lock: there is no output "main.out1"',
    ),
    ('"08:00-18:00"', '"08:00-25:00"', "site.toml:26: schedule.office.mon-fri[1]: expected a range of times"),
    (
        'doors = ["lobby"]',
        'doors = ["loby"]',
        'site.toml:30: access_level[1].doors: there is no door "loby"; did you',
    ),
]
"""What is written instead, and how the report begins to say so."""


@dataclass
class Place:
    """A site file and a port that exists."""

    directory: Path
    port: str

    @property
    def file(self) -> Path:
        return self.directory / "site.toml"

    def write(self, *faults: tuple[str, str, str]) -> None:
        text = SITE.format(here=self.directory, port=self.port)
        for old, new, _ in faults:
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        self.file.write_text(text, encoding="utf-8")

    def command(self, *words: str) -> list[str]:
        config = [] if words[0] == "check-config" else ["--config"]
        return [sys.executable, "-m", "daemon.cli.latchd", *words, *config, str(self.file)]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*words), capture_output=True, text=True, timeout=50, env=environment(), cwd=self.directory
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    for name, content in (("key", "ab" * 32), ("scbk", "cd" * 16)):
        (tmp_path / name).write_text(content)
        (tmp_path / name).chmod(0o600)
    master, slave = os.openpty()
    try:
        yield Place(tmp_path, os.ttyname(slave))
    finally:
        os.close(master)
        os.close(slave)


@contextmanager
def watching(path: str) -> Iterator[int]:
    """A descriptor that has something to read as soon as anybody opens the file."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    assert descriptor >= 0
    try:
        assert libc.inotify_add_watch(descriptor, path.encode(), IN_OPEN) >= 0
        yield descriptor
    finally:
        os.close(descriptor)


def opened(descriptor: int) -> bool:
    """Whether somebody has opened what is watched."""
    try:
        mask: int = struct.unpack_from("iIII", os.read(descriptor, 4096))[1]
    except BlockingIOError:
        return False
    return bool(mask & IN_OPEN)


@pytest.mark.parametrize("command", ["check-config", "doors", "sync", "run"])
def test_every_fault_is_in_one_report_and_no_device_is_opened(place: Place, command: str) -> None:
    place.write(*WRONG)
    with watching(place.port) as watch:
        done = place.run(command)
        assert not opened(watch)
    assert done.returncode == 2
    report = done.stderr.splitlines()
    assert report[0] == f"latchd: {place.file} is refused, {len(WRONG) + 1} faults; no device was opened"
    missing = f"{place.file}:17: reader.lobby-in.address: this key is missing"
    expected = [*(f"{place.directory}/{words}" for _, _, words in WRONG), missing]
    assert [words for words in expected if sum(line.startswith(words) for line in report) != 1] == [], done.stderr
    assert len(report) == 1 + len(expected), "a fault is told twice, or is no fault"
    assert done.stdout == ""
    assert not (place.directory / "state").exists(), "nothing was made for a file that is refused"


def test_a_good_file_is_told_in_a_line_and_opens_nothing_either(place: Place) -> None:
    place.write()
    with watching(place.port) as watch:
        done = place.run("check-config")
        assert not opened(watch)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{place.file} is good: 1 door, 1 reader, 1 access level\n"


def test_an_older_table_of_limits_is_noted(place: Place) -> None:
    place.write()
    place.file.write_text(place.file.read_text() + "\n[scim.limits]\n")
    done = place.run("check-config")
    assert done.returncode == 0, done.stderr
    assert "note: scim.limits is from before [brake]" in done.stdout


def test_a_start_with_the_good_file_opens_the_device(place: Place) -> None:
    """Else the watch above would prove nothing."""
    place.write()
    with (
        watching(place.port) as watch,
        subprocess.Popen(place.command("doors"), env=environment(), stderr=subprocess.DEVNULL) as process,
    ):
        try:
            until("the port", lambda: opened(watch))
        finally:
            process.terminate()


def test_a_secret_that_is_not_there_is_a_fault_unless_nobody_asks(place: Place) -> None:
    place.write()
    (place.directory / "scbk").unlink()
    refused = place.run("check-config")
    assert refused.returncode == 2
    assert f"{place.file}:21: reader.lobby-in.key: " in refused.stderr
    assert place.run("check-config", "--without-secrets").returncode == 0


@pytest.mark.parametrize("more", [["--dry-run"], ["--json"]])
def test_options_that_belong_together_are_refused_apart(place: Place, more: list[str]) -> None:
    place.write()
    refused = place.run("sync", *more)
    assert refused.returncode == 2
    assert "--once" in refused.stderr
