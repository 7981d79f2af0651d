"""Journals that were torn at random: each start has one that can be written, and the lockdown holds."""

from __future__ import annotations

import random
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache.errors import JournalError
from cache.journal.head import head_path
from cache.journal.journal import Entry
from cache.journal.keeper import KeptJournal
from cache.model import Event, EventName, Moment, Stamp

KEY = bytes(32)
LOCKDOWN = {"mode.lobby": '{"lockdown": true}'}
ENTRY: Entry = (Stamp(Moment(datetime(2026, 3, 2, 8, tzinfo=UTC), 1.0), "boot"), Event(EventName.REX, "lobby"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A journal of some pages with a lockdown, closed cleanly."""
    found = tmp_path / "journal.db"
    with closing(KeptJournal(found, None, KEY)) as journal:
        for _ in range(10):
            journal.append([ENTRY] * 10, LOCKDOWN)
    return found


def tear(path: Path, chance: random.Random) -> None:
    """Damage a journal that was closed cleanly: a byte, a page, a sector or the end."""
    content = bytearray(path.read_bytes())
    match chance.randrange(5):
        case 0:
            content[chance.randrange(100)] ^= chance.randrange(1, 256)
        case 1:
            page = chance.randrange(len(content) // 4096) * 4096
            content[page : page + 4096] = bytes(4096)
        case 2:
            content[-4096:] = chance.randbytes(4096)
        case 3:
            del content[chance.randrange(len(content)) :]
        case _:
            for _ in range(20):
                content[chance.randrange(len(content))] ^= chance.randrange(1, 256)
    path.write_bytes(content)


def torn(path: Path, trials: range) -> None:
    good = {file: file.read_bytes() for file in (path, head_path(path))}
    for trial in trials:
        for file in path.parent.iterdir():
            file.unlink()
        for file, content in good.items():
            file.write_bytes(content)
        tear(path, random.Random(trial))
        with closing(KeptJournal(path, None, KEY)) as journal:
            assert journal.state().get("mode.lobby") == LOCKDOWN["mode.lobby"], trial
            for _ in range(3):
                try:
                    journal.append([ENTRY], {"mode.yard": str(trial)})
                    break
                except JournalError:
                    journal.reopen()
            else:
                pytest.fail(f"trial {trial}: nothing could be written")
        with closing(KeptJournal(path, None, KEY)) as journal:
            assert journal.state()["mode.lobby"] == LOCKDOWN["mode.lobby"], trial
            assert journal.state()["mode.yard"] == str(trial), trial


def test_torn_journals_start(path: Path) -> None:
    torn(path, range(25))


@pytest.mark.soak
def test_many_torn_journals_start(path: Path) -> None:
    torn(path, range(1000, 1300))
