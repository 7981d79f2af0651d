"""``make demo``: a short day at a door, played against real peers and printed as it happens.

Exits 0 when everything went as told, 1 when something was otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from daemon.cli.common import fold
from daemon.config.bounds import LONGEST_SOCKET
from tests.demo.cabinet import BIN, ROOT, Cabinet
from tests.demo.peer import Peer, UnexpectedError
from tests.demo.wire import read_to_relay

ADA, GRACE, KEN, NO_ONE = 1001, 1002, 2001, 4711
"""Card numbers: two of the staff, one of the night's cleaning crew, and a card that nobody has."""

WIDE = 120
"""Columns of a terminal that has room for a step and its answer side by side."""


@dataclass
class Day:
    """The story, step by step. Each step says what it does, waits for what must follow, and prints a line."""

    cabinet: Cabinet
    started: float = field(default_factory=time.monotonic)
    follower: Peer | None = None
    seen: int = 0
    steps: int = 0
    latencies: list[float] = field(default_factory=list)

    def say(self, what: str, answer: str = "", latency: float | None = None) -> None:
        """One line of the timeline, or two where the terminal is narrow."""
        self.steps += 1
        at = time.monotonic() - self.started
        wire = f"{latency * 1000:6.1f} ms" if latency is not None else " " * 9
        line(f"{at:6.1f} s  {wire}  {what}", answer)

    def event(self, name: str, **fields: Any) -> dict[str, Any]:
        """The next event of this name with these fields, as ``latchctl events --follow`` shows it."""
        assert self.follower is not None

        def match(line: dict[str, Any]) -> bool:
            return (
                line.get("sequence", 0) > self.seen
                and line.get("name") == name
                and all(line.get(key) == value for key, value in fields.items())
            )

        found = self.follower.wait_for(f"{name} {fields}", match)
        self.seen = found["sequence"]
        return found

    def relay_until(self, on: bool) -> None:
        """Wait for the relay itself."""
        self.cabinet.wait_until(f"relay {'on' if on else 'off'}", lambda: self.cabinet.relay() is on)

    # -------------------------------------------------------------- steps

    def granted(self, number: int, what: str) -> None:
        """A card opens the door, somebody goes through, and the door locks behind them."""
        at = self.cabinet.badge(number)
        event = self.event("access.granted", reason="granted")
        self.relay_until(on=True)
        latency = None
        deadline = time.monotonic() + 5
        while latency is None and time.monotonic() < deadline:
            latency = read_to_relay(self.cabinet.directory, at)
        if latency is None:
            raise UnexpectedError("the relay's frame was not seen on the wire")
        self.latencies.append(latency)
        self.say(what, f"granted: {event['group']} > {event['level']}; relay on", latency)
        self.cabinet.contact(closed=False)
        self.event("access.taken")
        self.cabinet.contact(closed=True)
        self.event("door.locked")
        self.relay_until(on=False)
        self.say("goes through; the door closes", "taken; relocked, relay off")

    def denied(self, number: int, what: str, reason: str) -> None:
        """A card is refused, and the relay does not move."""
        moves = len(self.cabinet.peers["board"].lines)
        self.cabinet.badge(number)
        event = self.event("access.denied")
        if event["reason"] != reason:
            raise UnexpectedError(f"denied with {event['reason']}, expected {reason}")
        new = self.cabinet.peers["board"].lines[moves:]
        if any(line.get("event") == "output" and line["on"] for line in new):
            raise UnexpectedError("the relay moved although the card was denied")
        self.say(what, f"denied: {reason}")

    def sync(self, outcome: str) -> dict[str, Any]:
        """``latchctl sync now``; the outcome must be this one."""
        answer = self.cabinet.latchctl("sync", "now", "--json")
        found: dict[str, Any] = json.loads(answer.stdout or "{}")
        if found.get("outcome") != outcome:
            raise UnexpectedError(f"sync: {answer.stdout}{answer.stderr}, expected {outcome}")
        return found

    def locked(self) -> None:
        """The relay is off now."""
        if self.cabinet.relay():
            raise UnexpectedError("the relay is on")

    # -------------------------------------------------------------- the day

    def play(self) -> None:
        """From the first start to the end."""
        cabinet = self.cabinet
        cabinet.provision({"Staff": {"Ada": ADA, "Grace": GRACE}, "Cleaning crew": {"Ken": KEN}})
        self.say("an identity provider fills the SCIM server", "3 people, 2 groups, 3 cards")
        self.begin()
        self.granted(ADA, "Ada, of the staff, badges")
        self.denied(NO_ONE, "a card that no one holds", "unknown_credential")
        self.denied(KEN, "Ken, of the night's cleaning crew, at noon", "outside_schedule")
        self.granted(GRACE, "Grace, of the staff, badges")
        with cabinet.client() as client:
            client.remove_member(cabinet.groups["Staff"], cabinet.people["Grace"])
        removed = self.sync("applied")["removed"]
        self.say("Grace is taken out of Staff in the SCIM server", f"applied: {removed} removed")
        self.event("sync.applied", generation=2)
        self.denied(GRACE, "Grace badges again", "no_access_here")
        self.outage()
        self.restart()
        self.locked()
        self.say("the day ends", "the door is locked, the relay off")

    def begin(self) -> None:
        """latchd starts, finds its devices and fetches everybody."""
        self.cabinet.start_latchd()
        self.follower = self.cabinet.follow()
        self.event("sync.applied", generation=1)
        self.cabinet.wait_for_devices()
        status = self.cabinet.status()
        if not any("secure channel" in device["text"] for device in status["devices"]):
            raise UnexpectedError(f"no secure channel: {status['devices']}")
        cache = status["cache"]
        found = f"generation {cache['generation']}: {cache['people']} people"
        self.say("latchd starts", f"{found}; reader (secure) and board online")

    def outage(self) -> None:
        """The SCIM server dies; the door goes on."""
        assert self.cabinet.scim is not None
        self.cabinet.scim.stop()
        trouble = self.sync("outage")["text"].split(": ")[1]
        self.event("sync.failed")
        self.say("the SCIM server is killed", f"outage: {trouble}")
        sync = self.cabinet.status()["sync"]
        if sync["failures"] < 1:
            raise UnexpectedError("the status does not tell of the outage")
        self.granted(ADA, "Ada badges, without any server")

    def restart(self) -> None:
        """kill -9 of everything, and a start without any server."""
        before = self.known()
        self.cabinet.kill_latchd()
        self.locked()
        self.say("latchd is killed (kill -9)", "the door stays locked")
        self.cabinet.start_latchd()
        self.follower = self.cabinet.follow()
        self.event("system.start")
        self.cabinet.wait_for_devices()
        self.locked()
        if self.known() != before:
            raise UnexpectedError(f"the cache is {self.known()}, it was {before}")
        self.say("latchd starts again, the server still gone", "the cache is what it was")
        self.granted(ADA, "Ada badges")

    def known(self) -> dict[str, Any]:
        """What the cache holds, however old."""
        return {key: value for key, value in self.cabinet.status()["cache"].items() if key != "age"}


