"""Every row of the table is reached by a story that says, in its own words, what must follow."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from daemon.doors.door import machine, table
from daemon.doors.door.machine import step
from daemon.doors.door.state import DoorEvent, LockRestored, ModeChanged, Timer
from daemon.doors.door.table import (
    ACCESS,
    LOCK,
    OPENING,
    REX,
    SENSE,
    TRIGGER_TEXT,
    DoorPosition,
    LockState,
    Row,
    Trigger,
)

ROOT = Path(__file__).parents[4]

REGIONS: dict[str, Mapping[Any, Any]] = {
    "lock": LOCK,
    "opening": OPENING,
    "access": ACCESS,
    "sense": SENSE,
    "rex": REX,
}

STORIES: dict[str, tuple[str, str]] = {
    # lock, from locked
    "lock locked grant strike": ("grant", "RELEASE 10, door.released"),
    "lock locked egress egress": ("rex:on", "rex, RELEASE 3, door.released"),
    "lock locked unlock unlocked": ("mode:unlocked", "door.mode, HOLD, door.released"),
    "lock locked restored locked": ("restored", "LOCK"),
    # lock, from strike
    "lock strike grant strike": ("grant grant", "RELEASE 10"),
    "lock strike egress egress": ("grant rex:on", "rex, RELEASE 10"),
    "lock strike time_over locked": ("grant wait:10", "LOCK, door.locked, access.not_taken"),
    "lock strike relock locked": ("grant contact:open contact:closed", "door.closed, LOCK, door.locked"),
    "lock strike unlock unlocked": ("grant mode:unlocked", "door.mode, HOLD, COUNT ann"),
    "lock strike withdrawn locked": ("grant mode:lockdown", "door.mode, LOCK, door.locked, access.not_taken"),
    "lock strike restored locked": ("grant restored", "LOCK, door.locked"),
    # lock, from egress
    "lock egress grant egress": ("rex:on grant", "RELEASE 10"),
    "lock egress egress egress": ("rex:on rex:off rex:on", "rex, RELEASE 3"),
    "lock egress time_over locked": ("rex:on wait:3", "LOCK, door.locked"),
    "lock egress relock locked": ("rex:on contact:open contact:closed", "door.closed, LOCK, door.locked"),
    "lock egress unlock unlocked": ("rex:on mode:unlocked", "door.mode, HOLD"),
    "lock egress withdrawn locked": (
        "grant rex:on wait:5 mode:blocked",
        "door.mode, LOCK, door.locked, access.not_taken",
    ),
    "lock egress withdrawn_egress egress": ("grant rex:on mode:blocked", "door.mode, RELEASE 3"),
    "lock egress restored locked": ("rex:on restored", "LOCK, door.locked"),
    # lock, from unlocked
    "lock unlocked withdrawn locked": ("mode:unlocked mode:locked", "door.mode, LOCK, door.locked"),
    "lock unlocked withdrawn_egress egress": ("mode:unlocked rex:on mode:locked", "door.mode, RELEASE 3"),
    "lock unlocked restored unlocked": ("mode:unlocked restored", "HOLD"),
    # opening
    "opening unknown found_closed closed": ("fresh contact:closed", ""),
    "opening unknown found_open open": ("fresh contact:open", "door.opened"),
    "opening unknown found_free free": ("fresh mode:unlocked contact:open", "door.opened"),
    "opening left_held found_closed closed": ("held contact:closed", "door.held_clear"),
    "opening left_held found_open held": ("held contact:open", "door.opened"),
    "opening left_held found_free held": ("held mode:unlocked contact:open", "door.opened"),
    "opening closed open_allowed open": ("grant contact:open", "door.opened, access.taken, COUNT ann"),
    "opening closed open_free free": ("mode:unlocked contact:open", "door.opened"),
    "opening closed open_forced forced": ("contact:open", "door.opened, door.forced"),
    "opening open closed closed": ("grant contact:open contact:closed", "door.closed, LOCK, door.locked"),
    "opening open warn warned": ("grant contact:open wait:10 wait:40", "door.held_warning"),
    "opening open overdue held": ("unwarned grant contact:open wait:10 wait:50", "door.held"),
    "opening open grant open": (
        "grant contact:open wait:10 grant",
        "RELEASE 10, door.released, access.taken, COUNT ann",
    ),
    "opening open freed free": ("grant contact:open mode:unlocked", "door.mode, HOLD"),
    "opening warned closed closed": ("grant contact:open wait:10 wait:40 contact:closed", "door.closed"),
    "opening warned overdue held": ("grant contact:open wait:10 wait:40 wait:10", "door.held"),
    "opening warned grant open": (
        "grant contact:open wait:10 wait:40 grant",
        "RELEASE 10, door.released, access.taken, COUNT ann",
    ),
    "opening warned freed free": (
        "grant contact:open wait:10 wait:40 mode:unlocked",
        "door.mode, HOLD, door.released",
    ),
    "opening held closed closed": (
        "grant contact:open wait:10 wait:40 wait:10 contact:closed",
        "door.closed, door.held_clear",
    ),
    "opening forced closed closed": ("contact:open contact:closed", "door.closed"),
    "opening free closed closed": ("mode:unlocked contact:open contact:closed", "door.closed"),
    "opening free guarded open": ("mode:unlocked contact:open mode:locked", "door.mode, LOCK, door.locked"),
    # access
    "access none grant pending": ("grant", "RELEASE 10, door.released"),
    "access none grant_open none": ("contact:open grant", "RELEASE 10, door.released, access.taken, COUNT ann"),
    "access none grant_blind none": ("contact:line_open grant", "RELEASE 10, door.released, COUNT ann"),
    "access none grant_free none": ("mode:unlocked grant", "COUNT ann"),
    "access pending grant_blind none": ("grant contact:line_open grant", "RELEASE 10, COUNT ann"),
    "access pending held_free none": ("grant mode:unlocked", "door.mode, HOLD, COUNT ann"),
    "access pending opened none": ("grant contact:open", "door.opened, access.taken, COUNT ann"),
    "access pending lapsed lapsed": ("grant wait:10", "LOCK, door.locked, access.not_taken"),
    "access pending lapsed_one pending": ("grant wait:4 grant:bob wait:6", "access.not_taken"),
    "access pending lapsed_blind none": ("grant contact:line_open wait:10", "LOCK, door.locked, COUNT ann"),
    "access lapsed grant pending": ("grant wait:10 grant", "RELEASE 10, door.released"),
    "access lapsed grant_blind none": (
        "grant wait:10 contact:line_open grant",
        "RELEASE 10, door.released, COUNT ann",
    ),
    "access lapsed held_free none": ("grant wait:10 mode:unlocked", "door.mode, HOLD, door.released"),
    "access lapsed opened none": ("grant wait:10 contact:open", "door.opened, access.taken, COUNT ann"),
    "access lapsed forget none": ("grant wait:10 wait:0.5", ""),
    # contact line
    "sense unread read read": ("fresh contact:closed", ""),
    "sense unread fault fault": ("fresh contact:line_open", "input.fault"),
    "sense read fault fault": ("contact:short", "input.fault"),
    "sense read lost unread": ("contact:lost", ""),
    "sense fault read read": ("contact:short contact:closed", "input.clear"),
    "sense fault fault fault": ("contact:short contact:line_open", "input.fault"),
    # REX line
    "rex unread off idle": ("fresh rex:off", ""),
    "rex unread on active": ("fresh rex:on", ""),
    "rex unread fault fault": ("fresh rex:line_open", "input.fault"),
    "rex idle on active": ("rex:on", "rex, RELEASE 3, door.released"),
    "rex idle fault fault": ("rex:short", "input.fault"),
    "rex idle lost unread": ("rex:lost", ""),
    "rex active off idle": ("rex:on rex:off", ""),
    "rex active fault fault": ("rex:on rex:line_open", "input.fault"),
    "rex active lost unread": ("rex:on rex:lost", ""),
    "rex fault off idle": ("rex:line_open rex:off", "input.clear"),
    "rex fault on active": ("rex:line_open rex:on", "input.clear"),
    "rex fault fault fault": ("rex:line_open rex:short", "input.fault"),
}


def tell(door: Any, word: str) -> list[str]:
    """One word of a story."""
    what, _, how = word.partition(":")
    match what:
        case "grant":
            words = door.grant(*how.split())
        case "wait":
            words = door.wait(float(how))
        case "restored":
            words = door.send(LockRestored())
        case _:
            words = getattr(door, what)(how)
    assert isinstance(words, list)
    return words


def test_every_row_has_its_story() -> None:
    rows = {
        f"{region} {row.source} {row.trigger} {row.target}"
        for region, rows in REGIONS.items()
        for row in rows.values()
    }
    assert rows == set(STORIES)


def follow(bench: Any, row: str) -> list[Row[Any]]:
    """Tell the story of a row and check what it says; answers with the rows that its last word took."""
    region, source, _, target = row.split()
    story, expected = STORIES[row]
    words = story.split()
    keys = {"held_open_warning": 0.0} if words[0] == "unwarned" else {}
    door = bench(fresh=words[0] == "fresh", held=words[0] == "held", **keys)
    words = [word for word in words if word not in ("fresh", "held", "unwarned")]
    for word in words[:-1]:
        tell(door, word)
    assert getattr(door.state, region) == source
    taken: list[Row[Any]] = []
    act = machine._Turn._act

    def spy(turn: Any, taking: Row[Any], *rest: Any) -> None:
        taken.append(taking)
        act(turn, taking, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine._Turn, "_act", spy)
        assert ", ".join(tell(door, words[-1])) == expected
    assert getattr(door.state, region) == target
    state = door.state
    assert (state.held_at is not None) is (state.opening in (DoorPosition.OPEN, DoorPosition.WARNED))
    if state.opening is DoorPosition.OPEN and region == "opening":
        assert state.held_at == door.now + state.config.held_open_time
    assert (state.lock_until is not None) is (state.lock in (LockState.STRIKE, LockState.EGRESS))
    assert state.egress_until is None or state.lock is not LockState.LOCKED
    return taken


def row_of(name: str) -> Row[Any]:
    region, source, trigger, _ = name.split()
    return next(row for (_, t), row in REGIONS[region].items() if row.source == source and t == trigger)


@pytest.mark.parametrize("row", STORIES)
def test_row(bench: Any, row: str) -> None:
    """The last word of the story takes exactly this row, from its source to its target."""
    assert row_of(row) in follow(bench, row)


def changed(row: Row[Any]) -> Iterator[Row[Any] | None]:
    """Every small, wrong change of a row: left out, another target, an action missing."""
    yield None
    for target in type(row.target):
        if target is not row.target:
            yield dataclasses.replace(row, target=target)
    for index in range(len(row.actions)):
        yield dataclasses.replace(row, actions=row.actions[:index] + row.actions[index + 1 :])


@pytest.mark.parametrize("name", STORIES)
def test_a_wrong_row_is_noticed_by_its_story(bench: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation testing of this table, which the tool for functions leaves alone (docs/mutation.md)."""
    region, row = name.split()[0].upper(), row_of(name)
    unnoticed = []
    for wrong in changed(row):
        rows = {key: wrong if one is row else one for key, one in REGIONS[region.lower()].items()}
        monkeypatch.setattr(table, region, {key: one for key, one in rows.items() if one is not None})
        try:
            follow(bench, name)
        except AssertionError:
            continue
        unnoticed.append(wrong)
    assert unnoticed == []


def test_every_trigger_is_used_and_explained() -> None:
    used = {trigger for rows in REGIONS.values() for _, trigger in rows}
    assert used == set(Trigger) == set(TRIGGER_TEXT)


def test_the_documentation_is_the_table() -> None:
    text = (ROOT / "docs/doors.md").read_text(encoding="utf-8")
    begin, end = "<!-- table: begin -->\n", "<!-- table: end -->"
    assert text.split(begin)[1].split(end)[0].strip() == table.markdown().strip(), (
        "docs/doors.md is not what `python -m daemon.doors.door.table` prints"
    )


def test_the_module_prints_the_documentation() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "daemon.doors.door.table"], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stdout.decode().strip() == table.markdown().strip()


def test_an_event_that_is_nothing_to_the_door_changes_nothing(bench: Any) -> None:
    door = bench()
    before = door.state
    events: list[DoorEvent] = [Timer(), ModeChanged(before.mode, before.cause)]
    for event in events:
        after, effects = step(before, event, door.now)
        assert dataclasses.asdict(after) == dataclasses.asdict(before)
        assert effects == ()
