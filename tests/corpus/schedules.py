"""Weekly schedules, special days and exceptions: answers by hand."""

from __future__ import annotations

from tests.corpus.layout import Tables, file, level, site

WEEKLY = """
    note: the start belongs to the interval, the end does not
    2026-03-02T07:59:59 outside_schedule person=anna group=Staff level="Staff office"
    2026-03-02T08:00:00 granted person=anna group=Staff level="Staff office" extended=no
    2026-03-02T11:59:59.999999 granted
    2026-03-02T12:00 outside_schedule
    2026-03-02T12:59:59 outside_schedule
    2026-03-02T13:00 granted
    2026-03-02T17:59:59 granted
    2026-03-02T18:00 outside_schedule
    note: each weekday has its own intervals
    2026-03-03T08:00 granted
    2026-03-04T08:00 granted
    2026-03-05T08:00 granted
    2026-03-06T08:00 granted
    2026-03-06T17:59 granted
    2026-03-07T08:00 outside_schedule
    2026-03-07T09:00 granted
    2026-03-07T12:59:59 granted
    2026-03-07T13:00 outside_schedule
    2026-03-08T09:00 outside_schedule
    2026-03-08T23:59 outside_schedule
    2026-03-09T00:00 outside_schedule
    2026-02-28T09:00 granted
    2028-02-29T08:00 granted
    note: an interval across midnight belongs to the weekday of its start
    2026-03-02T05:59 outside_schedule card=b
    2026-03-02T21:59 outside_schedule card=b
    2026-03-02T22:00 granted card=b person=ben group=Cleaning level="Cleaning nights"
    2026-03-02T23:59:59 granted card=b
    2026-03-03T00:00 granted card=b
    2026-03-03T05:59:59 granted card=b
    2026-03-03T06:00 outside_schedule card=b
    2026-03-05T22:00 granted card=b
    2026-03-06T05:59 granted card=b
    2026-03-06T06:00 outside_schedule card=b
    2026-03-06T22:00 outside_schedule card=b
    2026-03-07T05:59 outside_schedule card=b
    2026-03-08T23:29 outside_schedule card=b
    2026-03-08T23:30 granted card=b
    2026-03-09T00:14:59 granted card=b
    2026-03-09T00:15 outside_schedule card=b
    2026-03-10T00:05 granted card=b
    note: 24:00 and 23:59 as an end are the end of the day, equal times a whole day
    2026-03-03T17:59 outside_schedule card=c
    2026-03-03T23:58 granted card=c
    2026-03-03T23:59:59 granted card=c extended=yes
    2026-03-04T00:00 outside_schedule card=c extended=no
    2026-03-04T23:59 granted card=c
    2026-03-04T23:59:59 granted card=c
    2026-03-05T00:00 outside_schedule card=c
    2026-03-06T00:00 granted card=c
    2026-03-06T12:00 granted card=c
    2026-03-06T23:59:59 granted card=c
    2026-03-07T00:00 outside_schedule card=c
    2026-03-08T09:59 outside_schedule card=c
    2026-03-08T10:00 granted card=c
    2026-03-09T00:00 granted card=c
    2026-03-09T09:59 granted card=c
    2026-03-09T10:00 outside_schedule card=c
    note: levels are a union, and somebody in no group has none
    2026-03-02T08:00 granted card=d level="Staff office"
    2026-03-02T19:00 outside_schedule card=d
    2026-03-02T08:00 no_access_here card=e person=emil
    2026-03-02T08:00 no_access_here card=e reader=out
    2026-03-02T08:00 granted card=a reader=out
    2026-03-02T08:00 unknown_credential card=z
"""


def weekly() -> Tables:
    return file(
        "Weekly schedules",
        site(
            schedule={
                "office": {"mon-fri": ["08:00-12:00", "13:00-18:00"], "sat": ["09:00-13:00"]},
                "nights": {"mon-thu": ["22:00-06:00"], "sun": ["23:30-00:15"]},
                "ends": {
                    "tue": ["18:00-24:00"],
                    "wed": ["18:00-23:59"],
                    "fri": ["00:00-24:00"],
                    "sun": ["10:00-10:00"],
                },
            },
            access_level=[
                level("Staff office", schedule="office"),
                level("Cleaning nights", ["Cleaning"], schedule="nights"),
                level("Security ends", ["g3"], schedule="ends"),
                level("Vault never", ["Vault"], schedule="never"),
            ],
        ),
        WEEKLY,
        "weekly",
    )


