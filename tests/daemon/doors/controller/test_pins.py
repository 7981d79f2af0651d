"""PINs at the readers of a site: guesses by reader and by credential, duress whatever the answer, one attempt."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from cache.keys import pin_key
from cache.model import CredentialKind, EventName, Mode
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.orders import DoorAction
from drivers.events import Buzz, DeviceOffline, DeviceOnline, Led
from tests.daemon.doors.controller.bench import KEY, Bench, holder, rules


def pins_alone(bench: Bench) -> None:
    """The same site with PINs that identify alone; 7777 is Eve's."""
    bench.controller = Controller(replace(rules(), pins_alone=True), bench.find)
    bench.controller.start(bench.now, "test")
    for line in ("in1", "in3", "in4"):
        bench.line(line, on=True)
    key = pin_key(KEY, "7777")
    bench.directory[key] = holder("eve", CredentialKind.PIN, key)
    bench.events.clear()


def guess(bench: Bench, name: str = "ann", reader: str = "lab-in", pin: str = "9999") -> None:
    bench.badge(name, reader)
    bench.keys(pin, reader)


# ------------------------------------------------------------------ who is locked out


def test_a_credential_is_locked_out_at_every_reader(bench: Bench) -> None:
    """One guess at each reader is a guess all the same."""
    bench.order(DoorAction.LOCK, "vault")
    guess(bench)
    bench.wait(30)
    guess(bench)
    lockout = bench.last(EventName.PIN_LOCKOUT)
    assert (lockout.person, dict(lockout.detail)["by"]) == ("ann", "reader and credential")
    until = bench.utc + timedelta(seconds=60)
    readers = bench.controller.readers
    ann, bob = (next(k for k, h in bench.directory.items() if h.person.id == n) for n in ("ann", "bob"))
    assert readers["vault-in"].pins_refused_until(bench.now, ann) == until
    assert readers["vault-in"].pins_refused_until(bench.now, bob) is None
    assert readers["vault-in"].pins_refused_until(bench.now) is None
    assert readers["lab-in"].pins_refused_until(bench.now, bob) == until, "the reader is"


def test_guesses_of_one_card_at_several_readers_lock_the_card_alone(bench: Bench) -> None:
    guard = bench.controller.site_state.pins
    assert guard.missed("lab-in", b"card", bench.now) is None
    locked = guard.missed("lobby-in", b"card", bench.now)
    assert locked is not None
    assert (locked.by, locked.wrong) == ("credential", 2)
    assert guard.refused_until("lab-in", b"other", bench.now) is None
    assert guard.refused_until("vault-in", b"card", bench.now) == bench.utc + timedelta(seconds=60)


def test_guesses_with_several_cards_at_one_reader_lock_the_reader_alone(bench: Bench) -> None:
    guard = bench.controller.site_state.pins
    guard.missed("lab-in", b"card", bench.now)
    locked = guard.missed("lab-in", b"other", bench.now)
    assert locked is not None
    assert locked.by == "reader"
    assert guard.refused_until("vault-in", b"other", bench.now) is None


def test_lockouts_of_reader_and_credential_survive_a_restart_and_are_forgotten_at_last(bench: Bench) -> None:
    guess(bench)
    guess(bench)
    names = [name for name in bench.kept if name.startswith("lockout.")]
    assert len(names) == 2
    assert "lockout.lab-in" in names
    bench.start()
    bench.badge("ann", "lab-in")
    assert bench.told()[-1] == "access.denied ann pin_locked_out"
    bench.wait(2 * 86400)
    assert not [name for name in bench.kept if name.startswith("lockout.")]


def test_a_lockout_takes_no_notice_of_the_wall_clock(bench: Bench) -> None:
    guess(bench)
    guess(bench)
    for hours in (-5, 5):
        bench.utc += timedelta(hours=hours)
        bench.wait(1)
        bench.badge("ann", "lab-in")
        assert bench.told()[-1] == "access.denied ann pin_locked_out"
    bench.wait(58)
    guess(bench, pin="1111")
    assert "access.granted ann granted" in bench.told()


def test_a_vandal_locks_nobody_out(bench: Bench) -> None:
    for _ in range(20):
        bench.keys("9999", "lab-in")
    assert "pin.lockout" not in bench.told()
    guess(bench, pin="1111")
    assert "access.granted ann granted" in bench.told()


def test_where_a_pin_identifies_alone_keys_without_a_card_are_guesses(bench: Bench) -> None:
    pins_alone(bench)
    bench.keys("9999", "lobby-in")
    bench.keys("9998", "lobby-in")
    assert bench.told() == ["access.denied pin_wrong", "access.denied pin_wrong", "pin.lockout"]
    for _ in range(3):
        bench.keys("9999", "lab-in")
    assert "pin.lockout" not in bench.told(), "at a door that asks for the card as well they are none"


def test_a_card_without_a_pin_is_no_guess(bench: Bench) -> None:
    for name in ("ann", "bob", "ann", "bob"):
        bench.badge(name, "lab-in")
    bench.wait(20)
    assert bench.told() == [f"access.denied {name} pin_timeout" for name in ("ann", "bob", "ann", "bob")]


def test_a_slow_attempt_is_one_wrong_pin(bench: Bench) -> None:
    bench.badge("ann", "lab-in")
    bench.keys("111")
    bench.wait(15.1)
    bench.keys("1#")
    bench.wait(60)
    assert bench.told() == ["access.denied ann pin_timeout"]


# ------------------------------------------------------------------ duress


