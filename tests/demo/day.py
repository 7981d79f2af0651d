"""``make demo``: a short day at a door, played against real peers and printed as it happens.

Exits 0 when everything went as told, 1 when something was otherwise.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.demo.cabinet import BIN, ROOT, Cabinet
from tests.demo.peer import Peer, UnexpectedError
from tests.demo.wire import read_to_relay

ADA, GRACE, KEN, NOBODY = 1001, 1002, 2001, 4711
"""Card numbers: two of the staff, one of the night's cleaning crew, and a card that nobody has."""


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
        """One line of the timeline."""
        self.steps += 1
        at = time.monotonic() - self.started
        wire = f"{latency * 1000:6.1f} ms" if latency is not None else " " * 9
        print(f"  {at:6.1f} s  {wire}  {what:<58}  {answer}", flush=True)

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
        self.say(what, f"denied: {reason} ({event['trace'][-1]['text']})")

    def sync(self, outcome: str) -> str:
        """``latchctl sync now``; the outcome must be this one."""
        answer = self.cabinet.latchctl("sync", "now")
        text = answer.stdout.strip().splitlines()[0] if answer.stdout else answer.stderr.strip()
        if not text.startswith(outcome):
            raise UnexpectedError(f"sync: {text}, expected {outcome}")
        return text

    # -------------------------------------------------------------- the day

    def play(self) -> None:
        """From the first start to the end."""
        cabinet = self.cabinet
        cabinet.provision({"Staff": {"Ada": ADA, "Grace": GRACE}, "Cleaning crew": {"Ken": KEN}})
        self.say("an identity provider fills the SCIM server", "3 people, 2 groups, 3 cards")
        self.begin()
        self.granted(ADA, "Ada, of the staff, badges")
        self.denied(NOBODY, "a card that nobody holds", "unknown_credential")
        self.denied(KEN, "Ken, of the night's cleaning crew, badges at noon", "outside_schedule")
        self.granted(GRACE, "Grace, of the staff, badges")
        with cabinet.client() as client:
            client.remove_member(cabinet.groups["Staff"], cabinet.people["Grace"])
        self.say("Grace is taken out of Staff in the SCIM server", self.sync("applied"))
        self.event("sync.applied", generation=2)
        self.denied(GRACE, "Grace badges again", "no_access_here")
        self.outage()
        self.restart()
        if cabinet.relay():
            raise UnexpectedError("the relay is on at the end of the day")
        self.say("the day ends", "the door is locked, the relay off")

    def begin(self) -> None:
        """latchd starts, finds its devices and fetches everybody."""
        self.cabinet.start_latchd()
        self.follower = self.cabinet.follow()
        self.event("sync.applied", generation=1)
        self.cabinet.wait_for_devices()
        status = self.cabinet.status()
        cache = status["cache"]
        self.say(
            "latchd starts",
            f"generation {cache['generation']}: {cache['people']} people; reader (secure) and board online",
        )

    def outage(self) -> None:
        """The SCIM server dies; the door goes on."""
        assert self.cabinet.scim is not None
        self.cabinet.scim.stop()
        text = self.sync("outage")
        self.event("sync.failed")
        self.say("the SCIM server is killed", text)
        sync = self.cabinet.status()["sync"]
        if sync["failures"] < 1:
            raise UnexpectedError("the status does not tell of the outage")
        self.granted(ADA, "Ada badges, without any server")

    def restart(self) -> None:
        """kill -9 of everything, and a start without any server."""
        self.cabinet.kill_latchd()
        self.say("latchd is killed (kill -9)", "the door stays locked")
        self.cabinet.start_latchd()
        self.follower = self.cabinet.follow()
        self.event("system.start")
        self.cabinet.wait_for_devices()
        self.say("latchd starts again, the server still gone", "the cache is what it was")
        self.granted(ADA, "Ada badges")


def main() -> int:
    """Play the day; with ``--keep`` leave everything running."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running until ^C")
    parser.add_argument("--directory", type=Path, default=ROOT / "demo-run", help="where it all lives meanwhile")
    options = parser.parse_args()
    shutil.rmtree(options.directory, ignore_errors=True)
    options.directory.mkdir(parents=True)
    print("\n      at    read to    what happens                                                what latchd did")
    print("            relay", flush=True)
    with Cabinet(options.directory) as cabinet:
        day = Day(cabinet)
        try:
            day.play()
            least, most = min(day.latencies) * 1000, max(day.latencies) * 1000
            print(f"\nAll {day.steps} steps went as told. From the end of the reader's report to the start of")
            print(f"the relay's frame, on the wire: {least:.1f} to {most:.1f} ms.")
            if options.keep:
                keep(cabinet)
        except UnexpectedError as error:
            print(f"\nNOT AS TOLD: {error}\nlatchd's log: {options.directory / 'latchd.log'}", file=sys.stderr)
            return 1
        except KeyboardInterrupt:
            print()
    return 0


def keep(cabinet: Cabinet) -> None:
    """Say what can be tried, and wait."""
    command = f"{BIN / 'latchctl'} --config {cabinet.site_file}"
    print("\nEverything is still running (but the SCIM server). Try, in another terminal:\n")
    for line in (
        "status",
        "events --follow",
        f"why --reader lobby-in --card H10301:57:{ADA}",
        "sync status",
        "doctor",
    ):
        print(f"  {command} {line}")
    print("\nCards: type a number and Enter to badge (Ada is 1001, Ken 2001); ^C ends it.", flush=True)
    for line in sys.stdin:
        if line.strip().isdigit():
            cabinet.badge(int(line) % 65536)
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    sys.exit(main())
