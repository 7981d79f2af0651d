"""One reader: what becomes of cards and keys, what is told, and what nobody at the door can see."""

from __future__ import annotations

from datetime import timedelta

import pytest

from cache.model import EventName, Mode, Reason
from daemon.decision.decide import RULES
from drivers.events import Buzz, CardRead, Colour, Led, Pulse
from tests.daemon.doors.controller.bench import PEOPLE, Bench, rules

DECISIONS = (EventName.ACCESS_GRANTED, EventName.ACCESS_DENIED)


def lights(commands: tuple[object, ...]) -> list[tuple[Colour, float | None, bool]]:
    return [(one.colour, one.seconds, one.blink) for one in commands if isinstance(one, Led)]


def test_a_grant_releases_shows_green_and_tells_the_whole_path(bench: Bench) -> None:
    effects = bench.badge("ann")
    assert effects.commands[0] == Pulse(rules().doors["lobby"].lock, 5.0), "the lock before light and sound"
    assert effects.commands[1:] == (Led("lobby-in", Colour.GREEN, 5.0), Buzz("lobby-in"))
    event = effects.events[0]
    assert (event.name, event.door, event.reader) == (EventName.ACCESS_GRANTED, "lobby", "lobby-in")
    assert (event.person, event.reason, event.group, event.level) == ("ann", Reason.GRANTED, "Staff", "Everybody")
    assert (event.generation, event.detail) == (7, (("bits", 26),))
    assert [rule.rule for rule in event.trace] == [*list(RULES)[:6], "anti_passback"]
    assert event.trace[0].text == "generation 7, last complete sync 0 s ago"


def test_a_denial_shows_red_and_releases_nothing(bench: Bench) -> None:
    effects = bench.badge("nobody")
    assert effects.commands == (Led("lobby-in", Colour.RED, 1.0, blink=True), Buzz("lobby-in", count=3))
    (event,) = effects.events
    assert (event.name, event.reason) == (EventName.ACCESS_DENIED, Reason.UNKNOWN_CREDENTIAL)
    assert (event.person, event.group, event.level, event.generation) == (None, None, None, 7)
    assert [(rule.rule, rule.passed) for rule in event.trace] == [("cache", True), ("credential", False)]
    assert not bench.released()


def test_every_grant_and_every_denial_carries_its_trace(bench: Bench) -> None:
    """Whatever the end of it: card, PIN, second person, lockout, damage."""
    for name in (*PEOPLE, "nobody"):
        for reader in ("lobby-in", "lobby-out", "vault-in", "lab-in"):
            bench.badge(name, reader)
            bench.keys("9999", reader)
            bench.wait(20)
    bench.broken = True
    bench.badge("ann")
    told = [event for event in bench.events if event.name in DECISIONS]
    assert {event.reason for event in told} >= {
        Reason.GRANTED, Reason.UNKNOWN_CREDENTIAL, Reason.NO_ACCESS_HERE, Reason.OUTSIDE_SCHEDULE,
        Reason.PIN_WRONG, Reason.PIN_LOCKED_OUT, Reason.SECOND_PERSON_REQUIRED, Reason.CACHE_UNREADABLE,
    }  # fmt: skip
    for event in told:
        assert event.trace, event
        assert event.trace[-1].passed is (event.name is EventName.ACCESS_GRANTED), event
        assert event.generation == 7
        assert event.reason is Reason.CACHE_UNREADABLE or "generation 7" in event.trace[0].text


def test_a_cache_that_cannot_be_read_is_a_denial_with_a_reason_of_its_own(bench: Bench) -> None:
    bench.broken = True
    (event,) = bench.badge("ann").events
    assert (event.name, event.reason) == (EventName.ACCESS_DENIED, Reason.CACHE_UNREADABLE)
    assert event.trace[-1].text == "the cache cannot be read: the file is torn"
    assert not bench.released()
    bench.broken = False
    assert bench.badge("ann").events[0].reason is Reason.GRANTED


@pytest.mark.parametrize("length", [0, -1, 10**6])
def test_a_frame_that_no_card_has_is_refused(bench: Bench, length: int) -> None:
    effects = bench.send(CardRead("lobby-in", length, 1, bench.monotonic))
    assert (effects.events[0].reason, effects.events[0].generation) == (Reason.BAD_FRAME, 7)
    assert lights(effects.commands) == [(Colour.RED, 1.0, True)]


# ------------------------------------------------------------------ card and PIN


def test_a_pin_is_asked_for_in_amber_and_opens(bench: Bench) -> None:
    effects = bench.badge("ann", "lab-in")
    assert lights(effects.commands) == [(Colour.AMBER, 15.0, True)]
    assert effects.events == ()
    bench.keys("1111")
    assert bench.told() == ["access.granted ann granted", "door.released"]


def test_a_pin_that_does_not_come_is_denied_with_its_trace(bench: Bench) -> None:
    bench.badge("ann", "lab-in")
    bench.keys("11")
    bench.wait(14.9)
    assert bench.told() == []
    bench.wait(0.2)
    event = bench.last(EventName.ACCESS_DENIED)
    assert (event.person, event.reason, event.trace[-1].rule) == ("ann", Reason.PIN_TIMEOUT, "pin")


def test_nothing_at_the_door_tells_duress(bench: Bench) -> None:
    bench.badge("ann", "lab-in")
    plain = bench.keys("1111")
    bench.wait(60)
    bench.told()
    bench.badge("ann", "lab-in")
    forced = bench.keys("1112")
    assert forced.commands == plain.commands
    assert bench.told() == ["access.granted ann granted_duress", "door.released", "duress ann"]


