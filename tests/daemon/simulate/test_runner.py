"""Steps act on the world, and what does not hold, or makes no sense, is told by line."""

from __future__ import annotations

import pytest

from cache.model import EventName
from daemon.errors import ConfigError
from daemon.simulate.clock import MONOTONIC_START
from tests.daemon.simulate.conftest import Play

ADA = "H10301:57:1234"


def test_an_expectation_that_does_not_hold_tells_its_line_and_what_had_happened(play: Play) -> None:
    _, failure = play(f"+1s\nbadge lobby-in {ADA}\nexpect access.denied\nquiet")
    assert failure is not None
    assert (failure.step.line, failure.step.text) == (6, "expect access.denied")
    assert "access.granted door=lobby reader=lobby-in person=u1" in failure.text


@pytest.mark.parametrize(
    ("step", "told"),
    [
        ("expect-lock lobby released", "the lock is locked; nothing had happened that was not expected"),
        ("expect-mode lobby blocked", "the mode is locked, by default; nothing had happened"),
        ("expect-output main.out1 on", "the output is off; nothing had happened"),
    ],
)
def test_a_state_that_does_not_hold(play: Play, step: str, told: str) -> None:
    _, failure = play(step)
    assert failure is not None
    assert failure.text.startswith(told)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (f"badge lobby {ADA}", 'there is no reader "lobby"; did you mean "lobby-in"?'),
        ("badge lobby-in H10301:57:99999", "the card number does not fit: H10301 has room for 0 to 65535"),
        ("contact hatch open", "the door hatch has no contact in the site file"),
        ("rex hatch on", "the door hatch has no rex in the site file"),
        ("input main.in99 on", '"main" has no input "in99"; it has in1'),
        ("expect-output main.out99 on", '"main" has no output "out99"; it has out1'),
        ("tamper main on", 'there is no reader "main"'),
        ("board lobby-in offline", 'there is no board "lobby-in"; there are: main'),
        ("expect rex door=loby", 'there is no door "loby"; did you mean "lobby"?'),
        (
            'expect access.granted level="Staff weekday"',
            'there is no access level "Staff weekday"; did you mean "Staff weekdays"?',
        ),
        ("at 2026-03-02T08:59:59+01:00", "this instant has passed"),
        ("directory absent.json", "absent.json cannot be read: No such file or directory"),
        ("operator eve unlock loby", 'there is no door "loby"'),
        ("operator eve unlock lobby until edge", "the door lobby has no schedule that changes"),
        ("operator eve forgive u99", 'the directory has no person of the id "u99"'),
        ("operator eve forgive area office", 'there is no area "office"; there is none'),
        ("operator eve sync accept", "nothing is held back"),
    ],
)
def test_a_step_that_makes_no_sense(play: Play, step: str, told: str) -> None:
    with pytest.raises(ConfigError) as error:
        play(f"+1s\n{step}")
    assert ":5: " in str(error.value)
    assert told in str(error.value)


def test_steps_that_take_time_take_as_long_as_the_hardware(play: Play) -> None:
    player, failure = play(
        f"badge lobby-in {ADA}\n+9.9s\nexpect-lock lobby released\n+100ms\nexpect-lock lobby locked"
    )
    assert failure is None
    assert player.world.clock.monotonic == 1011.0


def test_the_world_is_closed_and_its_records_stay(play: Play) -> None:
    player, _ = play(f"badge lobby-in {ADA}")
    assert [record.event.name for record in player.records][-2:] == [
        EventName.ACCESS_GRANTED,
        EventName.DOOR_RELEASED,
    ]
    assert [record.sequence for record in player.records] == list(range(1, len(player.records) + 1))


def test_what_is_to_be_said_of_the_directory(play: Play) -> None:
    player, _ = play("quiet")
    assert "Rosalind Franklin: the same card is on Lise Meitner: nobody may use it" in player.remarks


@pytest.mark.parametrize(("pulse", "taken"), [("1ms", False), ("29ms", False), ("31ms", True), ("2s", True)])
def test_a_pulse_of_any_length_can_be_played(pulse: str, taken: bool, play: Play) -> None:
    _, failure = play(f"rex lobby on for {pulse}\n{'expect' if taken else 'expect-no'} rex\nrex lobby off\nquiet")
    assert failure is None


def test_the_dark_takes_as_long_as_it_takes_and_another_boot_begins(play: Play) -> None:
    player, failure = play("+10s\npower-cut for 2h\nat 2026-03-02T11:00:11+01:00\nquiet")
    assert failure is None
    assert (player.world.clock.boot, player.world.clock.monotonic) == (2, MONOTONIC_START + 1.0)


@pytest.mark.parametrize(("words", "reason"), [("", "clock_untrusted"), (" trusted", "granted")])
def test_a_start_in_the_past_is_said_unless_it_is_meant(words: str, reason: str, play: Play) -> None:
    name = "granted" if reason == "granted" else "denied"
    start = f"2011-03-28T10:00:00+02:00{words}"
    player, failure = play(f"badge lobby-in {ADA}\nexpect access.{name} reason={reason}", start=start)
    assert failure is None
    assert [note.split(": ", 1)[1][:54] for note in player.notes] == (
        [] if words else ["before 2026-01-01 a clock counts as never set, and wha"]
    )


@pytest.mark.parametrize("kind", ["timeout", "unauthorized", "gone"])
def test_a_failed_sync_is_recorded_by_its_kind_as_the_daemon_does(kind: str, play: Play) -> None:
    _, failure = play(f"sync fail {kind}\nexpect sync.failed outcome={kind}")
    assert failure is None


def test_a_provider_that_is_gone_waits_for_an_operator_with_a_name(play: Play) -> None:
    player, failure = play(
        "sync fail gone\n+10m\nsync fail gone\nexpect sync.quarantined\n"
        "operator eve sync accept\nexpect sync.disconnected"
    )
    assert failure is None
    [event] = [one.event for one in player.world.happened if one.event.name is EventName.SYNC_DISCONNECTED]
    assert dict(event.detail)["text"] == "disconnected: the provider is gone, accepted by eve"
