"""The controller under test: its units, its door on a simulated chip, and what latchd says of itself."""

from __future__ import annotations

import functools
import json
import os
import pwd
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chip import SimulatedChip
from report import say, wait_until
from wire import frame, play

from cache.errors import LatchdError
from daemon.control.client import ask, ask_one
from daemon.errors import ControlError
from drivers.cards.formats import built_in_formats

HERE = Path(__file__).parent
CONTROL = Path("/run/latchd/doors/control.sock")
SYNC_CONTROL = Path("/run/latchd/sync/control.sock")
DOORS, SYNC = "latchd-doors.service", "latchd-sync.service"
D0, D1, CONTACT, STRIKE = 0, 1, 4, 6
PATIENCE = 60.0
TRIES = 8
SECOND_PROCESSOR = Path("/sys/devices/system/cpu/cpu1/online")
DECIDED = ("access.granted", "access.denied", "read.error")

IN_GROUP_0, IN_GROUP_1, NO_ONE = 0, 15, 999
"""Card numbers (tests/peers/scim_canned.py): of somebody who may pass, somebody who may not, and nobody."""


def command(*words: str) -> subprocess.CompletedProcess[str]:
    """Run to the end; both outputs in one."""
    return subprocess.run(
        words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True
    )


def as_user(user: str, *words: str) -> subprocess.CompletedProcess[str]:
    """The same as somebody else, with that user's groups."""
    return command("runuser", "-u", user, "--", *words)


def ask_as(user: str, socket: Path, request: str, **arguments: str) -> int:
    """Ask a daemon as somebody else would; 0, or the exit code that belongs to the refusal."""
    process = os.fork()
    if process:
        return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    code = LatchdError.exit_code
    try:
        account = pwd.getpwnam(user)
        os.initgroups(user, account.pw_gid)
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
        list(ask(socket, request, **arguments))
        code = 0
    except LatchdError as error:
        code = error.exit_code
    finally:
        os._exit(code)


def properties(unit: str, *names: str) -> list[str]:
    """What systemd says of a unit, in the order asked for."""
    shown = command("systemctl", "show", unit, f"--property={','.join(names)}").stdout
    values = dict(line.split("=", 1) for line in shown.splitlines())
    return [values[name] for name in names]


def main_process(unit: str) -> int:
    """The unit's process once it has told that it is ready; 0 before."""
    state, process = properties(unit, "ActiveState", "MainPID")
    return int(process) if state == "active" else 0


def await_another(unit: str, process: int, patience: float = 120.0) -> bool:
    """Wait until the unit is ready in another process."""
    return wait_until(lambda: main_process(unit) not in (0, process), patience)


def status() -> dict[str, Any]:
    """``latchctl status --json``, without the start of a program."""
    return dict(ask_one(CONTROL, "status"))


def answers() -> bool:
    """Whether the doors process can be asked."""
    try:
        return bool(status())
    except ControlError:
        return False


def events(*names: str, after: int = 0) -> list[dict[str, Any]]:
    """``latchctl events --json --after``."""
    return list(ask(CONTROL, "events", names=names, after=after, count=0))


def recorded(after: int, *names: str, count: int = 1) -> bool:
    """Whether so many such events are durable."""
    return len(events(*names, after=after)) >= count


def newest() -> int:
    """The number of the last durable event."""
    return int(status()["journal"]["last"])


def start_directory() -> subprocess.Popen[str]:
    """A SCIM server with 20 people, a card each, in two groups; it writes its URL into the site file here."""
    arguments = [sys.executable, "-m", "tests.peers.scim_canned", "20", "2", "20"]
    server = subprocess.Popen(arguments, cwd=HERE, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    url = json.loads(server.stdout.readline())["url"]
    site = HERE / "site.toml"
    site.write_text(site.read_text().replace("SCIM-URL", url))
    return server


def bits_of(number: int) -> str:
    """A card as its bits."""
    length, value = built_in_formats().encode("H10306", 1, number)
    return f"{value:0{length}b}"


@contextmanager
def one_processor() -> Iterator[None]:
    """Two processors of a guest do not always run at once; edges would be merged that are a millisecond apart."""
    SECOND_PROCESSOR.write_text("0")
    try:
        yield
    finally:
        SECOND_PROCESSOR.write_text("1")


@dataclass(frozen=True, slots=True)
class Door:
    """The door of site.toml, seen from its cables."""

    chip: SimulatedChip

    @classmethod
    def fitted(cls) -> Door:
        """Data lines at rest, the strike's line drawn to off, the door closed."""
        chip = SimulatedChip("door", 8)
        for line, high in ((D0, True), (D1, True), (STRIKE, False), (CONTACT, False)):
            chip.pull(line, high)
        return cls(chip)

    def is_released(self) -> bool:
        """Whether the strike has current."""
        return self.chip.level(STRIKE)

    def online(self) -> bool:
        """Whether latchd has the lines of the Wiegand reader and of the strike."""
        return answers() and all(
            d["online"] for d in status()["devices"] if d["device"] in ("lobby-in", "cabinet")
        )

    def badge(self, number: int) -> tuple[bool, dict[str, Any]]:
        """Hold a card to the Wiegand reader until it is read: whether the strike is on then, and the event.

        Again where a host with much else to do has torn the frame apart.
        """
        wait_until(self.online, PATIENCE)
        bits = bits_of(number)
        for _ in range(TRIES):
            self.locks()
            before = newest()
            with one_processor():
                play(self.chip, {"lobby-in": (D0, D1)}, [frame("lobby-in", bits, 0, random.Random())])
            wait_until(functools.partial(recorded, before, *DECIDED), 5)
            for event in events("access.granted", "access.denied", after=before):
                if event["detail"].get("bits", len(bits)) == len(bits):
                    return self.is_released(), event
        told = [f"{event['name']} {event['reason']} {event['detail']}" for event in events(after=newest() - 10)]
        say("note", "the card was not read", "; ".join(told))
        return False, {"name": "nothing was read", "reason": None, "group": None}

    def release(self) -> bool:
        """Badge with a card that may pass; whether the strike is on."""
        return self.badge(IN_GROUP_0)[0]

    def locks(self, patience: float = 10.0) -> bool:
        """Wait until the strike has no current."""
        return wait_until(lambda: not self.is_released(), patience)
