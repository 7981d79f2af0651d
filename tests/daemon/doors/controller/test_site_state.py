"""What all readers share: looking people up, where they are, and what a decision is told of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cache.errors import CacheError
from cache.keys import card_key
from cache.model import Mode
from daemon.decision.request import PinResult
from daemon.doors.door.session import Ask
from tests.daemon.doors.controller.bench import KEY, Bench, rules


def through(bench: Bench, name: str, reader: str = "lobby-in") -> None:
    """Somebody badges and goes through the lobby's door."""
    bench.badge(name, reader)
    bench.line("in1", on=False)
    bench.line("in1", on=True)
    bench.wait(30)


def test_a_card_alone_has_no_pin_and_a_late_one_is_late(bench: Bench) -> None:
    site_state, card = bench.controller.site_state, card_key(KEY, 26, 1)
    found, entry = site_state.look_up(Ask(card))
    assert [holder.person.id for holder in found.holders] == ["ann"]
    assert entry is None
    for digits, result in (("1111", PinResult.RIGHT), ("1112", PinResult.DURESS), ("9999", PinResult.WRONG)):
        found, entry = site_state.look_up(Ask(card, digits))
        assert [holder.person.id for holder in found.holders] == ["ann"]
        assert entry is not None
        assert entry.result is result
    _, entry = site_state.look_up(Ask(card, late=True))
    assert entry is not None
    assert entry.result is PinResult.LATE
    found, entry = site_state.look_up(Ask(late=True))
    assert (found.holders, entry and entry.result) == ((), PinResult.LATE)


def test_a_lookup_that_fails_says_so(bench: Bench) -> None:
    bench.broken = True
    with pytest.raises(CacheError, match="torn"):
        bench.controller.site_state.look_up(Ask(b"x"))


def test_the_site_key_is_in_no_repr() -> None:
    assert repr(rules()) == "ControllerRules(3 doors)"


def test_a_decision_is_told_mode_people_and_interlock(bench: Bench) -> None:
    site_state, doors = bench.controller.site_state, bench.controller.doors
    through(bench, "ann")
    state = site_state.access_state(doors["lobby"], exiting=False)
    assert (state.mode, state.occupancy, set(state.positions), state.interlock) == (Mode.LOCKED, 1, {"ann"}, None)
    assert site_state.access_state(doors["lobby"], exiting=True).occupancy == 0, "outside has no rules"
    bench.badge("vic", "vault-in")
    bench.badge("wim", "vault-in")
    assert site_state.access_state(doors["lab"], exiting=False).interlock == "vault"
    assert site_state.access_state(doors["vault"], exiting=False).interlock is None
    assert site_state.access_state(doors["lobby"], exiting=False).interlock is None


def test_where_people_are_is_kept_and_survives(bench: Bench) -> None:
    through(bench, "ann")
    through(bench, "bob")
    through(bench, "bob", "lobby-out")
    assert [name for name in bench.kept if name.startswith("position.")] == ["position.ann"]
    bench.start()
    positions = bench.controller.site_state.space.positions
    assert {name: at.area for name, at in positions.items()} == {"ann": "office"}


def test_a_grant_that_was_not_taken_counts_as_no_entry(bench: Bench) -> None:
    bench.badge("ann")
    bench.wait(30)
    assert not bench.controller.site_state.space.positions
    assert not [name for name in bench.kept if name.startswith("position.")]


def test_a_door_without_areas_moves_nobody(bench: Bench) -> None:
    bench.badge("vic", "vault-in")
    bench.badge("wim", "vault-in")
    bench.line("in3", on=False)
    assert "access.taken wim" in bench.told()
    assert not bench.controller.site_state.space.positions


def test_everybody_is_forgotten_at_the_hour_of_the_area(bench: Bench) -> None:
    through(bench, "ann")
    four = bench.utc.replace(hour=3, minute=0, second=0, microsecond=0) + timedelta(days=1)
    bench.wait((four - bench.utc).total_seconds() - 1)
    assert "position.ann" in bench.kept
    bench.wait(2)
    assert "position.ann" not in bench.kept
    effects = bench.badge("ann")
    assert effects.events[0].reason == "granted"
