"""What an OSDP bus does while things go wrong: noise, cuts, unplugged, restarted, doubled, wrong key, clock steps.

    python -m benchmarks.osdp_faults [--only NAME] [--seconds 60] [--alone]

All trials at once, which a machine of two cores just bears, or one after the other with ``--alone``.
``tests/peers/osdp_trial.py`` says what happens in them. The last line says what must not be.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.peers.osdp_trial import SEGMENTS, Verdict, complaints


async def trial(name: str, seconds: float) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        verdict = await SEGMENTS[name](Path(folder), seconds)
        print(verdict.line(), flush=True)
        return verdict


async def all_of(names: Sequence[str], seconds: float, *, alone: bool) -> list[Verdict]:
    if alone:
        return [await trial(name, seconds) for name in names]
    return list(await asyncio.gather(*(trial(name, seconds) for name in names)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=SEGMENTS, action="append", help="may be repeated")
    parser.add_argument("--seconds", type=float, default=60.0, help="of trouble in each trial")
    parser.add_argument("--alone", action="store_true", help="one after the other")
    options = parser.parse_args()
    print("OSDP with faults: 9600 baud, secure channel, a card at each reader about every half second")
    names = options.only or list(SEGMENTS)
    verdicts = asyncio.run(all_of(names, options.seconds, alone=options.alone))
    wrong = [f"{verdict.name}: {what}" for verdict in verdicts for what in complaints(verdict)]
    print("; ".join(wrong) or "nothing to complain of")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
