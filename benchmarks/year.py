"""Time travel: a year at ten doors, 10,000 badges, played by ``latchd simulate`` in a process of its own.

python benchmarks/year.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.scenarios.year import BADGES, DOORS, PEOPLE, write

LATCHD = (sys.executable, "-c", "from daemon.cli.latchd import main; main()", "simulate")
LIMIT = 60.0


def main() -> int:
    """Play it, print the time; exit code 1 when an expectation did not hold or it took longer than a minute."""
    with tempfile.TemporaryDirectory(prefix="latchd-year-") as directory:
        scenario = write(Path(directory))
        begin = time.monotonic()
        done = subprocess.run([*LATCHD, scenario], capture_output=True, text=True, check=False)
        took = time.monotonic() - begin
    print(done.stdout.replace(f"{directory}/", "").strip() or done.stderr)
    print(f"one year, {DOORS} doors, {PEOPLE} people, {BADGES} badges: {took:.1f} s")
    return 0 if done.returncode == 0 and took < LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
