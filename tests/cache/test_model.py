"""model: what a schedule says of itself, and codes that are their names."""

from __future__ import annotations

from cache.model import ALWAYS, NEVER, CredentialKind, Interval, Reason, Schedule


def test_only_a_whole_week_is_always() -> None:
    assert ALWAYS.always
    assert not NEVER.always
    assert not Schedule("weekdays", ((Interval(0, 1440),),) * 5 + ((),) * 2).always
    assert not Schedule("nearly", ((Interval(0, 1439),),) * 7).always


def test_stable_codes_are_their_names() -> None:
    for code in (*Reason, *CredentialKind):
        assert code.value == code.name.lower()
