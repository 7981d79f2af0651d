"""What a single table of the site file can know of itself: each bound and each contradiction, with its words."""

from __future__ import annotations

import pytest

from daemon.config.load import SiteFileError, read_site
from tests.daemon.config.test_site import GOOD

DOOR, END = "[door.lobby]\n", ""
"""Where a line is put: into the door, or as tables of their own at the end."""

WRONG = [
    (DOOR, 'strike_time = "0s"', "door.lobby.strike_time", "1s to 60s"),
    (DOOR, 'extended_time = "61s"', "door.lobby.extended_time", "up to 60s"),
    (DOOR, 'held_open_time = "9s"', "door.lobby.held_open_time", "10s to 24h"),
    (DOOR, 'held_open_time = "25h"', "door.lobby.held_open_time", "10s to 24h"),
    (DOOR, 'held_open_time = "10s"\nheld_open_warning = "10s"', "door.lobby", "at least 1s less"),
    (DOOR, 'fire = { input = "main.in9", debounce = "1s" }', "door.lobby.fire.debounce", "up to 90ms"),
    (END, '[staleness]\ndegrade_after = "2h"\ndeny_after = "1h"', "staleness", "not be later"),
    (END, "[schedule.s]\nmon = 5", "schedule.s", ""),
    (END, '[schedule.s]\nmon = ["08:00-12:00", "11:00-13:00"]', "schedule.s", "overlap"),
    (END, '[schedule.s]\nmon = ["22:00-02:00", "23:00-24:00"]', "schedule.s", "overlap"),
    (END, '[schedule.s]\n"mon-" = ["08:00-12:00"]', "schedule.s", "expected a weekday"),
    (END, '[schedule.always]\nmon = ["08:00-12:00"]', "schedule.always", "built in"),
    (END, '[[door_exception]]\ndoor = "lobby"\nwindows = []', "door_exception[1]", "in one way"),
    (
        END,
        '[[door_exception]]\ndoor = "lobby"\nfrom = 2026-12-02\nuntil = 2026-12-01\nwindows = []',
        "door_exception[1]",
        "not be earlier",
    ),
    (
        END,
        '[[door_exception]]\ndoor = "lobby"\nfrom = 2026-12-02\nwindows = []',
        "door_exception[1]",
        "go together",
    ),
    (
        END,
        '[[door_exception]]\ndoor = "lobby"\nrecurrence = "FREQ=YEARLY"\nwindows = []',
        "door_exception[1]",
        "from = DATE",
    ),
    (END, '[[interlock]]\ndoors = ["lobby", "lobby"]\nrule = "one_open"', "interlock[1].doors", "two different"),
    (END, "[pin]\nlength = 3", "pin.length", "4 to 12"),
    (END, "[pin]\nlockout = { after = 0 }", "pin.lockout.after", "1 or more"),
    (
        END,
        '[[access_level]]\nname = "x"\ngroups = ["Staff"]\ndoors = ["lobby"]\n[[access_level.exception]]\n'
        "from = 2026-11-27T18:00:00\nuntil = 2026-11-27T23:00:00Z\naccess = true",
        "access_level[3].exception[1]",
        "both be local times",
    ),
]


@pytest.mark.parametrize(("place", "lines", "key", "words"), WRONG, ids=[f"{w[2]}-{w[3]}" for w in WRONG])
def test_each_bound_and_contradiction_is_refused(place: str, lines: str, key: str, words: str) -> None:
    text = GOOD.replace(place, f"{place}{lines}\n") if place else f"{GOOD}\n{lines}\n"
    with pytest.raises(SiteFileError) as refused:
        read_site(text, "site.toml", None)
    found = {fault.key: fault.text for _, fault in refused.value.faults}
    near = {name: told for name, told in found.items() if name.startswith(key)}
    assert any(words in told for told in near.values()), found
