"""A GPIO chip of the kernel's simulator: configfs makes it, sysfs is the world outside its lines."""

from __future__ import annotations

import subprocess
from pathlib import Path

CONFIG = Path("/sys/kernel/config/gpio-sim")


class SimulatedChip:
    """A chip with so many lines, which are pulled down at first.

    ``path`` is its device, whose number may be another when it returns; ``name`` leads there always, as a name
    that udev gives.
    """

    def __init__(self, name: str, lines: int) -> None:
        """Make it; one of this name that exists already is taken as it is."""
        if not CONFIG.parent.is_mount():
            subprocess.run(["mount", "-t", "configfs", "none", CONFIG.parent], check=True)
        self._place = CONFIG / name
        self.name = f"/run/gpio-{name}"
        if not self._place.exists():
            bank = self._place / "bank0"
            bank.mkdir(parents=True)
            (bank / "num_lines").write_text(str(lines))
            (bank / "label").write_text(name)
            (self._place / "live").write_text("1")
        self._find()

    def _find(self) -> None:
        chip = (self._place / "bank0" / "chip_name").read_text().strip()
        device = (self._place / "dev_name").read_text().strip()
        self.path = f"/dev/{chip}"
        Path(self.name).unlink(missing_ok=True)
        Path(self.name).symlink_to(self.path)
        self._lines = Path("/sys/devices/platform", device, chip)

    def pull_file(self, line: int) -> Path:
        """Where "pull-up" or "pull-down" is written for an input."""
        return self._lines / f"sim_gpio{line}" / "pull"

    def pull(self, line: int, high: bool) -> None:
        """What the world does to an input."""
        self.pull_file(line).write_text("pull-up" if high else "pull-down")

    def level(self, line: int) -> bool:
        """The level on a line, as one would measure it."""
        return (self._lines / f"sim_gpio{line}" / "value").read_text().strip() == "1"

    def unplug(self) -> None:
        """The chip vanishes, as one behind USB does."""
        (self._place / "live").write_text("0")
        Path(self.name).unlink()

    def replug(self) -> None:
        """It returns, with its lines as at first."""
        (self._place / "live").write_text("1")
        self._find()
