"""daemon.decision.schedule in the cases named by people: changes of the clock, special days, exceptions, doors."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cache.model import ALWAYS, NEVER, AccessException, AccessLevel, Interval, Mode, ModeCause, Schedule
from daemon.decision.door_rules import DoorException, DoorPlan, DoorSchedule, Frequency, ModeWindow, Recurrence
from daemon.decision.schedule import (
    HORIZON,
    constant,
    contains,
    instant_of,
    level_next_edge,
    level_open,
    level_time,
    next_edge,
    next_mode_edge,
    scheduled_mode,
    wall_ranges,
)

BERLIN = ZoneInfo("Europe/Berlin")

# ------------------------------------------------------------------ one change of the clock after the other


def wall_intervals(schedule: Schedule, zone: ZoneInfo, day: date) -> list[tuple[str, str]]:
    """The open stretches that start on a day, as a clock on the wall with its offset shows them."""
    at = instant_of(datetime.combine(day, datetime.min.time()), zone) - timedelta(seconds=1)
    stretches: list[tuple[str, str]] = []
    while True:
        start = next_edge(schedule, {}, zone, at)
        if start is None or start.astimezone(zone).date() != day:
            return stretches
        end = next_edge(schedule, {}, zone, start)
        assert end is not None
        stretches.append((f"{start.astimezone(zone):%H:%M%z}", f"{end.astimezone(zone):%H:%M%z}"))
        at = end


def every_day(start: int, end: int) -> Schedule:
    return Schedule("every day", ((Interval(start, end),),) * 7)


SKIPPED, DOUBLED = date(2026, 3, 29), date(2026, 10, 25)
DST_TABLE = [
    ("02:00-03:00", SKIPPED, []),
    ("02:15-02:45", SKIPPED, []),
    ("02:30-04:00", SKIPPED, [("03:00+0200", "04:00+0200")]),
    ("01:00-02:30", SKIPPED, [("01:00+0100", "03:00+0200")]),
    ("02:00-06:00", SKIPPED, [("03:00+0200", "06:00+0200")]),
    ("01:30-03:30", SKIPPED, [("01:30+0100", "03:30+0200")]),
    ("02:00-03:00", DOUBLED, [("02:00+0200", "03:00+0100")]),
    ("02:15-02:45", DOUBLED, [("02:15+0200", "02:45+0200"), ("02:15+0100", "02:45+0100")]),
    ("01:00-02:30", DOUBLED, [("01:00+0200", "02:30+0200"), ("02:00+0100", "02:30+0100")]),
    ("02:30-04:00", DOUBLED, [("02:30+0200", "02:00+0100"), ("02:30+0100", "04:00+0100")]),
    ("01:30-03:30", DOUBLED, [("01:30+0200", "03:30+0100")]),
]
"""Europe/Berlin 2026. docs/access-rules.md prints the same table; test_access_rules_doc.py compares."""


@pytest.mark.parametrize(("text", "day", "expected"), DST_TABLE)
def test_an_interval_on_the_day_the_clock_changes(text: str, day: date, expected: list[tuple[str, str]]) -> None:
    start, end = (int(part[:2]) * 60 + int(part[3:]) for part in text.split("-"))
    assert wall_intervals(every_day(start, end), BERLIN, day) == expected


def test_a_date_that_does_not_exist_leaves_the_night_that_starts_on_it_to_the_next() -> None:
    apia = ZoneInfo("Pacific/Apia")
    friday_night = Schedule("friday night", ((), (), (), (), (Interval(1320, 360),), (), ()))
    saturday = instant_of(datetime(2011, 12, 31), apia)
    assert saturday == instant_of(datetime(2011, 12, 30, 22), apia)
    assert contains(friday_night, {}, apia, saturday)
    assert not contains(friday_night, {}, apia, saturday - timedelta(seconds=1))
    assert next_edge(friday_night, {}, apia, saturday) == instant_of(datetime(2011, 12, 31, 6), apia)


def test_instants_of_wall_times_that_are_skipped_or_doubled() -> None:
    gap_end = datetime(2026, 3, 29, 1, tzinfo=UTC)
    assert instant_of(datetime(2026, 3, 29, 2), BERLIN) == gap_end
    assert instant_of(datetime(2026, 3, 29, 2, 30), BERLIN) == gap_end
    assert instant_of(datetime(2026, 3, 29, 2, 59), BERLIN, end=True) == gap_end
    assert instant_of(datetime(2026, 3, 29, 3), BERLIN) == gap_end
    assert instant_of(datetime(2026, 10, 25, 2, 30), BERLIN) == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert instant_of(datetime(2026, 10, 25, 2, 30), BERLIN, end=True) == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)
    assert instant_of(datetime(2026, 6, 1, 8), BERLIN, end=True) == datetime(2026, 6, 1, 6, tzinfo=UTC)


# ------------------------------------------------------------------ what docs/glossary.md says, case by case


OFFICE = Schedule("office", ((Interval(480, 1080),),) * 5 + ((), ()))
NIGHT = Schedule("night", ((Interval(1320, 360),),) * 5 + ((), ()))


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)


def test_the_end_is_exclusive() -> None:
    assert contains(OFFICE, {}, BERLIN, berlin("2026-03-02T08:00"))
    assert contains(OFFICE, {}, BERLIN, berlin("2026-03-02T17:59:59.999999"))
    assert not contains(OFFICE, {}, BERLIN, berlin("2026-03-02T18:00"))
    assert not contains(OFFICE, {}, BERLIN, berlin("2026-03-02T07:59:59"))


def test_an_interval_across_midnight_belongs_to_its_first_weekday() -> None:
    assert contains(NIGHT, {}, BERLIN, berlin("2026-03-07T05:59"))  # Saturday, from Friday
    assert not contains(NIGHT, {}, BERLIN, berlin("2026-03-07T06:00"))
    assert not contains(NIGHT, {}, BERLIN, berlin("2026-03-09T05:59"))  # Monday, nothing on Sunday
    assert not contains(NIGHT, {}, BERLIN, berlin("2026-03-07T22:00"))


def test_equal_start_and_end_are_a_whole_day() -> None:
    one = Schedule("one", ((Interval(600, 600),), (), (), (), (), (), ()))
    assert next_edge(one, {}, BERLIN, berlin("2026-03-02T09:00")) == berlin("2026-03-02T10:00")
    assert next_edge(one, {}, BERLIN, berlin("2026-03-02T10:00")) == berlin("2026-03-03T10:00")


def test_the_end_of_the_day_is_no_edge_where_the_next_day_goes_on() -> None:
    assert next_edge(every_day(0, 1440), {}, BERLIN, berlin("2026-03-02T10:00")) is None
    assert constant(every_day(0, 0)) is True
    two = Schedule("two", ((Interval(600, 1440),), (Interval(0, 300),), (), (), (), (), ()))
    assert next_edge(two, {}, BERLIN, berlin("2026-03-02T10:00")) == berlin("2026-03-03T05:00")


def test_a_special_day_replaces_what_starts_on_its_date_and_nothing_else() -> None:
    closed = {date(2026, 3, 3): ()}
    assert contains(NIGHT, closed, BERLIN, berlin("2026-03-03T03:00"))  # the night of Monday goes on
    assert not contains(NIGHT, closed, BERLIN, berlin("2026-03-03T23:00"))
    assert not contains(NIGHT, closed, BERLIN, berlin("2026-03-04T03:00"))
    late = {date(2026, 3, 7): (Interval(1380, 60),)}
    assert contains(NIGHT, late, BERLIN, berlin("2026-03-08T00:59"))
    assert not contains(NIGHT, late, BERLIN, berlin("2026-03-08T01:00"))


def test_edges_are_found_behind_a_special_day_years_ahead() -> None:
    closed = {date(2030, 12, 25): ()}
    now = berlin("2026-03-02T10:00")
    assert next_edge(ALWAYS, closed, BERLIN, now) == berlin("2030-12-25T00:00")
    assert next_edge(ALWAYS, closed, BERLIN, berlin("2030-12-25T00:00")) == berlin("2030-12-26T00:00")
    assert next_edge(ALWAYS, closed, BERLIN, berlin("2030-12-26T00:00")) is None
    assert next_edge(NEVER, {}, BERLIN, now) is None
    many = {date(2026, 3, 2) + timedelta(days=n): () for n in range(1, 60)}
    assert next_edge(OFFICE, many, BERLIN, berlin("2026-03-02T18:00")) == berlin("2026-05-01T08:00")


def level(**changed: object) -> AccessLevel:
    return AccessLevel("L", frozenset({"G"}), frozenset({"D"}), **changed)  # type: ignore[arg-type]


def test_an_exception_overrides_special_day_and_schedule_for_its_instants() -> None:
    gives = AccessException(berlin("2026-03-02T20:00"), berlin("2026-03-02T23:00"), True)
    takes = AccessException(berlin("2026-03-02T09:00"), berlin("2026-03-02T10:00"), False)
    one = level(schedule=OFFICE, special_days={date(2026, 3, 2): (Interval(540, 720),)}, exceptions=(gives, takes))
    assert level_time(one, BERLIN, berlin("2026-03-02T08:30")).cause is ModeCause.SPECIAL_DAY
    assert not level_open(one, BERLIN, berlin("2026-03-02T08:30"))
    assert not level_open(one, BERLIN, berlin("2026-03-02T09:30"))
    assert level_open(one, BERLIN, berlin("2026-03-02T10:00"))
    assert level_time(one, BERLIN, berlin("2026-03-02T22:59:59")).exception is gives
    assert not level_open(one, BERLIN, berlin("2026-03-02T23:00"))
    assert level_time(one, BERLIN, berlin("2026-03-03T09:00")).cause is ModeCause.SCHEDULE


def test_of_overlapping_exceptions_the_one_that_takes_access_wins() -> None:
    span = berlin("2026-03-02T09:00"), berlin("2026-03-02T10:00")
    for order in ((True, False), (False, True)):
        one = level(exceptions=tuple(AccessException(*span, access) for access in order))
        assert not level_open(one, BERLIN, span[0])


def test_an_exception_of_years_is_stepped_over_at_once() -> None:
    long = AccessException(berlin("2026-01-01T00:00"), berlin("2036-01-01T00:00"), False)
    assert level_next_edge(
        level(schedule=OFFICE, exceptions=(long,)), BERLIN, berlin("2026-03-02T09:00")
    ) == berlin("2036-01-01T08:00")


# ------------------------------------------------------------------ doors


def test_a_door_exception_replaces_the_whole_day_also_the_rest_of_the_night_before() -> None:
    plan = DoorPlan(
        Mode.LOCKED,
        (DoorSchedule(NIGHT, Mode.UNLOCKED),),
        (DoorException((ModeWindow(Interval(600, 840), Mode.UNLOCKED),), frozenset({date(2026, 3, 3)})),),
    )
    times = ("2026-03-02T23:59", "2026-03-03T00:00", "2026-03-03T10:00", "2026-03-03T23:00", "2026-03-04T01:00")
    found = [(text, scheduled_mode(plan, BERLIN, berlin(text))) for text in times]
    shown = [(text, mode.mode, mode.cause) for text, mode in found]
    assert shown == [
        ("2026-03-02T23:59", Mode.UNLOCKED, ModeCause.SCHEDULE),
        ("2026-03-03T00:00", Mode.LOCKED, ModeCause.EXCEPTION),
        ("2026-03-03T10:00", Mode.UNLOCKED, ModeCause.EXCEPTION),
        ("2026-03-03T23:00", Mode.LOCKED, ModeCause.EXCEPTION),
        ("2026-03-04T01:00", Mode.LOCKED, ModeCause.DEFAULT),
    ]


def test_a_special_day_of_a_door_schedule_is_stronger_than_another_schedule() -> None:
    special = {date(2026, 3, 3): (Interval(480, 720),)}
    plan = DoorPlan(
        Mode.LOCKED,
        (DoorSchedule(OFFICE, Mode.UNLOCKED, special), DoorSchedule(ALWAYS, Mode.CARD_AND_PIN)),
    )
    assert scheduled_mode(plan, BERLIN, berlin("2026-03-03T09:00")).mode is Mode.UNLOCKED
    assert scheduled_mode(plan, BERLIN, berlin("2026-03-03T13:00")).mode is Mode.CARD_AND_PIN
    assert scheduled_mode(plan, BERLIN, berlin("2026-03-04T09:00")).mode is Mode.CARD_AND_PIN  # strictest of two


def test_door_exceptions_by_range_and_by_recurrence() -> None:
    fridays = Recurrence(Frequency.MONTHLY, by_day=((-1, 4),))
    window_ = (ModeWindow(Interval(0, 1440), Mode.BLOCKED),)
    by_range = DoorPlan(exceptions=(DoorException(window_, first=date(2026, 3, 3), last=date(2026, 3, 4)),))
    blocked = [
        day
        for day in range(1, 8)
        if scheduled_mode(by_range, BERLIN, berlin(f"2026-03-0{day}T12:00")).mode is Mode.BLOCKED
    ]
    assert blocked == [3, 4]
    recurring = DoorPlan(
        exceptions=(DoorException(window_, first=date(2026, 1, 1), last=date(2026, 5, 1), recurrence=fridays),)
    )
    edges = [next_mode_edge(recurring, BERLIN, berlin("2026-03-02T12:00"))]
    for _ in range(3):
        assert edges[-1] is not None
        edges.append(next_mode_edge(recurring, BERLIN, edges[-1]))
    assert edges == [berlin(f"2026-{day}T00:00") for day in ("03-27", "03-28", "04-24", "04-25")]
    assert next_mode_edge(recurring, BERLIN, berlin("2026-06-01T00:00")) == berlin("2026-06-01T00:00") + HORIZON
    assert next_mode_edge(DoorPlan(), BERLIN, berlin("2026-06-01T00:00")) is None


def test_a_year_of_edges_is_walked_in_full() -> None:
    """No tight clock here: the walk is a thousand steps, and each must be found without stepping by minutes."""
    busy = Schedule("busy", (*((Interval(480, 720), Interval(780, 1080)),) * 5, (), ()))
    at: datetime | None = berlin("2026-01-01T00:00")
    count = 0
    while at is not None and at < berlin("2027-01-01T00:00"):
        at = next_edge(busy, {}, BERLIN, at)
        count += 1
    assert count == 261 * 4 + 1  # 261 weekdays in 2026, and the edge that ends the walk


def test_of_two_exceptions_on_a_day_the_strictest_window_wins_and_the_one_from_the_day_before_is_over() -> None:
    day, before = date(2026, 3, 3), date(2026, 3, 2)
    whole = Interval(600, 600)  # equal times: until the same time of the next day
    plan = DoorPlan(
        exceptions=(
            DoorException((ModeWindow(whole, Mode.BLOCKED),), frozenset({before})),
            DoorException((ModeWindow(Interval(540, 660), Mode.CARD_AND_PIN),), frozenset({day})),
            DoorException((ModeWindow(Interval(540, 720), Mode.UNLOCKED),), frozenset({day})),
        )
    )
    expected = [
        ("2026-03-02T09:59", Mode.LOCKED),
        ("2026-03-02T10:00", Mode.BLOCKED),
        ("2026-03-02T23:59", Mode.BLOCKED),
        ("2026-03-03T00:00", Mode.LOCKED),
        ("2026-03-03T09:59", Mode.CARD_AND_PIN),
        ("2026-03-03T10:00", Mode.CARD_AND_PIN),
        ("2026-03-03T11:00", Mode.UNLOCKED),
        ("2026-03-03T12:00", Mode.LOCKED),
    ]
    assert [(at, scheduled_mode(plan, BERLIN, berlin(at)).mode) for at, _ in expected] == expected
    found = scheduled_mode(plan, BERLIN, berlin("2026-03-03T10:00"))
    assert (found.cause, found.name) == (ModeCause.EXCEPTION, "exception")


NIGHTS = DoorSchedule(Schedule("nights", ((Interval(1320, 360),),) * 7), Mode.UNLOCKED)
NIGHT_PIN = ModeWindow(Interval(1200, 120), Mode.CARD_AND_PIN)


def owned(day: int, *windows: ModeWindow, more: tuple[int, ...] = ()) -> DoorException:
    return DoorException(windows, frozenset({date(2026, 3, day), *(date(2026, 3, one) for one in more)}))


@pytest.mark.parametrize(
    ("exceptions", "expected"),
    [
        # A date that is owned: the night before ends at its midnight, its own regular night does not begin.
        (
            (owned(3),),
            {
                "02T23:59": Mode.UNLOCKED,
                "03T00:00": Mode.LOCKED,
                "03T23:00": Mode.LOCKED,
                "04T00:30": Mode.LOCKED,
                "04T05:59": Mode.LOCKED,
                "04T22:00": Mode.UNLOCKED,
            },
        ),
        # Its own window runs past midnight, and is stronger than what the next date has.
        (
            (owned(3, NIGHT_PIN),),
            {"03T20:00": Mode.CARD_AND_PIN, "04T01:59": Mode.CARD_AND_PIN, "04T02:00": Mode.LOCKED},
        ),
        # Two exceptions on two dates: each owns its own, from its midnight on.
        (
            (owned(3, NIGHT_PIN), owned(4)),
            {
                "03T23:59": Mode.CARD_AND_PIN,
                "04T00:00": Mode.LOCKED,
                "04T23:00": Mode.LOCKED,
                "05T01:00": Mode.LOCKED,
            },
        ),
        # One exception on both dates: its own windows run on.
        (
            (owned(3, NIGHT_PIN, more=(4,)),),
            {"04T01:00": Mode.CARD_AND_PIN, "04T02:00": Mode.LOCKED, "05T01:59": Mode.CARD_AND_PIN},
        ),
        (
            (owned(3, NIGHT_PIN, more=(4,)), owned(4)),
            {"04T01:00": Mode.CARD_AND_PIN, "04T02:00": Mode.LOCKED},
        ),
    ],
)
def test_a_door_exception_owns_its_date(exceptions: tuple[DoorException, ...], expected: dict[str, Mode]) -> None:
    plan = DoorPlan(Mode.LOCKED, (NIGHTS,), exceptions)
    assert {at: scheduled_mode(plan, BERLIN, berlin(f"2026-03-{at}")).mode for at in expected} == expected


HAVANA = ZoneInfo("America/Havana")


def shown_ranges(zone: ZoneInfo, start: str, end: str) -> list[str]:
    ranges = wall_ranges(datetime.fromisoformat(start), datetime.fromisoformat(end), zone)
    return [f"{a.astimezone(zone):%d %H:%M%z} - {b.astimezone(zone):%d %H:%M%z}" for a, b in ranges]


def test_an_end_that_occurs_twice_is_over_at_the_first() -> None:
    assert shown_ranges(HAVANA, "2026-10-31T20:00", "2026-11-01T00:00") == ["31 20:00-0400 - 01 00:00-0400"]
    assert shown_ranges(BERLIN, "2026-10-24T20:00", "2026-10-25T02:00") == ["24 20:00+0200 - 25 02:00+0200"]


def test_what_lies_in_the_doubled_hour_is_inside_in_both_passes() -> None:
    both = ["25 02:15+0200 - 25 02:45+0200", "25 02:15+0100 - 25 02:45+0100"]
    assert shown_ranges(BERLIN, "2026-10-25T02:15", "2026-10-25T02:45") == both
    assert shown_ranges(BERLIN, "2026-10-25T01:00", "2026-10-25T04:00") == ["25 01:00+0200 - 25 04:00+0100"]
    late = ["25 02:30+0200 - 25 02:00+0100", "25 02:30+0100 - 25 05:00+0100"]
    assert shown_ranges(BERLIN, "2026-10-25T02:30", "2026-10-25T05:00") == late
    early = ["25 01:00+0200 - 25 02:30+0200", "25 02:00+0100 - 25 02:30+0100"]
    assert shown_ranges(BERLIN, "2026-10-25T01:00", "2026-10-25T02:30") == early


def test_bounds_that_do_not_exist_are_the_end_of_the_gap() -> None:
    assert shown_ranges(BERLIN, "2026-03-29T02:15", "2026-03-29T04:00") == ["29 03:00+0200 - 29 04:00+0200"]
    assert shown_ranges(BERLIN, "2026-03-29T01:00", "2026-03-29T02:30") == ["29 01:00+0100 - 29 03:00+0200"]
    assert shown_ranges(BERLIN, "2026-03-29T02:15", "2026-03-29T02:45") == []
    assert shown_ranges(BERLIN, "2026-03-02T08:00", "2026-03-03T09:00") == ["02 08:00+0100 - 03 09:00+0100"]
