"""A site file that would hold two doors of one interlock released at the same time is refused; one may be."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cache.model import ALWAYS, Interval, Mode, Schedule
from daemon.config.interlocks import first_meeting
from daemon.config.load import SiteFileError, read_site
from daemon.decision.door_rules import DoorException, DoorPlan, DoorSchedule, Frequency, ModeWindow, Recurrence
from daemon.decision.recurrence import parse_recurrence
from daemon.decision.schedule import instant_of, scheduled_mode

BERLIN = ZoneInfo("Europe/Berlin")

SITE = """
allow_simulation = true
[site]
name = "Trap"
timezone = "Europe/Berlin"
key = "env:NOT_NEEDED"
[bus.io]
driver = "sim"
[board.main]
bus = "io"
outputs = 8
[reader.a-in]
bus = "io"
[reader.b-in]
bus = "io"
[reader.c-in]
bus = "io"
[door.a]
entry = "a-in"
lock = "main.out1"
[door.b]
entry = "b-in"
lock = "main.out2"
[door.c]
entry = "c-in"
lock = "main.out3"
[schedule.mornings]
mon-fri = ["09:00-11:00"]
[schedule.late]
wed = ["10:30-12:00"]
[schedule.after]
mon-fri = ["11:00-12:00"]
[schedule.night]
tue = ["22:00-09:30"]
[special_days.closing]
2026-12-23 = ["10:00-12:00"]
[[interlock]]
doors = ["a", "b"]
"""


def opens(door: str, schedule: str, *more: str) -> str:
    return "\n".join(
        ["", "[[door_schedule]]", f'door = "{door}"', f'schedule = "{schedule}"', 'mode = "unlocked"', *more]
    )


def excepted(door: str, dates: str, at: str, mode: str = "unlocked") -> str:
    windows = f'windows = [{{ at = "{at}", mode = "{mode}" }}]'
    return "\n".join(["", "[[door_exception]]", f'door = "{door}"', dates, windows])


def default(site: str, door: str) -> str:
    return site.replace(f"[door.{door}]\n", f'[door.{door}]\nmode = "unlocked"\n')


A_MORNINGS = SITE + opens("a", "mornings")
IN_DEFAULT = default(SITE, "a")
LEAP_DAYS = 'from = 2026-01-01\nrecurrence = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29"'
FRIDAY, SATURDAY, SUNDAY = (f"dates = [2026-11-{day}]" for day in (27, 28, 29))
WAITS_LOCKED = opens("a", "always", 'first_person_in = ["Staff"]').replace("unlocked", "locked")

REFUSED = [
    (A_MORNINGS + opens("b", "late"), "mornings", "late", "a Wednesday at 10:30"),
    (A_MORNINGS + opens("b", "night"), "mornings", "night", "a Wednesday at 09:00"),
    (A_MORNINGS + opens("b", "late", 'first_person_in = ["Staff"]'), "mornings", "late", "a Wednesday at 10:30"),
    (A_MORNINGS + opens("b", "never", 'special_days = ["closing"]'), "mornings", "never", "2026-12-23 at 10:00"),
    (A_MORNINGS + excepted("b", FRIDAY, "10:00-23:00"), "mornings", "a door exception", "2026-11-27 at 10:00"),
    (A_MORNINGS + excepted("b", SUNDAY, "22:00-09:30"), "mornings", "a door exception", "2026-11-30 at 09:00"),
    (A_MORNINGS + excepted("b", LEAP_DAYS, "10:00-11:00"), "mornings", "a door exception", "2028-02-29 at 10:00"),
    (IN_DEFAULT + opens("b", "late"), "its default mode", "late", "a Wednesday at 10:30"),
    (default(IN_DEFAULT, "b"), "its default mode", "its default mode", "a Monday at 00:00"),
    # until the first person comes, the default mode holds
    (IN_DEFAULT + WAITS_LOCKED + opens("b", "late"), "its default mode", "late", "a Wednesday at 10:30"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "first", "second", "when"), REFUSED, ids=[f"{r[2]}-{r[3]}" for r in REFUSED])
def test_two_doors_of_a_set_held_released_at_the_same_time(text: str, first: str, second: str, when: str) -> None:
    with pytest.raises(SiteFileError) as refused:
        read_site(text, "site.toml", None)
    ((line, fault),) = refused.value.faults
    assert fault.key == "interlock[1].doors"
    assert text.splitlines()[line - 1] == 'doors = ["a", "b"]'
    named = [name if " " in name else f'schedule "{name}"' for name in (first, second)]
    assert f'door "a" ({named[0]}) and door "b" ({named[1]}) would be held released' in fault.text
    assert f"first on {when};" in fault.text


ACCEPTED = [
    A_MORNINGS,
    IN_DEFAULT,
    A_MORNINGS + opens("b", "after"),
    A_MORNINGS + opens("b", "late").replace("unlocked", "card_and_pin"),
    A_MORNINGS + opens("c", "late"),
    A_MORNINGS + opens("a", "late"),
    A_MORNINGS + excepted("b", SATURDAY, "10:00-23:00"),
    A_MORNINGS + excepted("b", FRIDAY, "10:00-23:00", "blocked"),
    # on that date the exception of a replaces its morning
    A_MORNINGS + excepted("b", FRIDAY, "10:00-23:00") + excepted("a", FRIDAY, "06:00-09:00"),
]  # fmt: skip


@pytest.mark.parametrize("text", ACCEPTED)
def test_what_never_meets_and_one_such_door_are_accepted(text: str) -> None:
    assert read_site(text, "site.toml", None).tables.interlock


def test_each_pair_is_named_and_a_door_in_no_set_is_free() -> None:
    text = A_MORNINGS.replace('["a", "b"]', '["a", "b", "c"]') + opens("b", "mornings") + opens("c", "mornings")
    with pytest.raises(SiteFileError) as refused:
        read_site(text, "site.toml", None)
    assert len(refused.value.faults) == 3


def test_another_fault_of_the_times_is_reported_alone() -> None:
    with pytest.raises(SiteFileError) as refused:
        read_site(A_MORNINGS + opens("b", "later"), "site.toml", None)
    assert [fault.key for _, fault in refused.value.faults] == ["door_schedule[2].schedule"]


def test_a_window_inside_the_hour_that_a_date_does_not_have() -> None:
    spring = date(2026, 3, 29)
    at_night = DoorException((ModeWindow(Interval(130, 170), Mode.UNLOCKED),), frozenset({spring}))
    longer = DoorException((ModeWindow(Interval(150, 200), Mode.UNLOCKED),), frozenset({spring}))
    always = DoorPlan(schedules=(DoorSchedule(ALWAYS, Mode.UNLOCKED),))
    assert first_meeting((always, DoorPlan(exceptions=(at_night,))), BERLIN) is None
    met = first_meeting((always, DoorPlan(exceptions=(longer,))), BERLIN)
    assert met is not None
    assert met.at == datetime(2026, 3, 29, 3, 0, tzinfo=BERLIN)


def test_five_recurrences_of_every_day_are_compared_at_once() -> None:
    first = date(2026, 1, 1)
    rules = [parse_recurrence(f"FREQ=DAILY;INTERVAL={number}", first) for number in range(1, 6)]
    one, other = (
        DoorPlan(exceptions=tuple(DoorException((window,), first=first, recurrence=rule) for rule in rules))
        for window in (ModeWindow(Interval(at, at + 60), Mode.UNLOCKED) for at in (480, 540))
    )
    assert first_meeting((one, other), BERLIN) is None


# ------------------------------------------------------------------ against every quarter of an hour

intervals = st.builds(
    Interval, st.integers(0, 95).map(lambda n: n * 15), st.integers(1, 96).map(lambda n: n * 15)
).filter(lambda one: one.start != one.end)
modes = st.sampled_from([Mode.UNLOCKED, Mode.LOCKED, Mode.BLOCKED])
near = st.integers(0, 20).map(lambda n: date(2026, 3, 20) + timedelta(days=n))
days = st.one_of(st.just(()), st.tuples(intervals))
weeks = st.tuples(*[days] * 7)
schedules = st.builds(
    lambda week, mode, special, groups: DoorSchedule(Schedule("s", week), mode, special, groups),
    weeks,
    modes,
    st.dictionaries(near, days, max_size=2),
    st.sampled_from([frozenset(), frozenset({"Staff"})]),
)
recurrences = st.sampled_from([None, Recurrence(Frequency.DAILY, 3, until=date(2026, 4, 8))])
exceptions = st.builds(
    lambda windows, first, length, rule: DoorException(
        windows, first=first, last=first + timedelta(days=length), recurrence=rule
    ),
    st.lists(st.builds(ModeWindow, intervals, modes), max_size=2).map(tuple),
    near,
    st.integers(0, 4),
    recurrences,
)
plans = st.builds(
    DoorPlan,
    st.sampled_from([Mode.LOCKED, Mode.LOCKED, Mode.UNLOCKED]),
    st.lists(schedules, max_size=2).map(tuple),
    st.lists(exceptions, max_size=2).map(tuple),
)


def released(plan: DoorPlan, at: datetime) -> bool:
    found = scheduled_mode(plan, BERLIN, at)
    return found.mode is Mode.UNLOCKED or (bool(found.first_person_in) and plan.default is Mode.UNLOCKED)


@settings(max_examples=60, deadline=None)
@given(plans, plans)
def test_a_meeting_is_found_where_a_look_at_every_quarter_finds_one(one: DoorPlan, other: DoorPlan) -> None:
    start = instant_of(datetime(2026, 3, 9), BERLIN)
    looks = (start + timedelta(minutes=15 * number) for number in range(96 * 42))
    seen = next((at for at in looks if released(one, at) and released(other, at)), None)
    met = first_meeting((one, other), BERLIN)
    assert (met is None) == (seen is None)
    if met is not None:
        assert released(one, met.at)
        assert released(other, met.at)
