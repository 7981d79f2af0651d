"""Fuzz the wires, and what comes as text.

    python -m tests.fuzz [--frames N] [--only NAME] [--seed N] [--coverage SECONDS] [--input HEX]

Without ``--coverage``: ``--frames`` in all over the wires by their shares, and a two-hundredth of them as inputs
for each reader of text. With it: atheris, if it is installed, guides the mutation of each harness by coverage for
so long. ``--input`` feeds one input to one harness: what a finding prints.
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import resource
import subprocess
import sys
import time

from tests.fuzz.engine import FoundError, Harness, run
from tests.fuzz.harnesses import HARNESSES

TEXT_SHARE = 200


def mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fuzz(harness: Harness, frames: int, seed: int) -> bool:
    """Run one harness and print how it went; whether noise passed no more often than it may."""
    start, before = time.perf_counter(), mebibytes()
    inputs = run(harness, frames, seed)
    seconds = time.perf_counter() - start
    print(
        f"{harness.name:16} {frames:>9,} frames in {inputs:,} inputs, {seconds:.0f} s, "
        f"{frames / seconds:,.0f} a second, memory +{mebibytes() - before:.1f} MiB",
        flush=True,
    )
    for what, odds in harness.odds.items():
        verdict = "" if odds.plausible else "   NOT PLAUSIBLE"
        print(
            f"{'':16} {what}: {odds.passed:,} of {odds.tried:,} passed, {odds.expected:.2f} expected{verdict}",
            flush=True,
        )
    return all(odds.plausible for odds in harness.odds.values())


def guided(kinds: list[type[Harness]], seconds: int, seed: int) -> bool:
    """Each harness in a process of its own, since libFuzzer ends the process."""
    good = True
    for kind in kinds:
        command = [sys.executable, "-m", "tests.fuzz.guided", kind.name, str(seconds), str(seed)]
        ended = subprocess.run(command, capture_output=True, text=True)
        told = dict(re.findall(r"^stat::(\w+): +(\d+)$", ended.stderr, re.MULTILINE))
        reached = re.findall(r" cov: (\d+) ", ended.stderr) or ["0"]
        print(
            f"{kind.name:16} {int(told.get('number_of_executed_units', 0)):>9,} inputs guided by coverage,"
            f" {reached[0]} places at first, {reached[-1]} at last, highest memory {told.get('peak_rss_mb')} MiB",
            flush=True,
        )
        if ended.returncode:
            print(ended.stdout, ended.stderr, sep="\n", flush=True)
        good = good and ended.returncode == 0
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=200_000, help="over all wires (default 200,000)")
    parser.add_argument("--only", choices=[kind.name for kind in HARNESSES])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--coverage", type=int, metavar="SECONDS", help="with atheris, so long for each harness")
    parser.add_argument("--input", type=bytes.fromhex, metavar="HEX", help="one input, with --only")
    options = parser.parse_args()
    kinds = [kind for kind in HARNESSES if options.only in (None, kind.name)]
    if options.input is not None:
        print(f"{kinds[0]().feed(options.input)} frames, nothing wrong")
        return 0
    if options.coverage:
        if importlib.util.find_spec("atheris") is None:
            print("atheris is not installed (it has wheels for x86-64 only); left out", file=sys.stderr)
            return 0
        return 0 if guided(kinds, options.coverage, options.seed) else 1
    good = True
    for kind in kinds:
        share = options.frames * kind.share // 100 if kind.share else options.frames // TEXT_SHARE
        try:
            good = fuzz(kind(), share, options.seed) and good
        except FoundError as found:
            print(found, file=sys.stderr)
            good = False
    print(f"highest memory {mebibytes():.0f} MiB")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