def test_duress_is_reported_where_the_reader_is_locked_out_and_nothing_shows(bench: Bench) -> None:
    guess(bench, "bob")
    guess(bench, "bob")
    bench.told()
    answers = []
    for pin in ("1111", "9999", "1112"):
        bench.badge("ann", "lab-in")
        answers.append(bench.keys(pin).commands)
        bench.wait(1)
    assert answers[0] == answers[1] == answers[2] != ()
    assert bench.told() == ["access.denied ann pin_locked_out"] * 3 + ["duress ann"]
    assert not bench.released("lab")


def test_duress_is_reported_when_a_lockdown_came_between_card_and_pin(bench: Bench) -> None:
    bench.badge("ann", "lab-in")
    bench.order(DoorAction.LOCKDOWN, "lab")
    bench.told()
    bench.keys("1112")
    assert bench.told() == ["access.denied ann lockdown", "duress ann"]


def test_at_an_unlocked_door_a_pin_is_looked_at_for_duress_and_counts_as_nothing_else(bench: Bench) -> None:
    bench.order(DoorAction.UNLOCK, "lab")
    bench.told()
    for pin in ("1111", "9999", "9998", "9997", "11#"):
        bench.badge("ann", "lab-in")
        assert bench.keys(pin).commands == ()
        bench.wait(20)
    assert bench.told() == ["access.granted ann granted"] * 5
    bench.badge("ann", "lab-in")
    assert bench.keys("1112").commands == ()
    assert bench.told() == ["access.granted ann granted", "duress ann"]
    bench.keys("9999", "lab-in")
    bench.keys("12", "lab-in")
    bench.wait(20)
    assert bench.told() == []


def test_a_pin_alone_at_an_unlocked_door_is_a_read_where_it_is_right(bench: Bench) -> None:
    pins_alone(bench)
    bench.order(DoorAction.UNLOCK, "vault")
    bench.told()
    bench.keys("7777", "vault-in")
    assert bench.told() == ["access.granted eve granted"]
    bench.keys("9999", "vault-in")
    assert bench.told() == []


def test_duress_after_a_card_that_sufficed_is_reported(bench: Bench) -> None:
    bench.badge("ann", "lobby-in")
    bench.told()
    assert bench.keys("1112", "lobby-in").commands == ()
    assert bench.told() == ["duress ann"]


def test_a_pin_after_a_refused_card_belongs_to_it(bench: Bench) -> None:
    bench.wait(2 * 3600)
    bench.badge("cleo", "lab-in")
    bench.told()
    commands = bench.keys("6666", "lab-in").commands
    assert [type(one) for one in commands] == [Led, Buzz]
    assert bench.told() == []
    bench.badge("cleo", "lab-in")
    bench.told()
    bench.keys("6667", "lab-in")
    assert bench.told() == ["duress cleo"]


def test_where_pins_identify_alone_one_after_a_card_is_decided_as_ever(bench: Bench) -> None:
    pins_alone(bench)
    bench.badge("ann", "lobby-in")
    bench.told()
    bench.keys("7777", "lobby-in")
    assert bench.told() == ["access.granted eve granted"]
    bench.badge("ann", "lobby-in")
    bench.told()
    bench.keys("1112", "lobby-in")
    assert bench.told() == ["duress ann", "access.denied pin_wrong"]
    bench.badge("eve", "lobby-in")
    bench.told()
    bench.keys("7778", "lobby-in")
    assert bench.told().count("duress eve") == 1


# ------------------------------------------------------------------ a reader that goes away


def test_a_reader_that_goes_away_between_card_and_pin_voids_the_card(bench: Bench) -> None:
    bench.badge("ann", "lab-in")
    bench.send(DeviceOffline("lab-in", bench.monotonic, "no answer"))
    assert "access.denied ann pin_timeout" in bench.told()
    bench.send(DeviceOnline("lab-in", bench.monotonic))
    bench.keys("1111")
    assert not bench.released("lab")
    assert bench.controller.doors["lab"].state.mode is Mode.CARD_AND_PIN


# ------------------------------------------------------------------ two people


@pytest.mark.parametrize("change", ["gone", "inactive"])
def test_the_first_of_two_is_decided_again_when_the_second_comes(bench: Bench, change: str) -> None:
    bench.badge("vic", "vault-in")
    key = next(key for key, one in bench.directory.items() if one.person.id == "vic")
    if change == "gone":
        del bench.directory[key]
    else:
        known = bench.directory[key]
        bench.directory[key] = replace(known, person=replace(known.person, active=False))
    bench.badge("wim", "vault-in")
    reason = "unknown_credential" if change == "gone" else "vic person_inactive"
    assert bench.told() == [f"access.denied {reason}"]
    assert not bench.released("vault")
    bench.badge("eve", "vault-in")
    assert bench.told()[:2] == ["access.granted wim granted", "access.granted eve granted"]
    assert bench.released("vault")


def test_the_first_of_two_does_not_pass_a_lockdown_of_meanwhile(bench: Bench) -> None:
    bench.badge("vic", "vault-in")
    bench.order(DoorAction.LOCKDOWN, "vault")
    bench.badge("wim", "vault-in")
    assert "access.granted" not in " ".join(bench.told())
    assert not bench.released("vault")


def test_each_of_a_pair_is_on_record_with_their_path_and_trace(bench: Bench) -> None:
    bench.badge("vic", "vault-in")
    bench.wait(1)
    bench.badge("wim", "vault-in")
    first, second = (event for event in bench.events if event.name is EventName.ACCESS_GRANTED)
    assert (first.person, first.group, first.level) == ("vic", "Vault", "Everybody")
    assert (second.person, second.group, second.level) == ("wim", "Vault", "Everybody")
    assert first.trace[-1].text == "second person, after wim"
    assert second.trace[-1].text == "second person, after vic"
