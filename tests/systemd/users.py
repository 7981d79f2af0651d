"""The two users of a controller, made for real: their processes, and folders with the modes of tmpfiles.d."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
SYNC, DOORS, GROUP = 61_001, 61_002, 61_000
"""Numbers that nobody has: a user need not have a name to own a file."""

BECOME = """
import asyncio, encodings, importlib, importlib.metadata, importlib.readers
import os, pkgutil, socket, sqlite3, sys, tempfile
sys.path.insert(0, sys.argv[1])
for house in sys.argv[5].split():  # all that may be needed, now: Python may lie where only root may read
    package = importlib.import_module(house)
    for module in pkgutil.walk_packages(package.__path__, house + "."):
        if module.name not in ("encodings.mbcs", "encodings.oem", "encodings.cp65001"):
            importlib.import_module(module.name)
del sys.argv[5]
os.setgroups([])
os.setgid(int(sys.argv[3]))
os.setuid(int(sys.argv[2]))
os.umask(0o027)
exec(sys.argv[4])
"""


@contextmanager
def controller() -> Iterator[Path]:
    """A place with ``state/doors``, ``state/sync``, ``run/doors`` and ``run/sync``, as tmpfiles.d makes them."""
    place = Path(tempfile.mkdtemp(prefix="latchd-users-"))
    place.chmod(0o755)
    for name, owner, mode in (
        ("state", 0, 0o750),
        ("state/doors", DOORS, 0o2750),
        ("state/sync", SYNC, 0o2750),
        ("run", 0, 0o755),
        ("run/doors", DOORS, 0o755),
        ("run/sync", SYNC, 0o755),
    ):
        (place / name).mkdir()
        os.chown(place / name, owner, GROUP)
        (place / name).chmod(mode)
    try:
        yield place
    finally:
        shutil.rmtree(place)


@contextmanager
def process(
    user: int, program: str, *arguments: str | Path, packages: str = "cache encodings"
) -> Iterator[subprocess.Popen[str]]:
    """``program`` run by ``user`` with ``packages`` at hand; its arguments begin at ``sys.argv[5]``."""
    command = [sys.executable, "-c", BECOME, ROOT, str(user), str(GROUP), program, packages, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        try:
            yield child
        finally:
            child.kill()
