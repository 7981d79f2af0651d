"""A real doors process on the simulated driver, in this process: its databases, its control socket, its thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from cache.directory.store import Store
from cache.keys import card_key
from cache.model import Credential, Directory, Group, Person
from cache.reconcile.reconcile import Evidence, Policy, plan
from daemon.config.load import load_site
from daemon.config.paths import Paths
from daemon.control.client import ask
from daemon.control.doors_commands import DoorsCommands
from daemon.control.permissions import Permissions
from daemon.control.server import ControlServer
from daemon.doors.loop import Doors
from drivers.cards.formats import built_in_formats
from drivers.events import CardRead

SITE_KEY = bytes(range(32))

SITE = """
allow_simulation = true
[site]
name = "Bench"
timezone = "Europe/Berlin"
key = "file:{directory}/site.key"
[state]
directory = "{directory}"
[control]
socket = "{directory}/control.sock"
[bus.bench]
driver = "sim"
[board.main]
bus = "bench"
[reader.lobby-in]
bus = "bench"
[reader.lobby-out]
bus = "bench"
[reader.vault-in]
bus = "bench"
[door.lobby]
entry = "lobby-in"
exit = "lobby-out"
lock = "main.out1"
lockdown_exempt = ["Security", "Cleaning"]
[door.vault]
entry = "vault-in"
lock = "main.out2"
mode = "card_and_pin"
two_person = {{ groups = ["Vault"], within = "10s" }}
[schedule.office]
mon-fri = ["08:00-18:00"]
[schedule.night]
mon-sun = ["22:00-06:00"]
[staleness]
deny_after = "30d"
[[access_level]]
name = "Staff weekdays"
groups = ["Staff", "Temps"]
doors = ["lobby"]
schedule = "office"
[[access_level]]
name = "Security"
groups = ["Security"]
doors = ["lobby", "vault"]
essential = true
[[access_level]]
name = "Vault nights"
groups = ["Vault"]
doors = ["vault"]
schedule = "night"
[[door_schedule]]
door = "vault"
schedule = "office"
mode = "blocked"
"""

REFERENCES = frozenset({"Staff", "Temps", "Security", "Vault", "Cleaning"})


def card(number: int) -> bytes:
    """The key of the H10301 card of this number, facility 57."""
    return card_key(SITE_KEY, *built_in_formats().encode("H10301", 57, number))


ADA = Person("u1", True, "Ada Lovelace", "ada@example.com", "100")
GRACE = Person("u2", True, "Grace Hopper", "grace@example.com", "101")
ALAN = Person("u3", False, "Alan Turing", "alan@example.com", "102")
EDSGER = Person("u4", True, "Edsger Dijkstra", "edsger@example.com", "103")
GRACES_TWIN = Person("u5", True, "Grace Kelly", "kelly@example.com", "104")

DIRECTORY = Directory(
    {person.id: person for person in (ADA, GRACE, ALAN, EDSGER, GRACES_TWIN)},
    {
        "g1": Group("g1", "Staff", None, frozenset({"u1", "u2", "u3", "u4"})),
        "g2": Group("g2", "Security", None, frozenset({"u2"})),
        "g3": Group("g3", "Vault", None, frozenset({"u1"})),
    },
    (
        Credential(card(1), "u1", label="H10301"),
        Credential(card(2), "u2", label="H10301"),
        Credential(card(3), "u3", label="H10301"),
        Credential(card(5), "u5", label="H10301"),
    ),
)
"""Edsger has no card; Grace Kelly is in no group."""


def write_site(directory: Path, more: str = "") -> Path:
    """The site file, with ``more`` at its end, and its key."""
    key = directory / "site.key"
    key.write_bytes(SITE_KEY)
    key.chmod(0o600)
    site = directory / "site.toml"
    site.write_text(SITE.format(directory=directory) + more)
    return site


def fill_cache(site: Path, directory: Directory, now: datetime) -> None:
    """A complete sync at ``now`` that found this directory."""
    with Store(Paths.of(load_site(site, None)).prepare_sync().cache) as store:
        policy = Policy(references=REFERENCES)
        changes = plan(store.load(), directory, Evidence(), policy, now, (), store.bindings())
        store.apply(changes, now)
        store.completed(now, "filled by a test")


Ask = Callable[..., list[Any]]


class Served:
    """A doors process in a thread of its own."""

    def __init__(self, site: Path) -> None:
        self._site = load_site(site)
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="doors")
        self.socket = Path(self._site.tables.control.socket)

    def start(self) -> None:
        """Return when the socket answers."""
        self._thread.start()
        assert self._ready.wait(20), "the doors process did not start in time"
        assert self._thread.is_alive(), "the doors process ended at once; its thread said why"

    def stop(self) -> None:
        """End it as SIGTERM would."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(20)

    def ask(self, command: str, **arguments: Any) -> list[Any]:
        """The items of the answer; those of a long one without their chunks."""
        found = list(ask(self.socket, command, 30.0, **arguments))
        return [item for chunk in found for item in chunk] if found and isinstance(found[0], list) else found

    def act(self, function: Callable[[Doors], object]) -> None:
        """Do something in the loop, and wait for it."""

        async def inside() -> None:
            function(self.doors)

        asyncio.run_coroutine_threadsafe(inside(), self._loop).result(20)

    def badge(self, reader: str, number: int) -> None:
        """Show a card to a reader."""
        length, value = built_in_formats().encode("H10301", 57, number)

        def show(doors: Doors) -> None:
            now = doors.now()
            doors.act(doors.controller.handle(CardRead(reader, length, value, now.monotonic), now), now)

        self.act(show)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve())
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        async with Doors(self._site) as self.doors:
            desk = DoorsCommands(self.doors)
            server = ControlServer(self.socket, Permissions((), ()), desk.commands())
            running = asyncio.create_task(self.doors.run())
            try:
                await server.start()
                self._ready.set()
                await self._stop.wait()
            finally:
                running.cancel()
                await asyncio.wait((running,))
                await server.stop()
                await desk.close()


@contextmanager
def serving(site: Path) -> Iterator[Served]:
    """Serve the site meanwhile."""
    served = Served(site)
    served.start()
    try:
        yield served
    finally:
        served.stop()
