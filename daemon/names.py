"""The three top-level packages are latchd's own, and not a namesake that another distribution installed.

``cache`` and ``daemon`` are plain words: python-daemon, for one, also installs a ``daemon``. latchd therefore
lives in a virtual environment of its own; this check, called at start-up, says so when it does not.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from daemon.errors import ConfigError

TOP_LEVEL_PACKAGES = ("cache", "drivers", "daemon")


def check_names() -> None:
    """Raise ``ConfigError`` unless all three packages come from the directory that this module is in."""
    ours = Path(__file__).resolve().parent.parent
    for house in TOP_LEVEL_PACKAGES:
        spec = find_spec(house)
        found = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
        if found != [ours / house]:
            places = ", ".join(map(str, found)) or "nowhere"
            raise ConfigError(
                f"the Python package {house!r} was expected in {ours} and is found in: {places}. Another "
                f"distribution uses the same name; install latchd alone in a virtual environment (docs/install.md)"
            )
