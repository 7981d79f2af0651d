"""Days on which the clock changes: answers by hand."""

from __future__ import annotations

from tests.corpus.layout import Tables, file, level, site

BERLIN_DST = """
    note: 02:00-03:00 does not exist on the day that hour is skipped
    2026-03-29T01:59:59+01:00 outside_schedule
    2026-03-29T03:00:00+02:00 outside_schedule
    2026-03-30T02:00 granted
    note: and is two hours long on the day it comes twice
    2026-10-25T01:59:59+02:00 outside_schedule
    2026-10-25T02:00:00+02:00 granted
    2026-10-25T02:59:59+02:00 granted
    2026-10-25T02:00:00+01:00 granted
    2026-10-25T02:59:59+01:00 granted
    2026-10-25T03:00:00+01:00 outside_schedule
    note: 02:30-04:00, a start at a missing minute
    2026-03-29T01:59:59+01:00 outside_schedule card=b
    2026-03-29T03:00:00+02:00 granted card=b
    2026-03-29T03:59:59+02:00 granted card=b
    2026-03-29T04:00:00+02:00 outside_schedule card=b
    note: 02:30-04:00, a start that comes twice
    2026-10-25T02:29:59+02:00 outside_schedule card=b
    2026-10-25T02:30:00+02:00 granted card=b
    2026-10-25T02:59:59+02:00 granted card=b
    2026-10-25T02:00:00+01:00 outside_schedule card=b
    2026-10-25T02:29:59+01:00 outside_schedule card=b
    2026-10-25T02:30:00+01:00 granted card=b
    2026-10-25T03:59:59+01:00 granted card=b
    note: 22:00-02:30, an end at a missing minute
    2026-03-29T00:30:00+01:00 granted card=c
    2026-03-29T01:59:59+01:00 granted card=c
    2026-03-29T03:00:00+02:00 outside_schedule card=c
    note: 22:00-02:30, an end that comes twice
    2026-10-25T02:29:59+02:00 granted card=c
    2026-10-25T02:30:00+02:00 outside_schedule card=c
    2026-10-25T02:00:00+01:00 granted card=c
    2026-10-25T02:29:59+01:00 granted card=c
    2026-10-25T02:30:00+01:00 outside_schedule card=c
"""
NEW_YORK_DST = """
    note: New York, 02:00-03:00 skipped on 2026-03-08 and 01:00-02:00 twice on 2026-11-01
    2026-03-08T01:59:59-05:00 outside_schedule
    2026-03-08T03:00:00-04:00 outside_schedule
    2026-03-08T03:00:00-04:00 granted card=b
    2026-03-08T04:00:00-04:00 outside_schedule card=b
    2026-11-01T01:30:00-04:00 granted card=c
    2026-11-01T01:30:00-05:00 granted card=c
    2026-11-01T02:29:59-05:00 granted card=c
    2026-11-01T02:30:00-05:00 outside_schedule card=c
    2026-11-01T02:30:00-05:00 granted card=b
"""
LORD_HOWE_DST = """
    note: Lord Howe, half an hour: 02:00-02:30 skipped on 2026-10-04, 01:30-02:00 twice on 2026-04-05
    2026-10-04T01:59:59+10:30 outside_schedule
    2026-10-04T02:30:00+11:00 granted
    2026-10-04T02:59:59+11:00 granted
    2026-10-04T03:00:00+11:00 outside_schedule
    2026-10-04T02:30:00+11:00 granted card=b
    2026-10-04T01:59:59+10:30 granted card=c
    2026-10-04T02:30:00+11:00 outside_schedule card=c
    2026-04-05T01:45:00+11:00 granted card=c
    2026-04-05T01:45:00+10:30 granted card=c
    2026-04-05T02:00:00+10:30 granted
    2026-04-05T01:59:59+10:30 outside_schedule
"""
APIA_DST = """
    note: Apia, where Friday 2011-12-30 does not exist: the night that starts on it falls to Saturday
    2011-12-29T23:59:59-10:00 granted card=c
    2011-12-31T00:00:00+14:00 granted card=c
    2011-12-31T02:29:59+14:00 granted card=c
    2011-12-31T02:30:00+14:00 outside_schedule card=c
    2011-12-29T02:30:00-10:00 granted
    2011-12-31T02:30:00+14:00 granted
    2011-12-31T22:00:00+14:00 granted card=c
"""
HAVANA_DST = """
    note: Havana, where the clock changes at midnight: 00:00-01:00 skipped on 2026-03-08, twice on 2026-11-01
    2026-03-07T23:59:59-05:00 granted card=c
    2026-03-08T01:00:00-04:00 granted card=c
    2026-03-08T02:29:59-04:00 granted card=c
    2026-11-01T00:30:00-04:00 granted card=c
    2026-11-01T00:30:00-05:00 granted card=c
    2026-11-01T02:30:00-05:00 outside_schedule card=c
"""
KATHMANDU_DST = """
    note: Kathmandu, five hours and three quarters from UTC, without changes
    2026-03-29T01:59:59 outside_schedule
    2026-03-29T02:00:00 granted
    2026-03-28T20:15:00+00:00 granted
    2026-03-28T20:14:59+00:00 outside_schedule
    2026-03-28T21:15:00+00:00 outside_schedule
"""


def dst(zone: str, table: str, name: str) -> Tables:
    return file(
        f"Days on which the clock changes: {zone}",
        site(
            zone,
            schedule={
                "two-to-three": {"mon-sun": ["02:00-03:00"]},
                "half-past-two": {"mon-sun": ["02:30-04:00"]},
                "night": {"mon-sun": ["22:00-02:30"]},
            },
            access_level=[
                level("Two to three", schedule="two-to-three"),
                level("Half past two", ["Cleaning"], schedule="half-past-two"),
                level("Night", ["Security"], schedule="night"),
            ],
        ),
        table,
        name,
    )


def files() -> dict[str, Tables]:
    """Every file of this module by its name."""
    return {
        "dst-berlin": dst("Europe/Berlin", BERLIN_DST, "dst-berlin"),
        "dst-new-york": dst("America/New_York", NEW_YORK_DST, "dst-new-york"),
        "dst-lord-howe": dst("Australia/Lord_Howe", LORD_HOWE_DST, "dst-lord-howe"),
        "dst-apia": dst("Pacific/Apia", APIA_DST, "dst-apia"),
        "dst-havana": dst("America/Havana", HAVANA_DST, "dst-havana"),
        "dst-kathmandu": dst("Asia/Kathmandu", KATHMANDU_DST, "dst-kathmandu"),
    }