def test_the_lockout_of_pins_is_told_kept_and_survives(bench: Bench) -> None:
    for _ in range(2):
        bench.badge("ann", "lab-in")
        bench.keys("9999")
    assert bench.told() == ["access.denied ann pin_wrong", "access.denied ann pin_wrong", "pin.lockout ann"]
    until = bench.utc + timedelta(seconds=60)
    assert bench.controller.readers["lab-in"].pins_refused_until(bench.now) == until
    bench.start()
    assert bench.controller.readers["lab-in"].pins_refused_until(bench.now) == until
    bench.badge("ann", "lab-in")
    assert bench.told()[-1] == "access.denied ann pin_locked_out"
    assert bench.controller.readers["lobby-in"].pins_refused_until(bench.now) is None


def test_wrong_pins_are_kept_before_they_lead_to_a_lockout(bench: Bench) -> None:
    bench.badge("ann", "lab-in")
    assert "lockout.lab-in" not in bench.kept
    bench.keys("9999")
    bench.start()
    bench.told()
    bench.badge("ann", "lab-in")
    bench.keys("9999")
    assert bench.told()[-1] == "pin.lockout ann", "the one before the restart counts"


# ------------------------------------------------------------------ two people


def test_the_first_of_two_who_is_left_alone_is_denied_with_the_whole_path(bench: Bench) -> None:
    effects = bench.badge("vic", "vault-in")
    assert lights(effects.commands) == [(Colour.AMBER, 10.0, True)]
    assert effects.events == ()
    bench.wait(10.1)
    event = bench.last(EventName.ACCESS_DENIED)
    assert (event.person, event.reason) == ("vic", Reason.SECOND_PERSON_REQUIRED)
    assert (event.group, event.level, event.generation) == ("Vault", "Everybody", 7)
    assert [rule.rule for rule in event.trace][-2:] == ["access", "two_person"]
    assert event.trace[-1].text == "no one else came within 10 s"
    assert not bench.released("vault")


def test_two_people_open_and_both_go_through(bench: Bench) -> None:
    bench.badge("vic", "vault-in")
    bench.badge("wim", "vault-in")
    assert bench.told() == ["access.granted vic granted", "access.granted wim granted", "door.released"]
    bench.line("in3", on=False)
    assert bench.told() == ["door.opened", "access.taken vic", "access.taken wim"]


@pytest.mark.parametrize("order", [("vic", "wim"), ("wim", "vic")])
def test_either_of_two_people_may_be_the_first_one_in(bench: Bench, order: tuple[str, str]) -> None:
    """The vault's window waits for a guard, who is one of the two whichever of them badges first."""
    bench.wait(2.5 * 3600)
    assert bench.controller.doors["vault"].state.mode is Mode.LOCKED
    for name in order:
        bench.badge(name, "vault-in")
    assert bench.controller.doors["vault"].state.mode is Mode.UNLOCKED


# ------------------------------------------------------------------ what grants do to the mode


def test_the_first_person_in_starts_the_window_and_the_next_day_waits_again(bench: Bench) -> None:
    bench.wait(2.5 * 3600)
    assert not bench.released()
    bench.badge("cleo")
    assert bench.controller.doors["lobby"].state.mode is Mode.LOCKED, "not of the named groups"
    bench.badge("ann")
    assert bench.controller.doors["lobby"].state.mode is Mode.UNLOCKED
    bench.start()
    assert bench.controller.doors["lobby"].state.mode is Mode.UNLOCKED, "survives a restart"
    bench.wait(2 * 3600)
    assert bench.controller.doors["lobby"].state.mode is Mode.LOCKED
    bench.wait(22 * 3600)
    assert bench.utc.weekday() == 1
    assert not bench.released()


def test_a_double_badge_unlocks_and_locks_again(bench: Bench) -> None:
    for _ in range(2):
        bench.badge("ann")
    assert bench.controller.doors["lobby"].state.mode is Mode.LOCKED
    for expected in (Mode.UNLOCKED, Mode.LOCKED):
        for _ in range(2):
            bench.badge("eve")
            bench.wait(1)
        assert bench.controller.doors["lobby"].state.mode is expected
        bench.wait(10)


# ------------------------------------------------------------------ areas


def test_a_soft_violation_is_granted_and_reported(bench: Bench) -> None:
    for _ in range(2):
        bench.badge("ann")
        bench.line("in1", on=False)
        bench.line("in1", on=True)
    told = bench.told()
    assert "access.granted ann granted_apb_soft" in told
    assert told.count("apb.violation ann granted_apb_soft") == 1


def test_the_way_out_is_the_exit_reader(bench: Bench) -> None:
    assert bench.controller.readers["lobby-out"].exiting
    assert not bench.controller.readers["lobby-in"].exiting
    bench.badge("ann")
    bench.line("in1", on=False)
    bench.line("in1", on=True)
    bench.wait(30)
    assert bench.controller.site_state.space.positions["ann"].area == "office"
    bench.badge("ann", "lobby-out")
    bench.line("in1", on=False)
    assert "ann" not in bench.controller.site_state.space.positions
    assert bench.last(EventName.ACCESS_GRANTED).reason is Reason.GRANTED


def test_what_fails_inside_the_decision_is_a_denial(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a mistake in a rule")

    monkeypatch.setattr("daemon.doors.controller.reader.decide", broken)
    (event,) = bench.badge("ann").events
    assert (event.name, event.reason) == (EventName.ACCESS_DENIED, Reason.INTERNAL_ERROR)
    assert event.trace[-1].text == "the decision failed: ZeroDivisionError: a mistake in a rule"
    assert not bench.released()
