"""The world of a scenario has real databases, and only what was durable is there after a power cut."""

from __future__ import annotations

from cache.journal.reader import JournalReader
from daemon.simulate.record import COMMIT_DELAY
from tests.daemon.simulate.conftest import Play

ADA = "H10301:57:1234"
BADGE = f"badge lobby-in {ADA}\n"


def test_a_power_cut_takes_what_was_not_durable(play: Play) -> None:
    player, failure = play(
        BADGE + "power-cut\nexpect-no access.granted\nexpect-lock lobby locked\nexpect system.start"
    )
    assert failure is None
    assert "access.granted" not in [record.event.name for record in player.records]


def test_and_leaves_what_was(play: Play) -> None:
    _, failure = play(BADGE + f"+{round(COMMIT_DELAY * 1000)}ms\npower-cut\nexpect access.granted\nquiet")
    assert failure is None


def test_what_was_expected_before_the_cut_was_there(play: Play) -> None:
    _, failure = play(BADGE + "expect access.granted\npower-cut\n" + BADGE + "expect access.granted\nquiet")
    assert failure is None


def test_an_order_is_durable_at_once(play: Play) -> None:
    _, failure = play("operator eve lockdown lobby\npower-cut\nexpect operator\nexpect-mode lobby lockdown")
    assert failure is None


def test_a_restart_loses_nothing(play: Play) -> None:
    _, failure = play(BADGE + "restart\nexpect access.granted\nexpect system.stop\nexpect system.start\nquiet")
    assert failure is None


def test_each_cut_of_the_power_is_another_boot(play: Play) -> None:
    player, _ = play("restart\npower-cut\npower-cut\n+1s")
    assert [record.stamp.boot_id for record in player.records if record.event.name == "system.start"] == [
        "boot-1",
        "boot-1",
        "boot-2",
        "boot-3",
    ]


def test_the_journal_is_the_real_one_and_its_chain_holds(play: Play) -> None:
    player, _ = play(BADGE + "+1s\npower-cut\n" + BADGE + "restart")
    with JournalReader(player.world.paths.journal) as reader:
        assert [record.event for record in reader.events()] == [record.event for record in player.records]
        assert reader.verify().faults == ()


def test_the_sync_has_happened_at_the_very_start(play: Play) -> None:
    _, failure = play(
        "at 2026-03-02T09:59:59+01:00\nexpect-no cache.stale\n+1s\nexpect cache.stale door=vault level=denied",
        "site-stale.toml",
    )
    assert failure is None
