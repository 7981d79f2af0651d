"""Door modes, the age of the cache and the quality of the clock: answers by hand."""

from __future__ import annotations

from tests.corpus.layout import PEOPLE, Tables, file, level, site

MODES = """
    note: default mode, schedule, and the strictest where they overlap
    2026-03-02T07:59 granted mode_by_clock=locked
    2026-03-02T08:00 granted mode_by_clock=unlocked
    2026-03-02T12:00 granted mode_by_clock=locked
    2026-03-02T13:00 granted mode_by_clock=unlocked
    2026-03-02T18:00 granted mode_by_clock=locked
    2026-03-02T22:00 door_blocked mode_by_clock=blocked
    2026-03-03T05:59:59 door_blocked mode_by_clock=blocked
    2026-03-03T06:00 granted mode_by_clock=locked
    2026-03-07T12:00 granted mode_by_clock=locked
    note: reads at an unlocked door are decided as ever
    2026-03-02T09:00 no_access_here card=b mode_by_clock=unlocked
    2026-03-02T09:00 unknown_credential card=z mode_by_clock=unlocked
    note: a special day replaces the schedule that names it, the others stand
    2026-12-24T08:30 granted mode_by_clock=locked
    2026-12-24T09:00 granted mode_by_clock=unlocked
    2026-12-24T11:00 granted mode_by_clock=locked
    2026-12-24T22:30 door_blocked mode_by_clock=blocked
    2026-12-25T10:00 granted mode_by_clock=locked
    2026-12-25T23:00 door_blocked mode_by_clock=blocked
    note: a door exception owns its date: the night before ends, and the night of that date does not begin
    2026-12-30T23:59 door_blocked mode_by_clock=blocked
    2026-12-31T00:00 granted mode_by_clock=locked
    2026-12-31T09:00 granted mode_by_clock=locked
    2026-12-31T10:00 granted mode_by_clock=unlocked
    2026-12-31T14:00 granted mode_by_clock=locked
    2026-12-31T23:00 granted mode_by_clock=locked
    2027-01-01T00:00 granted mode_by_clock=locked
    2027-01-01T22:00 door_blocked mode_by_clock=blocked
    note: a range of dates, both inclusive; a window runs on into the next day and is stronger there
    2027-01-31T22:59 door_blocked mode_by_clock=blocked
    2027-02-01T09:00 granted mode_by_clock=locked
    2027-02-01T23:00 need_pin mode_by_clock=card_and_pin
    2027-02-02T00:59 need_pin mode_by_clock=card_and_pin
    2027-02-02T01:00 granted mode_by_clock=locked
    2027-02-03T00:30 need_pin mode_by_clock=card_and_pin
    2027-02-03T01:00 granted mode_by_clock=locked
    2027-02-03T09:00 granted mode_by_clock=unlocked
    note: a recurrence with a count: 26 March and 30 April
    2027-03-25T09:00 granted mode_by_clock=unlocked
    2027-03-26T09:00 door_blocked mode_by_clock=blocked
    2027-03-27T07:00 granted mode_by_clock=locked
    2027-04-30T23:59 door_blocked mode_by_clock=blocked
    2027-05-28T09:00 granted mode_by_clock=unlocked
    note: lockdown beats everything below; the exempt need their access level all the same
    2026-03-02T09:00 lockdown mode=lockdown
    2026-03-02T09:00 granted mode=lockdown card=c person=carla
    2026-03-02T09:00 no_access_here mode=lockdown card=b
    2026-03-02T09:00 lockdown mode=lockdown card=e
    note: a lockdown takes no factor away, and lets nobody pass whom the mode beneath it would not
    2026-03-02T09:00 need_pin mode=lockdown beneath=card_and_pin card=c person=carla
    2026-03-02T09:00 granted mode=lockdown beneath=locked card=c
    2026-03-02T09:00 door_blocked mode=lockdown beneath=blocked card=c
    2026-03-02T22:30 door_blocked mode=lockdown card=c mode_by_clock=blocked
    2026-03-02T09:00 lockdown mode=lockdown beneath=blocked
    note: an override is what somebody ordered, whatever the clock says
    2026-03-02T09:00 door_blocked mode=blocked
    2026-03-02T09:00 door_blocked mode=blocked card=c
    2026-03-02T22:30 granted mode=unlocked mode_by_clock=blocked
    2026-03-02T22:30 granted mode=locked mode_by_clock=blocked
    2026-03-02T09:00 need_pin mode=card_and_pin
"""