def line(what: str, answer: str) -> None:
    """A step and its answer, side by side where the terminal is wide or there is none."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDE
    print(f"{what:<67} {answer}" if width >= WIDE else f"{what}\n{fold(' ' * 23 + answer, width)}", flush=True)


def usual_directory() -> Path:
    """``demo-run`` of this tree, or a temporary one where no Unix socket could have so long a path."""
    beside = ROOT / "demo-run"
    longest = beside / "readers" / "control.sock"
    return beside if len(os.fsencode(longest)) <= LONGEST_SOCKET else Path(tempfile.mkdtemp(prefix="latchd-demo-"))


def main() -> int:
    """Play the day; with ``--keep`` leave everything running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running until ^C")
    parser.add_argument("--directory", type=Path, help="where it all lives meanwhile; else demo-run")
    options = parser.parse_args()
    directory: Path = options.directory or usual_directory()
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))  # what was started is ended, too
    print("\n      at    read to")
    line("             relay   what happens", "what latchd did")
    with Cabinet(directory) as cabinet:
        day = Day(cabinet)
        try:
            day.play()
            least, most = min(day.latencies) * 1000, max(day.latencies) * 1000
            print(f"\nAll {day.steps} steps went as told. From the end of the reader's report to the start of")
            print(f"the relay's frame, on the wire: {least:.1f} to {most:.1f} ms.")
            if options.keep:
                keep(cabinet)
        except UnexpectedError as error:
            print(f"\nNOT AS TOLD: {error}\nlatchd's log: {directory / 'latchd.log'}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print()
    return 0


TRY = (
    "status",
    "events --follow",
    f"why --reader lobby-in --card H10301:57:{ADA}",
    "access --door lobby --members",
    "door pulse lobby",
    "sync status",
    "doctor",
)
"""Command lines of latchctl that an onlooker may like."""


def keep(cabinet: Cabinet) -> None:
    """Say what can be tried, and wait."""
    command = f"{os.path.relpath(BIN / 'latchctl')} -c {os.path.relpath(cabinet.site_file)}"
    print("\nEverything is still running (but the SCIM server).")
    print("Try, in another terminal and in this folder:\n")
    for words in TRY:
        print(f"  {command} {words}")
    print("\nCards: type a number and Enter to badge (Ada is 1001, Ken 2001); ^C ends it.", flush=True)
    for typed in sys.stdin:
        if typed.strip().isdigit():
            cabinet.badge(int(typed) % 65536)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
