"""Durations as the site file writes them, and which word was probably meant."""

from __future__ import annotations

import pytest

from cache import keys
from drivers import events
from drivers.settings import did_you_mean, nearest, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("300ms", 0.3), ("10s", 10.0), ("2.5s", 2.5), ("5m", 300.0), ("24h", 86400.0), ("30d", 2592000.0)],
)
def test_a_duration_has_its_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "seconds"), [("3h30m", 12600.0), ("1d12h", 129600.0), ("1s500ms", 1.5), ("1m30.5s", 90.5)]
)
def test_units_may_be_joined_the_largest_first(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("zero", [0, 0.0, "0", "0s", "0ms"])
def test_nothing_may_be_written_without_a_unit(zero: object) -> None:
    assert parse_duration(zero) == 0.0


@pytest.mark.parametrize(
    "wrong", [False, True, None, "", "10", 10, "-1s", "1 s", "1S", "30m1h", "1h1h", "1h 30m", "0.s"]
)
def test_anything_else_is_refused_with_an_example(wrong: object) -> None:
    with pytest.raises(ValueError, match='expected a duration such as "300ms"'):
        parse_duration(wrong)


def test_the_nearest_word_is_found_in_either_case() -> None:
    assert nearest("LOBY", ["lobby", "yard"]) == "lobby"
    assert nearest("c1k35", ["C1k35s", "H10301"]) == "C1k35s"
    assert nearest("vault", ["lobby", "yard"]) is None


def test_a_hint_names_it_or_what_there_is() -> None:
    assert did_you_mean("loby", ["lobby", "yard"]) == 'did you mean "lobby"?'
    assert did_you_mean("vault", {"yard", "lobby"}) == "there are: lobby, yard"
    assert did_you_mean("vault", ["yard", "lobby"]) == "there are: yard, lobby"
    assert did_you_mean("vault", ["lobby"], "see the page") == "see the page"
    assert did_you_mean("vault", []) == "there is none"
    assert did_you_mean("vault", [f"door-{number:02}" for number in range(99)]).endswith("door-11")


def test_cards_are_as_long_for_the_readers_as_for_the_cache() -> None:
    assert events.MAX_CARD_BITS == keys.MAX_CARD_BITS
