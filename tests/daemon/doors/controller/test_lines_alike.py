"""Lock, contact and REX may be lines of a GPIO chip, a Modbus board or an OSDP reader: a door is the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from cache.model import ClockQuality, Event, Found, Freshness, Moment
from daemon.cli.latchd import latchd
from daemon.config.load import read_site
from daemon.config.site import unattended_locks
from daemon.doors.controller.controller import Controller
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.rules import controller_rules
from daemon.doors.controller.setup import door_setups
from drivers.events import Command, InputChanged, InputState, Point, Pulse

SITE = """
[site]
name = "Alike"
timezone = "UTC"
key = "env:KEY"
[bus.readers]
driver = "osdp"
port = "/dev/ttyRS485-1"
[reader.lobby-in]
bus = "readers"
address = 0
key = "env:KEY"
[bus.io]
driver = "modbus-rtu"
port = "/dev/ttyRS485-0"
[board.main]
bus = "io"
profile = "relay-4-input-4"
[board.cabinet]
driver = "gpio"
chip = "/dev/gpiochip1"
outputs = { lock = 22 }
inputs = { contact = 5, rex = { line = 6, bias = "pull_up", active_low = true } }
[door.lobby]
entry = "lobby-in"
lock = "LOCK"
contact = { input = "CONTACT", sense = "nc" }
rex = { input = "REX", release = true, time = "3s" }
"""
KINDS = {
    "modbus": ("main.out1", "main.in1", "main.in2"),
    "gpio board": ("cabinet.lock", "cabinet.contact", "cabinet.rex"),
    "gpio lines": ("gpio:/dev/gpiochip0/22", "gpio:/dev/gpiochip0/5", "gpio:/dev/gpiochip0/6"),
    "osdp reader": ("reader:lobby-in/out0", "reader:lobby-in/in0", "reader:lobby-in/in1"),
    "mixed": ("main.out4", "gpio:/dev/gpiochip0/5", "reader:lobby-in/in0"),
}


class Story:
    """A door and what happens at it."""

    def __init__(self, lock: str, contact: str, rex: str) -> None:
        text = SITE.replace("LOCK", lock).replace("CONTACT", contact).replace("REX", rex)
        self.site = read_site(text, "site.toml", None)
        setup = door_setups(self.site)["lobby"]
        assert setup.contact is not None
        assert setup.rex is not None
        self.lock, self.contact, self.rex = setup.lock, setup.contact.point, setup.rex.point
        self.now = Moment(datetime(2026, 3, 2, 9, 0, tzinfo=UTC), 1000.0, ClockQuality.SYNCED)
        self.controller = Controller(controller_rules(self.site, bytes(32)), lambda key: Found((), Freshness()))
        self.commands: list[Command] = []
        self.events: list[Event] = []
        self._take(self.controller.start(self.now, "test", {}))

    def turn(self, point: Point, state: InputState) -> None:
        """An input changes, and settles."""
        self._take(self.controller.handle(InputChanged(point, state, self.now.monotonic), self.now))
        self.now = replace(self.now, utc=self.now.utc + timedelta(seconds=0.1), monotonic=self.now.monotonic + 0.1)
        self._take(self.controller.handle_deadline(self.now))

    def _take(self, effects: Effects) -> None:
        self.commands += effects.commands
        self.events += effects.events

    def told(self) -> list[str]:
        """The names of the events, the site's own left out."""
        return [event.name.value for event in self.events if event.door]


@pytest.mark.parametrize("kind", KINDS)
def test_a_door_is_the_same_whatever_its_lines_are(kind: str) -> None:
    here, other = Story(*KINDS[kind]), Story(*KINDS["modbus"])
    for story in (here, other):
        story.turn(story.contact, InputState.ON)
        story.turn(story.rex, InputState.OFF)
        story.events.clear()
        story.turn(story.rex, InputState.ON)
        assert Pulse(story.lock, 3.0) in story.commands
        story.turn(story.contact, InputState.OFF)
        story.turn(story.contact, InputState.ON)
        story.turn(story.contact, InputState.SHORT)
    assert here.told() == other.told()
    assert {"door.opened", "door.closed", "input.fault"} <= set(here.told())


def test_each_line_belongs_to_the_driver_that_its_name_says() -> None:
    drivers = {}
    for kind, lines in KINDS.items():
        site = Story(*lines).site
        kinds = {device: bus.type.name for bus in site.devices.buses for device in bus.devices}
        drivers[kind] = kinds[Story(*lines).rex.device]
    assert drivers == {
        "modbus": "modbus-rtu",
        "gpio board": "gpio",
        "gpio lines": "gpio",
        "osdp reader": "osdp",
        "mixed": "osdp",
    }


def test_a_lock_that_a_killed_daemon_leaves_released_is_told() -> None:
    notes = {kind: dict(unattended_locks(Story(*lines).site)).get("lobby", "") for kind, lines in KINDS.items()}
    assert "main.out1: relay-4-input-4: " in notes["modbus"]
    assert "Not for strikes" in notes["mixed"]
    assert "GPIO times nothing" in notes["gpio board"]
    assert "GPIO times nothing" in notes["gpio lines"]
    assert notes["osdp reader"] == ""
    timed = SITE.replace("relay-4-input-4", "waveshare-8ch").replace("LOCK", "main.out1")
    timed = timed.replace("CONTACT", "main.in1").replace("REX", "main.in2")
    assert not list(unattended_locks(read_site(timed, "site.toml", None)))


def test_check_config_tells_it_too(tmp_path: Path) -> None:
    file = tmp_path / "site.toml"
    lock, contact, rex = KINDS["gpio lines"]
    file.write_text(SITE.replace("LOCK", lock).replace("CONTACT", contact).replace("REX", rex))
    result = CliRunner().invoke(latchd, ["check-config", "--without-secrets", str(file)])
    assert result.exit_code == 0
    (note,) = [line for line in result.output.splitlines() if line.startswith("note: ")]
    assert note.startswith(
        "note: door.lobby: if the daemon is killed during a strike: gpio:/dev/gpiochip0.22: GPIO"
    )
