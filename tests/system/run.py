"""`make test-system`: latchd on whole machines, in QEMU. Prints one line for each fact and how many held.

``run.py [gpio] [systemd] [power]`` runs only these. Consoles are kept in ``.system-test/*.log``.
"""

from __future__ import annotations

import contextlib
import math
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from build import Machine, build
from machine import Line, booted
from steps import CACHE, BuildError, run

from cache.directory.store import Store
from cache.journal.head import head_key, read_head
from cache.journal.keeper import KeptJournal
from cache.journal.reader import JournalReader
from tests.cache.numbered import SITE_KEY, same
from tests.peers.cache_writer import generation
from tests.peers.osdp_bench import LibosdpReader, Peers

AS_INIT = "program=/opt/system-test/start-as-init"
CUTS = 3
LONGEST = 1200
"""Seconds that a guest may take on a machine with much else to do, which took 500; a fifth of it is usual."""


def show(line: Line, counts: Counter[str]) -> None:
    """A fact on the screen, and counted."""
    if line.kind in ("passed", "failed", "note"):
        counts[line.kind] += 1
        print(f"  {line.kind:6}  {line.name}{': ' if line.text else ''}{line.text}", flush=True)


def guest_suite(
    machine: Machine, name: str, *words: str, answer: Callable[[Line], None] | None = None, **properties: Any
) -> Counter[str]:
    """Boot, and count what the guest reports; not to reach its end is a failure. ``answer`` does what it asks."""
    counts: Counter[str] = Counter()
    log = CACHE / f"{name}.log"
    ended = False
    with booted(machine, log, *words, **properties) as guest:
        try:
            for line in guest.lines(LONGEST):
                show(line, counts)
                ended = ended or line.kind == "end"
                if answer is not None:
                    answer(line)
        except TimeoutError as fault:
            show(Line("note", name, str(fault)), counts)
    if not ended:
        show(Line("failed", name, f"the guest did not reach the end of its tests; {log} has its console"), counts)
    return counts


def gpio(machine: Machine) -> Counter[str]:
    """Drivers on a gpiochip. A machine that is short of time can spoil the timing: one more try is allowed."""
    counts = guest_suite(machine, "gpio", AS_INIT, "suite=gpio_suite")
    if counts["failed"]:
        print("  once more: the edges depend on the time that the host gives", flush=True)
        counts = guest_suite(machine, "gpio", AS_INIT, "suite=gpio_suite")
    return counts


def systemd(machine: Machine) -> Counter[str]:
    """The units under systemd, with an OSDP reader on a paced bus behind the guest's second serial port.

    The reader is there for one test only: libosdp's dies after some 4,500 commands.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(Peers(Path(folder), 9600, 1)) as bus:
        readers: list[LibosdpReader] = []

        def answer(line: Line) -> None:
            if line.kind == "key":
                readers.append(bus.reader(0, bytes.fromhex(line.text)))
            elif line.kind == "card":
                readers[0].tell(f"card {line.text}")
            elif line.kind == "gone":
                readers[0].end()

        port = Path(folder, "cp")
        return guest_suite(machine, "systemd", answer=answer, port=port, processors=2, reboots=True)


def power(machine: Machine) -> Counter[str]:
    """Cut the power while both databases are written: what was reported durable is there, and nothing is torn."""
    counts: Counter[str] = Counter()
    disk = CACHE / "databases.ext4"
    disk.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", disk, "64M")
    for cut in range(1, CUTS + 1):
        durable = write_until_cut(machine, disk, cut)
        for line in judge_disk(disk, durable):
            show(replace(line, name=f"power cut {cut}: {line.name}"), counts)
    disk.unlink()
    return counts


def write_until_cut(machine: Machine, disk: Path, cut: int) -> dict[str, int]:
    """The last event and the last generation that were said to be durable before the power went."""
    durable = {"event": 0, "generation": 0}
    stop = None
    with booted(machine, CACHE / f"power-{cut}.log", AS_INIT, "suite=power_suite", disks=[disk]) as guest:
        for line in guest.lines(LONGEST):
            if line.kind == "durable":
                durable[line.name] = int(line.text)
            if stop is None and all(durable.values()):
                stop = time.monotonic() + random.uniform(1, 3)
            if stop is not None and time.monotonic() > stop:
                guest.kill()  # what it had still said comes after that
                stop = math.inf
    return durable


def judge_disk(disk: Path, durable: Mapping[str, int]) -> Iterator[Line]:
    """The file system; the journal: in sequence, its chain unbroken, its head believed; the cache: one generation.

    The head's last change of name may not have reached the disk: then the order is in the journal alone.
    """
    repaired = subprocess.run(["e2fsck", "-p", disk], capture_output=True, text=True)
    checked = subprocess.run(["e2fsck", "-fn", disk], capture_output=True, text=True)
    yield fact("the file system is sound", repaired.returncode in (0, 1) and checked.returncode == 0)
    with tempfile.TemporaryDirectory() as folder:
        for file in ("journal.db", "journal.db-wal", "journal.head", "cache.db", "cache.db-wal"):
            run("debugfs", "-R", f"dump /{file} {folder}/{file}", disk)
        key, path = head_key(SITE_KEY), Path(folder, "journal.db")
        head = read_head(path, key)
        with JournalReader(path) as journal:
            found = journal.verify(key)
            newest = int(journal.state().get("newest", "0"))
        with contextlib.closing(KeptJournal(path, key=key)) as opened:
            remarks, held = opened.remarks, int(opened.state().get("newest", "0"))
        with Store(Path(folder, "cache.db")) as store:
            number, directory = store.generation, store.load()
    told = durable["event"]
    holds = 0 < told <= found.last and found.first == 1 and not found.faults and newest >= told
    text = f"{told} acknowledged, {found.last} present, faults {list(found.faults)}"
    yield fact("no acknowledged event is lost", holds, text)
    sealed = int(head.state.get("newest", "0")) if head else 0
    text = f"order {sealed} in the head, {held} in force, remarks {remarks}"
    yield fact("the last order is in force", not remarks and told - 1 <= sealed <= held == newest, text)
    told = durable["generation"]
    whole = same(directory, generation(number))
    text = f"generation {told} acknowledged, {number} present, {'whole' if whole else 'torn'}"
    yield fact("the cache is one whole generation, and no older", 0 < told <= number and whole, text)


def fact(name: str, holds: bool, text: str = "") -> Line:
    """What holds or does not, as a guest would say it."""
    return Line("passed" if holds else "failed", name, text)


SUITES = {"gpio": gpio, "systemd": systemd, "power": power}


def main() -> int:
    """Build, run what was asked for, and sum up; the exit code tells whether all held."""
    began = time.monotonic()
    try:
        machine = build()
    except BuildError as fault:
        print(fault)
        print("0 passed, 1 failed")
        return 1
    total: Counter[str] = Counter()
    for name in sys.argv[1:] or SUITES:
        start = time.monotonic()
        print(f"{name}:", flush=True)
        try:
            total += SUITES[name](machine)
        except (BuildError, TimeoutError) as fault:
            show(Line("failed", name, str(fault)), total)
        print(f"  {time.monotonic() - start:.0f} s", flush=True)
    print(f"{time.monotonic() - began:.0f} s in all")
    print(f"{total['passed']} passed, {total['failed']} failed")
    return 1 if total["failed"] or not total["passed"] else 0


if __name__ == "__main__":
    sys.exit(main())
