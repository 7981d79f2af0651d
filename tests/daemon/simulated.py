"""A small site on simulated hardware, for tests of the processes and for benchmarks: one door, three cards."""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cache.changes import Binding, Delta, GroupHead, Plan, Rebinding
from cache.directory.store import Store
from cache.journal.reader import JournalReader
from cache.keys import card_key
from cache.model import Credential, EventName, Person, Record
from daemon.config.load import load_site
from daemon.config.site import Site
from daemon.doors.loop import Doors
from drivers.cards.formats import built_in_formats
from drivers.driver import Context, Driver, DriverType
from drivers.events import DeviceEvent, DeviceOnline, Point
from drivers.sim.driver import SimDriver
from tests.daemon.site_text import level, sim_door, site_text

PATIENCE = 20.0
"""Seconds to wait for what takes milliseconds: a loaded machine is no failure."""

LOCK = Point("main", "out1")
ADA, KEN, NO_ONE = 1001, 2001, 4711
"""Card numbers: Ada may at any time, Ken by a rule that depends on the date, nobody holds the third."""

SITE = site_text(
    sim_door('control = "{here}/sim.sock"\n', 'strike_time = "1s"\n'),
    '[schedule.office]\nmon-sun = ["00:00-24:00"]\n[special_days.past]\n"2020-01-01" = []\n',
    level("Always"),
    level("By day", "Cleaning", 'schedule = "office"\nspecial_days = ["past"]\n'),
    key="file:{here}/site-key",
    simulated=True,
).replace("{here}", "{directory}")
"""``{directory}`` is the folder of the bench."""


def card(number: int) -> tuple[int, int]:
    """Length and value of a raw read."""
    return built_in_formats().encode("H10301", 57, number)


@dataclass
class Bench:
    """A site below ``directory``; ``text`` is its site file."""

    directory: Path
    text: str = SITE
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32))

    def __post_init__(self) -> None:
        """Write the site file and its key."""
        for folder in ("", "doors", "sync"):
            (self.state / folder).mkdir(parents=True, exist_ok=True)
            (self.state / folder).chmod(0o750)
        with open(self.directory / "site-key", "wb", opener=lambda p, f: os.open(p, f, 0o600)) as file:
            file.write(self.key)
        self.file.write_text(self.text.replace("{directory}", str(self.directory)), encoding="utf-8")

    @property
    def file(self) -> Path:
        """The site file."""
        return self.directory / "site.toml"

    @property
    def state(self) -> Path:
        """The directory of the folders of doors and sync."""
        return self.directory / "state"

    def site(self) -> Site:
        """The site, read as the doors process does."""
        return load_site(self.file)

    def fill(self, cards: Mapping[str, int] | None = None) -> int:
        """One more generation: Ada of the staff and Ken of the cleaning crew, or the staff that is given."""
        staff = cards if cards is not None else {"ada": ADA}
        people = {**staff, **({"ken": KEN} if cards is None else {})}
        delta = Delta(
            tuple(Person(name, name=name.title()) for name in people),
            (GroupHead("g1", "Staff"), GroupHead("g2", "Cleaning")),
            tuple(Credential(card_key(self.key, *card(number)), name) for name, number in people.items()),
            {"g1": frozenset(staff), "g2": frozenset(set(people) - set(staff))},
        )
        names = (Binding("Staff", "g1", None, "Staff"), Binding("Cleaning", "g2", None, "Cleaning"))
        now = datetime.now(UTC)
        with Store(self.state / "sync" / "cache.db") as store:
            number = store.apply(Plan(delta, Rebinding(names)), now)
            store.completed(now, "complete")
        return number

    def events(self, *names: EventName) -> list[Record]:
        """What is durable of these names; of all without a name."""
        with JournalReader(self.state / "doors" / "journal.db") as journal:
            return [record for record in journal.events() if not names or record.event.name in names]


@dataclass
class Running:
    """A doors process inside this one, and its simulated driver."""

    doors: Doors = field(init=False)
    drivers: list[Driver] = field(default_factory=list)
    emitted: list[DeviceEvent] = field(default_factory=list)

    def online(self) -> set[str]:
        """The devices that have said that they are there."""
        return {event.device for event in self.emitted if isinstance(event, DeviceOnline)}

    @property
    def sim(self) -> SimDriver:
        """The simulated driver that runs now."""
        driver = self.drivers[-1]
        assert isinstance(driver, SimDriver)
        return driver

    def badge(self, number: int) -> bool:
        """Present a card; whether the lock was released before this returned."""
        self.sim.badge("lobby-in", *card(number))
        return self.sim.bench.outputs()[LOCK]

    def released(self) -> bool:
        """Whether the lock is released."""
        return self.sim.bench.outputs()[LOCK]


async def until(what: str, holds: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Ask until it holds, and what it said."""
    deadline = time.monotonic() + patience
    while not (found := holds()):
        assert time.monotonic() < deadline, f"{what}: not within {patience:g} s"
        await asyncio.sleep(0.01)
    return found


def remembering(running: Running, site: Site, kind: Callable[[DriverType], DriverType]) -> Site:
    """The site, with every driver that is made for it, and every event that it emits, kept in ``running``."""

    def watched(real: DriverType) -> DriverType:
        def create(bus: Any, devices: Mapping[str, Any], context: Context) -> Driver:
            def emit(event: DeviceEvent) -> None:
                running.emitted.append(event)
                context.emit(event)

            driver = real.create(bus, devices, replace(context, emit=emit))
            running.drivers.append(driver)
            return driver

        return replace(real, create=create)

    buses = tuple(replace(bus, type=watched(kind(bus.type))) for bus in site.devices.buses)
    return replace(site, devices=replace(site.devices, buses=buses))


@asynccontextmanager
async def running(
    bench: Bench, kind: Callable[[DriverType], DriverType] = lambda real: real
) -> AsyncIterator[Running]:
    """The doors of this bench, running, with every device online. ``kind`` exchanges the driver."""
    now = Running()
    site = remembering(now, bench.site(), kind)
    devices = {name for bus in site.devices.buses for name in bus.devices}
    async with Doors(site) as now.doors:
        task = asyncio.create_task(now.doors.run())
        try:
            await until("devices", lambda: now.online() == devices)
            yield now
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
