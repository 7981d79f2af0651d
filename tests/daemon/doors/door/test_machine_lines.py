"""What a technician sees of lines that were not read yet, broke or came back, told as short stories."""

from __future__ import annotations

from typing import Any

from daemon.doors.door.state import (
    LockRestored,
    ReaderLink,
    RecordEvent,
    Tamper,
)

RELOCKED = ["LOCK", "door.locked"]


def test_first_reading_is_no_alarm(bench: Any) -> None:
    door = bench(fresh=True)
    assert door.contact("open") == ["door.opened"]
    assert [e.event.detail for e in door.effects if isinstance(e, RecordEvent)] == [(("found", True),)]
    assert door.wait(60) == ["door.held_warning", "door.held"]
    assert door.contact("closed") == ["door.closed", "door.held_clear"]


def test_first_reading_open_in_unlocked_mode(bench: Any) -> None:
    door = bench(fresh=True)
    door.mode("unlocked")
    assert door.contact("open") == ["door.opened"]
    assert door.wait(1000) == []


def test_a_fault_is_never_read_as_closed(bench: Any) -> None:
    door = bench()
    door.grant()
    door.contact("open")
    assert door.contact("line_open") == ["input.fault"]
    assert door.contact("short") == ["input.fault"]
    details = [
        e.event.detail for e in door.effects if isinstance(e, RecordEvent) and e.event.name == "input.fault"
    ]
    assert details == [(("input", "contact"), ("state", "open")), (("input", "contact"), ("state", "short"))]
    assert door.wait(60) == [*RELOCKED, "door.held_warning", "door.held"]
    assert door.contact("closed") == ["input.clear", "door.closed", "door.held_clear"]


def test_a_door_found_open_after_a_fault_is_forced(bench: Any) -> None:
    door = bench()
    door.contact("short")
    assert door.contact("open") == ["input.clear", "door.opened", "door.forced"]


def test_an_outage_of_the_contact_ends_where_it_began(bench: Any) -> None:
    door = bench()
    assert door.contact("lost") == []
    assert door.contact("closed") == []
    door.contact("lost")
    assert door.contact("open") == ["door.opened", "door.forced"]


def test_restoration_never_releases(bench: Any) -> None:
    door = bench()
    assert door.send(LockRestored()) == ["LOCK"]
    door.grant()
    assert door.send(LockRestored()) == RELOCKED
    door.rex()
    assert door.send(LockRestored()) == RELOCKED
    door.mode("unlocked")
    assert door.send(LockRestored()) == ["HOLD"]


def test_reader_link_and_tamper_are_recorded_once(bench: Any) -> None:
    door = bench()
    assert door.send(ReaderLink("in", True)) == []
    assert door.send(ReaderLink("in", False)) == ["reader.offline"]
    assert door.send(ReaderLink("in", False)) == []
    assert door.send(ReaderLink("in", True)) == ["reader.online"]
    door.mode("unlocked")
    assert door.send(Tamper("in", False)) == []
    assert door.send(Tamper("in", True)) == ["tamper.on"]
    assert door.send(Tamper("in", True)) == []
    assert door.send(Tamper("in", False)) == ["tamper.off"]


def test_what_goes_away_twice_is_told_twice_with_its_name(bench: Any) -> None:
    door = bench()
    for _ in range(2):
        for reader in ("in", "out"):
            assert door.send(ReaderLink(reader, False)) == ["reader.offline"]
            assert door.send(Tamper(reader, True)) == ["tamper.on"]
        for reader in ("in", "out"):
            assert door.send(ReaderLink(reader, True)) == ["reader.online"]
            assert door.send(Tamper(reader, False)) == ["tamper.off"]
    told = [(e.event.name, e.event.reader) for e in door.effects if isinstance(e, RecordEvent)]
    assert len(told) == 16
    assert {reader for _, reader in told} == {"in", "out"}
    assert door.state.offline == door.state.tampered == frozenset()


def test_a_fault_names_its_line_and_kind(bench: Any) -> None:
    door = bench()
    door.rex("short")
    door.rex("off")
    door.contact("line_open")
    door.contact("closed")
    told = [(e.event.name, dict(e.event.detail)) for e in door.effects if isinstance(e, RecordEvent)]
    assert told == [
        ("input.fault", {"input": "rex", "state": "short"}),
        ("input.clear", {"input": "rex"}),
        ("input.fault", {"input": "contact", "state": "open"}),
        ("input.clear", {"input": "contact"}),
    ]