SPECIAL_DAYS = """
    note: a special day replaces the weekly schedule of its date
    2026-12-23T12:00 granted
    2026-12-24T07:59 outside_schedule
    2026-12-24T08:00 granted
    2026-12-24T11:59:59 granted
    2026-12-24T12:00 outside_schedule
    2026-12-24T17:00 outside_schedule
    note: an empty list is closed
    2026-12-25T00:00 outside_schedule
    2026-12-25T09:00 outside_schedule
    2026-12-28T09:00 granted
    note: it also opens a day that has nothing
    2026-12-26T22:59 outside_schedule
    2026-12-26T23:00 granted
    2026-12-27T00:59 granted
    2026-12-27T01:00 outside_schedule
    2026-12-31T09:00 outside_schedule
    2026-12-31T20:00 granted
    2026-12-31T23:59:59 granted
    2027-01-01T00:00 outside_schedule
    2027-01-01T08:00 granted
    2027-12-24T17:00 granted
    note: the night that began on the day before goes on, one that would begin on the special day does not
    2026-12-24T00:00 granted card=b
    2026-12-24T05:59 granted card=b
    2026-12-24T06:00 outside_schedule card=b
    2026-12-24T08:00 granted card=b
    2026-12-24T22:00 outside_schedule card=b
    2026-12-25T03:00 outside_schedule card=b
    2026-12-25T22:00 outside_schedule card=b
    2026-12-26T03:00 outside_schedule card=b
    2026-12-26T22:30 outside_schedule card=b
    2026-12-26T23:30 granted card=b
    2026-12-27T00:59 granted card=b
    2026-12-27T01:00 outside_schedule card=b
    2026-12-27T22:00 granted card=b
    2026-12-28T05:00 granted card=b
    note: several special days on one date are a union, also where the schedule is always
    2026-12-23T03:00 granted card=c
    2026-12-24T07:00 outside_schedule card=c
    2026-12-24T08:00 granted card=c
    2026-12-24T13:00 outside_schedule card=c
    2026-12-24T14:00 granted card=c
    2026-12-24T16:00 outside_schedule card=c
    2026-12-25T12:00 outside_schedule card=c
    2026-12-27T10:30 granted card=c
    2026-12-27T11:00 outside_schedule card=c
    2026-12-28T00:00 granted card=c
    note: special days bind only the levels that name them
    2026-12-24T17:00 granted card=d level=Vault group=Vault
    2026-12-25T09:00 granted card=d level=Vault
    2026-12-26T12:00 outside_schedule card=d
"""


def special() -> Tables:
    return file(
        "Special days",
        site(
            schedule={
                "office": {"mon-fri": ["08:00-18:00"]},
                "nights": {"mon-sun": ["22:00-06:00"]},
            },
            special_days={
                "holidays": {
                    "2026-12-24": ["08:00-12:00"],
                    "2026-12-25": [],
                    "2026-12-26": ["23:00-01:00"],
                    "2026-12-31": ["20:00-24:00"],
                },
                "works": {"2026-12-24": ["14:00-16:00"], "2026-12-27": ["10:00-11:00"]},
            },
            access_level=[
                level("Staff office", schedule="office", special_days=["holidays"]),
                level("Cleaning nights", ["Cleaning"], schedule="nights", special_days=["holidays"]),
                level("Security always", ["Security"], special_days=["holidays", "works"]),
                level("Vault", ["Vault"], schedule="office"),
            ],
        ),
        SPECIAL_DAYS,
        "special",
    )


