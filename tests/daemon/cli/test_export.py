"""``latchctl export`` and ``latchctl events``: the same with a doors process and without, and nothing secret."""

from __future__ import annotations

import json
import stat
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlite_utils import Database

from daemon.cli.export import TABLES
from daemon.cli.latchctl import latchctl
from daemon.doors import clock
from daemon.errors import RequestError
from tests.daemon.control.served import DIRECTORY, Served, card, fill_cache, serving, write_site

CARDS = 3


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose cache is filled; no daemon runs."""
    path = write_site(tmp_path)
    fill_cache(path, DIRECTORY, clock.now().utc)
    return path


def run(site: Path, *arguments: str | Path) -> Result:
    return CliRunner().invoke(latchctl, ["--config", str(site), *map(str, arguments)])


def tables(file: Path) -> dict[str, list[dict[str, Any]]]:
    """What the file holds, table by table."""
    with closing(Database(file)) as database:
        return {name: list(database[name].rows) for name in database.table_names()}


def badge(served: Served) -> None:
    """Show the first cards at the lobby, and wait until that is durable."""
    for number in range(CARDS):
        served.badge("lobby-in", number + 1)
    deadline = time.monotonic() + 20
    while len(served.ask("events", names=["access.granted", "access.denied"])) < CARDS:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_tables_are_what_events_and_access_tell(site: Path, tmp_path: Path) -> None:
    with serving(site) as served:
        badge(served)
        made = run(site, "export", tmp_path / "live.db")
        assert made.exit_code == 0, made.output
        told = served.ask("events", after=0)
        passengers = [
            item
            for door in ("lobby", "vault")
            for item in served.ask("access", door=door, members=True)
            if item["kind"] == "person"
        ]
    found = tables(tmp_path / "live.db")
    assert found.keys() == TABLES.keys()
    assert [(row["sequence"], row["name"], row["access_group"]) for row in found["event"]] == [
        (event["sequence"], event["name"], event["group"]) for event in told
    ]
    assert [json.loads(row["detail"]) for row in found["event"]] == [event["detail"] for event in told]
    assert [(row["event"], row["rule"], bool(row["passed"]), row["text"]) for row in found["rule"]] == [
        (event["sequence"], rule["rule"], rule["passed"], rule["text"])
        for event in told
        for rule in event["trace"]
    ]
    assert [(row["person"], row["door"]) for row in found["passenger"]] == [
        (item["person"], item["door"]) for item in passengers
    ]
    assert f"{len(told)} events" in made.stdout


def test_without_a_daemon_the_files_tell_the_same(site: Path, tmp_path: Path) -> None:
    with serving(site) as served:
        badge(served)
        assert run(site, "export", tmp_path / "live.db").exit_code == 0
    assert run(site, "export", tmp_path / "files.db").exit_code == 0
    live, files = tables(tmp_path / "live.db"), tables(tmp_path / "files.db")
    stopped = files["event"][len(live["event"]) :]
    assert files["event"][: len(live["event"])] == live["event"]
    assert stopped[-1]["name"] == "system.stop"
    assert {name: files[name] for name in ("path", "passenger")} == {
        name: live[name] for name in ("path", "passenger")
    }


def test_only_one_door_and_only_some_time(site: Path, tmp_path: Path) -> None:
    with serving(site) as served:
        badge(served)
    assert run(site, "export", tmp_path / "door.db", "--door", "vault").exit_code == 0
    assert isinstance(run(site, "export", tmp_path / "time.db", "--since", "soon").exception, RequestError)
    assert not (tmp_path / "time.db").exists()
    assert run(site, "export", tmp_path / "old.db", "--until", "2026-01-01T00:00:00Z").exit_code == 0
    door, old = tables(tmp_path / "door.db"), tables(tmp_path / "old.db")
    assert {row["door"] for name in ("event", "path", "passenger") for row in door[name]} == {"vault"}
    assert old["event"] == []
    assert {row["door"] for row in old["path"]} == {"lobby", "vault"}


def test_nothing_secret_is_in_the_file_and_nobody_else_reads_it(site: Path, tmp_path: Path) -> None:
    with serving(site) as served:
        badge(served)
        assert run(site, "export", tmp_path / "out.db").exit_code == 0
    assert stat.S_IMODE((tmp_path / "out.db").stat().st_mode) == 0o600
    content = (tmp_path / "out.db").read_bytes()
    assert not any(card(number + 1) in content for number in range(CARDS))
    assert b"57:1" not in content


def test_a_file_that_is_there_is_left_alone(site: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.db"
    there.write_text("mine")
    refused = run(site, "export", there)
    assert refused.exit_code != 0
    assert "already exists" in refused.output
    assert there.read_text() == "mine"
    assert "cannot be created" in run(site, "export", tmp_path / "no" / "where.db").output


def test_all_events_after_one_are_told_without_a_daemon_too(site: Path) -> None:
    with serving(site) as served:
        badge(served)
    told = run(site, "events", "--json", "--after", "1", "--count", "1").stdout.splitlines()
    every = run(site, "events", "--json", "--count", "400").stdout.splitlines()
    assert told == every[1:]
    assert len(told) > CARDS


def test_following_without_a_daemon_ends_with_words(site: Path) -> None:
    with serving(site) as served:
        badge(served)
    followed = run(site, "events", "--follow")
    assert "system.stop" in followed.stdout
    assert "cannot follow" in str(followed.exception)