def modes() -> Tables:
    return file(
        "Door modes",
        site(
            door={"lockdown_exempt": ["Security", "g2"]},
            schedule={
                "office": {"mon-fri": ["08:00-18:00"]},
                "night": {"mon-sun": ["22:00-06:00"]},
                "lunch": {"mon-fri": ["12:00-13:00"]},
            },
            special_days={"holidays": {"2026-12-25": [], "2026-12-24": ["09:00-11:00"]}},
            access_level=[level("Staff always"), level("Security always", ["Security"])],
            door_schedule=[
                {"door": "lobby", "schedule": "office", "mode": "unlocked", "special_days": ["holidays"]},
                {"door": "lobby", "schedule": "night", "mode": "blocked"},
                {"door": "lobby", "schedule": "lunch", "mode": "locked"},
            ],
            door_exception=[
                {"door": "lobby", "dates": ["2026-12-31"], "windows": [{"at": "10:00-14:00", "mode": "unlocked"}]},
                {
                    "door": "lobby",
                    "from": "2027-02-01",
                    "until": "2027-02-02",
                    "windows": [{"at": "23:00-01:00", "mode": "card_and_pin"}],
                },
                {
                    "door": "lobby",
                    "from": "2027-03-01",
                    "recurrence": "FREQ=MONTHLY;BYDAY=-1FR;COUNT=2",
                    "windows": [{"at": "00:00-24:00", "mode": "blocked"}],
                },
            ],
        ),
        MODES,
        "mode",
    )


def freshness() -> Tables:
    return file(
        "Age of the cache",
        site(
            staleness={"degrade_after": "72h", "deny_after": "30d"},
            access_level=[
                level("Staff"),
                level("Essential", ["Cleaning"], essential=True),
                level("Holds for ever", ["Security"], staleness={}),
                level("Strict", ["Vault"], staleness={"deny_after": "1h"}, essential=True),
            ],
        ),
        """
        note: after 72 hours only essential levels, after 30 days none
        2026-03-10T12:00 granted synced=2026-03-10T12:00
        2026-03-10T12:00 granted synced=2026-03-07T12:00:01
        2026-03-10T12:00 stale_cache synced=2026-03-07T12:00 level=Staff
        2026-03-10T12:00 stale_cache synced=2026-02-01T12:00
        2026-03-10T12:00 stale_cache synced=never
        2026-03-10T12:00 granted synced=2026-03-07T12:00 card=b
        2026-03-10T12:00 granted synced=2026-02-08T12:00:01 card=b
        2026-03-10T12:00 stale_cache synced=2026-02-08T12:00 card=b
        2026-03-10T12:00 stale_cache synced=never card=b
        note: a level's own policy counts instead, as a whole; an empty one holds for ever
        2026-03-10T12:00 granted synced=2020-01-01T00:00 card=c
        2026-03-10T12:00 granted synced=never card=c
        2026-03-10T12:00 granted synced=2026-03-10T11:00:01 card=d level=Staff
        2026-03-10T12:00 granted synced=2026-03-10T11:00 card=d level=Staff
        note: a sync from the future is fresh, other reasons are as ever
        2026-03-10T12:00 granted synced=2026-03-11T12:00
        2026-03-10T12:00 no_access_here synced=2026-02-01T12:00 card=e
        2026-03-10T12:00 unknown_credential synced=2026-02-01T12:00 card=z
        """,
        "age",
    )


