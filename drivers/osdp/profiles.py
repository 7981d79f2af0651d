"""How readers differ from the standard, as data: profiles that the site file names, and what is learned. Pure.

A profile says beforehand what latchd else finds by itself, reports, and uses for as long as the device is the
same.
"""

from __future__ import annotations

import difflib
import functools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from typing import Any

from drivers.osdp.messages import Cmd

STANDARD = "standard"


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a kind of reader."""

    poll_first: bool = False
    """It says who it is only once it was polled (libosdp#77)."""
    holds_sequence: bool = False
    """After its own NAK it expects the same sequence number again (libosdp#39)."""
    reply_time: float = 0.2
    """Seconds that it may take to begin its answer; the standard allows 0.2 (5.7)."""
    poll_within: float = 8.0
    """Seconds without a poll after which it drops its secure channel; the standard allows 8 (5.7)."""
    lacks: frozenset[Cmd] = frozenset()
    """Commands that it refuses: they are not sent."""


LEARNED = {
    "poll_first": "says who it is only after a poll",
    "holds_sequence": "does not go on to the next sequence number after its own NAK",
    "never_empty": "answers every poll with its status",
}
"""What is found by itself, in the words of the report."""


@dataclass(slots=True)
class Quirks:
    """What one reader needs: its profile, and what was learned of the device. ``news`` waits to be reported."""

    profile: Profile = field(default_factory=Profile)
    learned: set[str] = field(default_factory=set)
    news: list[str] = field(default_factory=list)

    def learn(self, quirk: str) -> None:
        """It is of this kind."""
        if quirk not in self.learned:
            self.learned.add(quirk)
            self.news.append(LEARNED[quirk])

    def report(self) -> Iterator[str]:
        """What was learned since the last report."""
        news, self.news = self.news, []
        yield from news

    def forget(self) -> None:
        """It is another device."""
        self.learned.clear()
        self.news.clear()

    @property
    def poll_first(self) -> bool:
        """Whether a poll comes before the question who it is."""
        return self.profile.poll_first or "poll_first" in self.learned

    @property
    def holds_sequence(self) -> bool:
        """Whether the command after a NAK has the same sequence number."""
        return self.profile.holds_sequence or "holds_sequence" in self.learned

    @property
    def never_empty(self) -> bool:
        """Whether a status that is no news means that nothing else waits."""
        return "never_empty" in self.learned


@functools.cache
def profiles() -> Mapping[str, Profile]:
    """The profiles that latchd brings with it, by name."""
    data = json.loads(resources.files("drivers.osdp").joinpath("profiles.json").read_bytes())
    return {name: _profile(keys) for name, keys in data.items()}


def _profile(keys: Mapping[str, Any]) -> Profile:
    lacks = frozenset(Cmd[name] for name in keys.get("lacks", ()))
    return Profile(**{**keys, "lacks": lacks})


def profile_named(name: str) -> Profile:
    """The profile of this name. Raises ``ValueError`` with the nearest one."""
    known = profiles()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f'did you mean "{near[0]}"?' if near else f"known are {', '.join(known)}"
        raise ValueError(f'there is no OSDP profile "{name}"; {hint}')
    return known[name]
