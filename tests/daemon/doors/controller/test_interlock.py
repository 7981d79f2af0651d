"""An interlock binds whoever wants in: a mode that would release a second door of the set waits for the first."""

from __future__ import annotations

import pytest

from cache.model import EventName, Mode
from daemon.doors.controller.orders import DoorAction
from daemon.doors.door.modes import FirstIn
from tests.daemon.doors.controller.bench import Bench

VAULT_CONTACT, LAB_CONTACT = "in3", "in4"


def open_lab(bench: Bench) -> None:
    """Somebody is in the lab's doorway."""
    bench.line(LAB_CONTACT, on=False)
    bench.told()


def test_an_operator_s_unlock_waits_until_the_other_door_is_shut(bench: Bench) -> None:
    open_lab(bench)
    bench.order(DoorAction.UNLOCK, "vault")
    assert bench.last(EventName.DOOR_MODE_WAITING).door == "vault"
    detail = dict(bench.last(EventName.DOOR_MODE_WAITING).detail)
    assert detail == {"mode": "unlocked", "cause": "override", "with": "lab"}
    vault = bench.controller.doors["vault"]
    assert (vault.state.mode, vault.waits_for) == (Mode.LOCKED, "lab")
    assert not bench.released("vault")
    bench.told()
    bench.wait(3600)
    assert bench.told() == ["door.held_warning", "door.held"] or not bench.released("vault")
    bench.line(LAB_CONTACT, on=True)
    assert bench.released("vault")
    assert (vault.state.mode, vault.waits_for) == (Mode.UNLOCKED, None)
    assert "door.mode" in bench.told()


def test_what_waits_is_recorded_once_for_each_thing_that_waits(bench: Bench) -> None:
    open_lab(bench)
    bench.order(DoorAction.UNLOCK, "vault")
    bench.wait(5)
    bench.order(DoorAction.UNLOCK, "vault")
    assert bench.told().count("door.mode_waiting") == 1
    bench.order(DoorAction.RELEASE, "vault")
    assert bench.controller.doors["vault"].waits_for is None
    bench.order(DoorAction.UNLOCK, "vault")
    assert bench.told().count("door.mode_waiting") == 1


def test_an_order_for_a_time_runs_out_while_it_waits(bench: Bench) -> None:
    open_lab(bench)
    bench.order(DoorAction.UNLOCK, "vault", seconds=600.0)
    bench.wait(600)
    assert bench.controller.doors["vault"].waits_for is None
    bench.line(LAB_CONTACT, on=True)
    assert not bench.released("vault")


def test_a_scheduled_window_waits(bench: Bench) -> None:
    vault = bench.controller.doors["vault"]
    bench.wait(2.5 * 3600)
    vault.ordered = vault.ordered.__class__(first_in=FirstIn("vic", bench.utc, None))
    open_lab(bench)
    vault.take_mode(bench.now)
    bench.wait(0)
    detail = dict(bench.last(EventName.DOOR_MODE_WAITING).detail)
    assert detail == {"mode": "unlocked", "cause": "schedule", "with": "lab"}
    bench.line(LAB_CONTACT, on=True)
    assert bench.released("vault")


def test_the_second_of_two_unlocked_doors_waits_for_the_first(bench: Bench) -> None:
    bench.order(DoorAction.UNLOCK, "vault")
    bench.order(DoorAction.UNLOCK, "lab")
    assert (bench.released("vault"), bench.released("lab")) == (True, False)
    assert bench.controller.doors["lab"].state.mode is Mode.CARD_AND_PIN, "what is beneath holds meanwhile"
    bench.order(DoorAction.LOCK, "vault")
    assert (bench.released("vault"), bench.released("lab")) == (False, True)


@pytest.mark.parametrize("action", [DoorAction.LOCK, DoorAction.BLOCK, DoorAction.LOCKDOWN])
def test_what_locks_does_not_wait(bench: Bench, action: DoorAction) -> None:
    bench.order(DoorAction.UNLOCK, "vault")
    open_lab(bench)
    assert bench.released("vault"), "a door that is held released stays so"
    bench.order(action, "vault")
    assert not bench.released("vault")


def test_after_a_start_a_mode_waits_until_the_other_contact_is_read(bench: Bench) -> None:
    bench.order(DoorAction.UNLOCK, "vault")
    bench.start()
    assert not bench.released("vault")
    bench.line(VAULT_CONTACT, on=True)
    assert not bench.released("vault")
    bench.line(LAB_CONTACT, on=True)
    assert bench.released("vault")


def test_doors_without_an_interlock_wait_for_nobody(bench: Bench) -> None:
    open_lab(bench)
    bench.order(DoorAction.UNLOCK, "lobby")
    assert bench.released("lobby")
    assert "door.mode_waiting" not in bench.told()
