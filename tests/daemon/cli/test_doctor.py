"""``latchctl doctor`` and ``status``: each check, sound and faulty, with a daemon and without."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections import namedtuple
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cache.changes import Delta, Plan, Quarantine, Rebinding
from cache.directory.store import Store
from cache.journal.head import head_key
from cache.journal.journal import Journal
from cache.journal.keeper import KeptJournal
from cache.model import ClockQuality, Event, EventName, Moment, Stamp
from daemon.cli import doctor, target
from daemon.cli.doctor import Finding, diagnose
from daemon.cli.latchctl import latchctl
from daemon.cli.target import Target
from daemon.control.client import is_running
from daemon.doors import clock
from tests.daemon.simulated import SITE, Bench
from tests.daemon.spawned import latchd, play, until

NOW = datetime.now(UTC)
Usage = namedtuple("Usage", "total used free")


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A sound site without a running daemon."""
    made = Bench(tmp_path / "b")
    made.fill()
    with Journal(made.state / "doors" / "journal.db") as journal:
        stamp = Stamp(Moment(NOW, 1.0, ClockQuality.SYNCED), "boot")
        journal.append([(stamp, Event(EventName.SYSTEM_START)), (stamp, Event(EventName.REX, door="lobby"))])
    return made


@pytest.fixture(autouse=True)
def synchronised(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: True)


def found(bench: Bench) -> dict[str, Finding]:
    """Every finding by its check; the gravest of each."""
    grave = ("ok", "note", "fault")
    by_check: dict[str, Finding] = {}
    for finding in diagnose(Target(bench.file, None)):
        known = by_check.get(finding.check)
        if known is None or grave.index(finding.state) > grave.index(known.state):
            by_check[finding.check] = finding
    return by_check


def test_a_sound_site_whose_daemons_do_not_run(bench: Bench) -> None:
    states = {check: finding.state for check, finding in found(bench).items()}
    assert states == {
        "site file": "ok",
        "disk": "ok",
        "cache": "ok",
        "journal": "ok",
        "clock": "ok",
        "doors": "fault",
        "sync": "note",
    }
    assert "systemctl status latchd-doors" in found(bench)["doors"].text
    assert "generation 1, 2 people" in found(bench)["cache"].text
    assert "events 1 to 2, chain unbroken" in found(bench)["journal"].text


def wrong_file(bench: Bench, _: pytest.MonkeyPatch) -> None:
    bench.file.write_text(bench.file.read_text().replace("lobby-in", "lobby-inn", 1))


def full_disk(_: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 10**9, doctor.LEAST_FREE - 1))


def open_folder(bench: Bench, _: pytest.MonkeyPatch) -> None:
    bench.state.chmod(0o775)


def no_folder(bench: Bench, _: pytest.MonkeyPatch) -> None:
    shutil.rmtree(bench.state)


def damaged_cache(bench: Bench, _: pytest.MonkeyPatch) -> None:
    (bench.state / "sync" / "cache.db").write_bytes(b"no database" * 1000)


def no_cache(bench: Bench, _: pytest.MonkeyPatch) -> None:
    for file in (bench.state / "sync").glob("cache.*"):
        file.unlink()


def failing_sync(bench: Bench, _: pytest.MonkeyPatch) -> None:
    with Store(bench.state / "sync" / "cache.db") as store:
        store.failed(NOW, "outage", "the server does not answer")


def held_back(bench: Bench, _: pytest.MonkeyPatch) -> None:
    with Store(bench.state / "sync" / "cache.db") as store:
        held = Quarantine("12345678", Delta(), ("too many",), ("ada goes",), NOW)
        store.apply(Plan(Delta(), Rebinding(), held), NOW)


def unusable_cards(bench: Bench, _: pytest.MonkeyPatch) -> None:
    with Store(bench.state / "sync" / "cache.db") as store:
        store.completed(NOW, "complete", warnings=("person ken: cards: no such format",))


def forged_event(bench: Bench, _: pytest.MonkeyPatch) -> None:
    with sqlite3.connect(bench.state / "doors" / "journal.db") as journal:
        journal.execute("UPDATE event SET door = 'vault' WHERE sequence = 2")
    journal.close()


def no_time_server(_: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "kernel_synchronised", lambda: False)


def no_adapter(bench: Bench, _: pytest.MonkeyPatch) -> None:
    bus = '[bus.io]\ndriver = "modbus-rtu"\nport = "/dev/absent-port"\n'
    bench.file.write_text(bench.file.read_text() + bus)


def no_chip(bench: Bench, _: pytest.MonkeyPatch) -> None:
    board = '[board.cabinet]\ndriver = "gpio"\nchip = "/dev/absent-chip"\n'
    bench.file.write_text(bench.file.read_text() + board)


FAULTS: list[tuple[Callable[[Bench, pytest.MonkeyPatch], None], str, str, str]] = [
    (wrong_file, "site file", "fault", 'did you mean "lobby-inn"'),
    (full_disk, "disk", "fault", "make room"),
    (open_folder, "state", "fault", "chmod o-rwx"),
    (no_folder, "state", "fault", "No such file"),
    (damaged_cache, "cache", "fault", "cache.db"),
    (no_cache, "cache", "fault", "no complete sync yet"),
    (failing_sync, "sync", "fault", "1 failed since: the server does not answer"),
    (held_back, "sync", "fault", "latchctl sync diff"),
    (unusable_cards, "sync", "note", "no such format"),
    (forged_event, "journal", "fault", "2"),
    (no_time_server, "clock", "note", "timedatectl"),
    (no_adapter, "bus io", "fault", "/dev/absent-port does not exist"),
    (no_chip, "bus cabinet", "fault", "/dev/absent-chip does not exist"),
]