EXCEPTIONS = """
    note: an exception gives access outside the schedule, its end exclusive
    2026-11-27T17:59:59 granted
    2026-11-27T18:00 granted
    2026-11-27T22:59:59 granted
    2026-11-27T23:00 outside_schedule
    2026-11-28T18:30 outside_schedule
    note: and takes it inside
    2026-11-30T09:59:59 granted
    2026-11-30T10:00 outside_schedule level="Staff office"
    2026-11-30T10:59:59 outside_schedule
    2026-11-30T11:00 granted
    note: it is stronger than a special day, in both directions
    2026-12-25T09:59 outside_schedule
    2026-12-25T10:00 granted
    2026-12-25T12:00 outside_schedule
    2026-12-28T09:00 granted
    2026-12-28T09:30 outside_schedule
    2026-12-28T10:30 outside_schedule
    2026-12-29T08:59:59 outside_schedule
    2026-12-29T09:00 granted
    note: of two that overlap the one that takes access wins
    2026-12-30T03:00 granted
    2026-12-30T09:59 granted
    2026-12-30T10:00 outside_schedule
    2026-12-30T11:00 granted
    2026-12-30T19:59 granted
    2026-12-30T20:00 outside_schedule
    note: a start that does not exist is the first instant after the gap
    2027-03-28T01:59:59 outside_schedule
    2027-03-28T03:00:00+02:00 granted
    2027-03-28T03:59:59 granted
    2027-03-28T04:00 outside_schedule
    note: of doubled times both are inside where the wall clock shows one of the range, and no other time
    2027-10-31T02:14:59+02:00 outside_schedule
    2027-10-31T02:15:00+02:00 granted
    2027-10-31T02:50:00+02:00 outside_schedule
    2027-10-31T02:05:00+01:00 outside_schedule
    2027-10-31T02:15:00+01:00 granted
    2027-10-31T02:44:59+01:00 granted
    2027-10-31T02:45:00+01:00 outside_schedule
    note: of any length
    2027-12-31T09:00 granted
    2028-01-03T09:00 outside_schedule
    2029-06-15T09:00 outside_schedule
    2030-12-31T17:59 outside_schedule
    2031-01-01T09:00 granted
    note: with an offset it is an instant
    2026-11-27T18:30 outside_schedule card=b
    2026-11-27T19:00 granted card=b
    2026-11-27T19:59:59 granted card=b
    2026-11-27T20:00 outside_schedule card=b
    note: it takes access away from its own level only
    2026-11-30T09:00 granted card=d level="Staff office" group=Staff
    2026-11-30T20:00 outside_schedule card=d
    2026-12-01T20:00 granted card=d level="Vault closed" group=Vault
"""


def exceptions() -> Tables:
    return file(
        "Exceptions of access levels",
        site(
            schedule={"office": {"mon-fri": ["08:00-18:00"]}},
            special_days={"holidays": {"2026-12-25": [], "2026-12-28": ["09:00-10:00"]}},
            access_level=[
                level(
                    "Staff office",
                    schedule="office",
                    special_days=["holidays"],
                    exception=[
                        {"from": "2026-11-27T18:00:00", "until": "2026-11-27T23:00:00", "access": True},
                        {"from": "2026-11-30T10:00:00", "until": "2026-11-30T11:00:00", "access": False},
                        {"from": "2026-12-25T10:00:00", "until": "2026-12-25T12:00:00", "access": True},
                        {"from": "2026-12-28T09:30:00", "until": "2026-12-29T09:00:00", "access": False},
                        {"from": "2026-12-30T00:00:00", "until": "2026-12-30T20:00:00", "access": True},
                        {"from": "2026-12-30T10:00:00", "until": "2026-12-30T11:00:00", "access": False},
                        {"from": "2027-03-28T02:30:00", "until": "2027-03-28T04:00:00", "access": True},
                        {"from": "2027-10-31T02:15:00", "until": "2027-10-31T02:45:00", "access": True},
                        {"from": "2028-01-01T00:00:00", "until": "2031-01-01T00:00:00", "access": False},
                    ],
                ),
                level(
                    "Cleaning with an offset",
                    ["Cleaning"],
                    schedule="never",
                    exception=[
                        {"from": "2026-11-27T18:00:00+00:00", "until": "2026-11-27T19:00:00+00:00", "access": True}
                    ],
                ),
                level(
                    "Vault closed",
                    ["Vault"],
                    exception=[{"from": "2026-11-01T00:00:00", "until": "2026-12-01T00:00:00", "access": False}],
                ),
            ],
        ),
        EXCEPTIONS,
        "exception",
    )


def files() -> dict[str, Tables]:
    """Every file of this module by its name."""
    return {
        "weekly": weekly(),
        "special-days": special(),
        "exceptions": exceptions(),
    }
