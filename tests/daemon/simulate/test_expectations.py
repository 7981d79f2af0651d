"""A queue of events: the oldest that matches is consumed, and what is left can be told."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from cache.model import Event, EventName, Moment, Reason, Stamp
from daemon.simulate.expectations import SHOWN, Expectations, Happened, UnmetError, event_line, fields_of

AT = datetime(2026, 3, 2, 7, tzinfo=UTC)
ZONE = ZoneInfo("Europe/Berlin")


def happened(name: EventName, **fields: object) -> Happened:
    """An event of that moment."""
    return Happened(Stamp(Moment(AT, 1000.0), "boot-1"), Event(name, **fields))  # type: ignore[arg-type]


REX = happened(EventName.REX, door="lobby")
GRANTED = happened(
    EventName.ACCESS_GRANTED, door="lobby", person="u1", reason=Reason.GRANTED, level="Staff weekdays"
)
OPENED = happened(EventName.DOOR_OPENED, door="lobby", detail=(("found", True),))


def queue(*events: Happened) -> Expectations:
    """Expectations of these events."""
    found = Expectations(ZONE)
    found.add(events)
    return found


def test_the_oldest_that_matches_is_consumed() -> None:
    other = happened(EventName.REX, door="store")
    left = queue(REX, other, REX)
    left.expect("rex", {"door": "lobby"})
    left.expect("rex", {})
    left.expect("rex", {"door": "lobby"})
    with pytest.raises(UnmetError, match="nothing had happened that was not expected"):
        left.expect("rex", {})


def test_every_field_has_to_match() -> None:
    left = queue(GRANTED)
    with pytest.raises(
        UnmetError, match=r'access\.granted door=lobby person=u1 reason=granted level="Staff weekdays"'
    ):
        left.expect("access.granted", {"person": "u1", "level": "Staff"})
    left.expect("access.granted", {"person": "u1", "level": "Staff weekdays"})


def test_expect_no_leaves_what_is_there() -> None:
    left = queue(REX)
    left.expect_no("rex", {"door": "store"})
    with pytest.raises(UnmetError, match="it did happen: 2026-03-02 08:00:00"):
        left.expect_no("rex", {})
    left.expect("rex", {})


def test_quiet_does_not_ask_for_states_and_forgets_them() -> None:
    left = queue(OPENED)
    left.quiet()
    with pytest.raises(UnmetError):
        left.expect("door.opened", {})
    left = queue(OPENED, REX)
    with pytest.raises(UnmetError) as unmet:
        left.quiet()
    assert "rex" in str(unmet.value)
    assert "door.opened" not in str(unmet.value), "what quiet does not ask for would only hide what it does"


def test_clear_and_lose() -> None:
    left = queue(REX, GRANTED)
    left.lose([GRANTED])
    left.expect_no("access.granted", {})
    left.clear()
    left.quiet()


def test_a_long_list_is_cut_to_the_latest() -> None:
    told = queue(*[REX] * (SHOWN + 5)).left()
    assert told.count("rex door=lobby") == SHOWN
    assert told.endswith("(and 5 before these)")


def test_fields_as_text() -> None:
    detail = (("found", True), ("seconds", -3600.0), ("lost", 2.5), ("wrong", 3))
    assert fields_of(Event(EventName.OPERATOR, detail=detail)) == [
        ("found", "true"),
        ("seconds", "-3600"),
        ("lost", "2.5"),
        ("wrong", "3"),
    ]
    assert event_line(REX.stamp, REX.event, ZONE) == "2026-03-02 08:00:00+0100 rex door=lobby"