@pytest.mark.parametrize(
    ("harm", "check", "state", "words"), FAULTS, ids=lambda value: getattr(value, "__name__", "")
)
def test_each_fault_is_found_and_says_what_to_do(
    harm: Callable[[Bench, pytest.MonkeyPatch], None],
    check: str,
    state: str,
    words: str,
    bench: Bench,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    harm(bench, monkeypatch)
    finding = found(bench)[check]
    assert finding.state == state, finding
    assert words in finding.text


def test_without_the_right_to_read_the_site_file_the_daemon_tells_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An operator of a controller: may ask the daemons, may read neither /etc/latchd nor the databases."""
    closed = bench.directory / "etc" / "site.toml"
    failing_sync(bench, monkeypatch)
    monkeypatch.setattr(target, "DEFAULT_CONFIG", closed)
    monkeypatch.setattr(target, "DOORS_SOCKET", str(bench.directory / "control.sock"))
    monkeypatch.setattr(target, "SYNC_SOCKET", str(bench.directory / "sync.sock"))
    with latchd(bench, "doors"):
        until("doors", lambda: is_running(bench.directory / "control.sock"))
        seen = {(finding.check, finding.state): finding.text for finding in diagnose(Target(closed, None))}
    assert "No such file" in seen["site file", "fault"]
    assert seen["doors", "ok"] == "running, 1 door"
    assert "generation 1, 2 people, last complete sync" in seen["cache", "ok"]
    assert "systemctl status latchd-sync" in seen["sync", "fault"]


def test_a_file_that_is_no_toml_is_told_once(bench: Bench) -> None:
    bench.file.write_text("[site\n")
    (only,) = diagnose(Target(bench.file, None))
    assert (only.check, only.state) == ("site file", "fault")
    assert "not valid TOML" in only.text


def test_running_daemons_and_their_devices(bench: Bench) -> None:
    with latchd(bench, "doors"):
        until("doors", lambda: "doors" in found(bench) and found(bench)["doors"].state == "ok")
        until("the devices", lambda: found(bench)["device lobby-in"].state == "ok")
        assert found(bench)["device main"].state == "ok"
        assert play(bench, "offline main cable cut") == "ok"
        until("the outage", lambda: found(bench)["device main"].state == "fault")
        assert "cable cut" in found(bench)["device main"].text
        shown = latch(bench, "status")
        assert shown.exit_code == 0
        assert "doors running" in shown.output
        assert "OFFLINE" in shown.output
    assert found(bench)["doors"].state == "fault"


def latch(bench: Bench, *arguments: str) -> Result:
    return CliRunner().invoke(latchctl, ["--config", str(bench.file), *arguments])


def test_doctor_prints_a_table_or_json_and_its_code_tells_of_faults(bench: Bench) -> None:
    shown = latch(bench, "doctor")
    assert shown.exit_code == 1
    assert shown.output.startswith("ok ")
    told = json.loads(latch(bench, "doctor", "--json").output)
    assert {finding["state"] for finding in told["findings"]} == {"ok", "note", "fault"}


def test_status_without_a_daemon_comes_from_the_files(bench: Bench) -> None:
    shown = latch(bench, "status")
    assert shown.exit_code == 1
    assert "doors not running" in shown.output
    assert "generation 1, 2 people, 2 groups, 2 memberships, 2 credentials" in shown.output
    assert "journal: 2 events" in shown.output
    told = json.loads(latch(bench, "status", "--json").output)
    assert (told["running"], told["cache"]["people"], told["journal"]["last"]) == (False, 2, 2)
    assert 0 <= told["cache"]["age"] < timedelta(hours=1).total_seconds()


def test_events_without_a_daemon_come_from_the_file(bench: Bench) -> None:
    shown = latch(bench, "events", "--json")
    assert [json.loads(line)["name"] for line in shown.output.splitlines()] == ["system.start", "rex"]
    assert [
        json.loads(line)["sequence"]
        for line in latch(bench, "events", "--json", "--after", "1").output.splitlines()
    ] == [2]
    assert "door=lobby" in latch(bench, "events", "--name", "rex").output


def test_a_technician_needs_no_secret(bench: Bench) -> None:
    os.unlink(bench.directory / "site-key")
    assert latch(bench, "status").exit_code == 1
    assert "generation 1" in latch(bench, "status").output
    assert SITE.count("site-key") == 1


def test_doctor_sees_a_cut_tail_edited_orders_and_what_was_set_aside(bench: Bench) -> None:
    path = bench.state / "doors" / "journal.db"
    rex = (Stamp(Moment(NOW, 2.0), "boot"), Event(EventName.REX, "lobby"))
    with closing(KeptJournal(path, None, head_key(bench.key))) as journal:
        journal.append([rex] * 3, {"mode.lobby": "{}"})
    assert found(bench)["journal"].state == "ok"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("DELETE FROM event WHERE sequence = (SELECT max(sequence) FROM event)")
        other.execute("UPDATE state SET body = '1' WHERE name = 'mode.lobby'")
    path.with_name("journal.db.damaged-20260302T080000Z").touch()
    told = [one.text for one in diagnose(Target(bench.file, None)) if one.check == "journal"]
    assert any("are missing at the end" in text for text in told)
    assert any("the state mode.lobby is not what was written" in text for text in told)
    assert any("was set aside" in text for text in told)
