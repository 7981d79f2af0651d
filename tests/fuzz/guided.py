"""One harness guided by coverage: python -m tests.fuzz.guided NAME SECONDS SEED

Atheris ends the process: with code 0, or after a finding with another. ``--coverage`` of tests.fuzz runs it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

# Only what is latchd's own, and when it is imported: to rewrite everything that is loaded takes minutes.
with atheris.instrument_imports(include=["cache", "daemon", "drivers"]):
    from tests.fuzz.engine import LONGEST, Harness, feed
    from tests.fuzz.harnesses import HARNESSES


def guide(harness: Harness, seconds: int, seed: int, folder: Path) -> None:
    """Mutate the harness's corpus, kept in ``folder``, and what is found by it."""
    for number, data in enumerate(harness.corpus()):
        (folder / f"good-{number}").write_bytes(data)
    options = {"max_total_time": seconds, "seed": seed, "max_len": LONGEST, "print_final_stats": 1}
    words = [f"-{name}={value}" for name, value in options.items()]
    atheris.Setup(
        ["fuzz", *words, f"-artifact_prefix={folder}/", str(folder)], lambda data: feed(harness, data, seed)
    )
    atheris.Fuzz()


if __name__ == "__main__":
    wanted, seconds, seed = sys.argv[1:]
    (kind,) = (kind for kind in HARNESSES if kind.name == wanted)
    with tempfile.TemporaryDirectory() as folder:
        guide(kind(), int(seconds), int(seed), Path(folder))
