"""daemon.doors.floods: what repeats without end is counted; nothing else is ever left out."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import Event, EventName, Reason
from daemon.doors.floods import WINDOW, FloodLimiter

ERROR = Event(EventName.READ_ERROR, door="yard", reader="yard-in", reason=Reason.BAD_FRAME)
ON = Event(EventName.TAMPER_ON, door="lobby", reader="lobby-in")
OFF = Event(EventName.TAMPER_OFF, door="lobby", reader="lobby-in")


def words(events: list[Event]) -> list[str]:
    return [
        f"{dict(one.detail)['state']} {dict(one.detail)['count']}"
        if one.name is EventName.EVENT_FLOOD
        else one.name
        for one in events
    ]


def test_a_few_are_stored_as_they_are_and_a_flood_is_counted_each_minute() -> None:
    limiter, stored, now = FloodLimiter(), [], 0.0
    for _ in range(1800):  # three minutes of ten a second
        stored += limiter.admit([ERROR], now)
        stored += limiter.due(now)
        now += 0.1
    assert len(stored) <= 20 + 4
    assert words(stored)[:21] == ["read.error"] * 20 + ["begins 1"]
    assert [one for one in words(stored) if one.startswith("goes on")] == [
        "goes on 601",
        "goes on 601",
    ]  # the float of a minute


def test_the_last_state_is_stored_when_it_is_over() -> None:
    limiter, stored, now = FloodLimiter(), [], 0.0
    for number in range(101):
        stored += limiter.admit([ON if number % 2 == 0 else OFF], now)
        now += 0.05
    for _ in range(200):
        now += 1.0
        stored += limiter.due(now)
    assert words(stored)[-2:] == ["over 0", "tamper.on"]
    assert stored[-1] == ON
    assert limiter.admit([OFF], now) == [OFF], "and it is stored as before"


def test_honest_readers_are_never_counted() -> None:
    limiter, now = FloodLimiter(), 0.0
    for _ in range(500):
        assert limiter.admit([ERROR], now) == [ERROR]
        now += WINDOW / 19


def test_one_reader_does_not_hide_another() -> None:
    limiter = FloodLimiter()
    for _ in range(100):
        limiter.admit([ERROR], 1.0)
    other = Event(EventName.READ_ERROR, door="gate", reader="gate-in", reason=Reason.BAD_FRAME)
    assert limiter.admit([other], 1.0) == [other]


kept = [name for name in EventName if not name.startswith(("tamper", "input", "read", "board", "event"))]


@settings(max_examples=100)
@given(
    st.lists(
        st.builds(
            Event,
            st.sampled_from(kept),
            reader=st.sampled_from(["a", "b"]),
            person=st.just("u1"),
            reason=st.sampled_from([Reason.GRANTED, Reason.CREDENTIAL_INACTIVE, Reason.PIN_WRONG]),
        ),
        max_size=400,
    )
)
def test_what_concerns_a_person_a_door_or_an_operator_is_always_stored(events: list[Event]) -> None:
    assert FloodLimiter().admit(events, 1.0) == events