def door_freshness() -> Tables:
    return file(
        "Age of the cache, by door",
        site(
            door={"staleness": {"degrade_after": "1h"}},
            staleness={"deny_after": "2h"},
            schedule={"office": {"mon-fri": ["08:00-18:00"]}},
            access_level=[
                level("Staff office", schedule="office"),
                level("Essential", ["Cleaning"], essential=True),
            ],
        ),
        """
        note: the door's policy counts instead of the site's
        2026-03-10T12:00 granted synced=2026-03-10T11:00:01
        2026-03-10T12:00 stale_cache synced=2026-03-10T11:00
        2026-03-10T12:00 granted synced=2026-03-01T11:00 card=b
        note: a closed level is outside its schedule, however old the cache
        2026-03-10T19:00 outside_schedule synced=2026-03-01T11:00
        """,
        "door-age",
    )


CLOCK_PEOPLE: Tables = {
    **PEOPLE,
    "visitor": {"groups": ["g3"], "cards": [{"card": "v", "valid_until": "2026-03-02T12:00:00+01:00"}]},
    "lost": {
        "groups": ["g3"],
        "cards": [{"card": "l", "state": "lost", "valid_until": "2026-03-02T12:00:00+01:00"}],
    },
}


def clock(policy: str, table: str) -> Tables:
    return file(
        f"A clock that was never set: {policy}",
        site(
            clock={"untrusted": policy},
            schedule={"office": {"mon-fri": ["08:00-18:00"]}},
            special_days={"holidays": {"2026-12-25": []}},
            access_level=[
                level("Staff office", schedule="office"),
                level("Cleaning never", ["Cleaning"], schedule="never"),
                level("Security always", ["Security"]),
                level("Vault but holidays", ["Vault"], special_days=["holidays"]),
            ],
        ),
        table,
        f"clock-{policy.replace('_', '-')}",
        CLOCK_PEOPLE,
    )


DENY_TIME_BOUND = """
    note: rules without time bounds work, the others deny
    2026-03-02T09:00 clock_untrusted clock=never_set level="Staff office"
    2026-03-02T20:00 clock_untrusted clock=never_set
    1970-01-01T00:00 granted clock=never_set card=c
    2026-03-02T09:00 outside_schedule clock=never_set card=b
    2026-03-02T09:00 clock_untrusted clock=never_set card=d
    2026-03-02T09:00 clock_untrusted clock=never_set card=v person=visitor
    2026-03-02T09:00 credential_inactive clock=never_set card=l
    note: a clock in holdover is believed
    2026-03-02T09:00 granted clock=holdover
    2026-03-02T20:00 outside_schedule clock=holdover
    2026-03-02T09:00 granted clock=holdover card=v
    2026-03-02T12:00 credential_expired clock=holdover card=v
"""
IGNORE_TIME = """
    note: time-bound rules count as open and valid; never stays never
    2026-03-02T09:00 granted clock=never_set
    2026-03-02T20:00 granted clock=never_set
    2026-03-02T09:00 outside_schedule clock=never_set card=b
    2026-12-25T09:00 granted clock=never_set card=d
    2026-03-02T20:00 granted clock=never_set card=v
    2026-03-02T20:00 outside_schedule
"""
USE_LAST_KNOWN = """
    note: the clock is taken as it is
    2026-03-02T09:00 granted clock=never_set
    2026-03-02T20:00 outside_schedule clock=never_set
    2026-03-02T11:59 granted clock=never_set card=v
    2026-03-02T12:00 credential_expired clock=never_set card=v
"""


def files() -> dict[str, Tables]:
    """Every file of this module by its name."""
    return {
        "modes": modes(),
        "age": freshness(),
        "age-by-door": door_freshness(),
        "clock-deny-time-bound": clock("deny_time_bound", DENY_TIME_BOUND),
        "clock-ignore-time": clock("ignore_time", IGNORE_TIME),
        "clock-use-last-known": clock("use_last_known", USE_LAST_KNOWN),
    }
