"""Badges and operators' orders while another local user does the worst to the control socket of the doors process.

Prints, for a quiet baseline and for each attack: badges' p50, p99 and maximum in milliseconds over the socket of
the simulated reader, p99 against that of the baseline, orders carried out and the slowest of them, and what became
of the attacker's connections. The first attacks are by a user without any right, the others by a viewer. Needs
root, to become that user. Without SECONDS each takes 10.

    python benchmarks/control_flood.py [SECONDS]
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.daemon.control.attacked import VIEWERS, Attacked, Figures, attacked
from tests.peers.control_flooder import KINDS

WITHOUT_RIGHTS = ("hold", "follow", "huge", "small")
SETTLE = 0.5
"""Seconds for which the attack outlasts the measurement."""


def report(what: str, figures: Figures, quiet: Figures, seen: dict[str, int]) -> None:
    """Print a line."""
    done = len(figures.orders) - len(figures.failed)
    ratio = figures.badge(0.99) / quiet.badge(0.99)
    print(
        f"{what:22} badges p50 {figures.badge(0.5) * 1e3:5.1f}  p99 {figures.badge(0.99) * 1e3:6.1f}  "
        f"max {max(figures.badges) * 1e3:6.1f} ms  p99 x{ratio:4.1f}   "
        f"orders {done} of {len(figures.orders)}, slowest {max(figures.orders):5.2f} s   {seen or ''}",
        flush=True,
    )


def attack(doors: Attacked, what: str, kind: str, seconds: float, gid: int, quiet: Figures) -> None:
    """Measure while it goes on, and print."""
    with doors.attack(kind, seconds + SETTLE, gid) as seen:
        figures = doors.measure(seconds)
    report(f"{what}: {kind}", figures, quiet, seen)


def main() -> None:
    """Measure and print."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    with attacked() as doors:
        quiet = doors.measure(seconds)
        report("quiet", quiet, quiet, {})
        for kind in WITHOUT_RIGHTS:
            attack(doors, "no right", kind, seconds, 65_534, quiet)
        for kind in KINDS:
            attack(doors, "viewer", kind, seconds, VIEWERS, quiet)


if __name__ == "__main__":
    main()
