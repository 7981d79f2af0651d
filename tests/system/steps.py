"""Steps of a build whose results are kept in ``.system-test/`` under names made of what they are made of."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CACHE = ROOT / ".system-test"

T = TypeVar("T")


class BuildError(Exception):
    """A step failed; the message ends with what it printed."""


def run(*command: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> str:
    """Run to the end; the output, or ``BuildError``."""
    words = [str(word) for word in command]
    to = subprocess.PIPE
    done = subprocess.run(
        words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=to, stderr=subprocess.STDOUT, text=True
    )
    if done.returncode:
        raise BuildError(f"{' '.join(words)}: exit code {done.returncode}\n{done.stdout[-3000:]}")
    return done.stdout


def digest(*parts: str | Path) -> str:
    """A short name for these inputs: texts, files, and folders with all that is in them."""
    found = hashlib.sha256()
    for part in parts:
        files = [part] if isinstance(part, str) or part.is_file() else sorted(part.rglob("*"))
        for file in files:
            if isinstance(file, str):
                found.update(file.encode())
            elif file.is_file() and file.suffix != ".pyc":
                found.update(str(file.relative_to(ROOT)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:16]


def kept(what: str, path: Path, make: Callable[[Path], None]) -> None:
    """Make ``path`` unless it is there; one that was not finished never has that name."""
    if path.exists():
        return
    unfinished = path.with_name(f"unfinished-{path.name}")
    remove(unfinished)
    step(what, lambda: make(unfinished))
    unfinished.rename(path)


def clear_but(*wanted: Path) -> None:
    """What was made of older inputs goes."""
    for path in CACHE.iterdir():
        if path not in wanted and path.name.startswith(("kernel-", "tree-", "image-", "unfinished-")):
            remove(path)


def remove(path: Path) -> None:
    """A file or a tree, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def step(what: str, do: Callable[[], T]) -> T:
    """Do it and say how long it took."""
    began = time.monotonic()
    result = do()
    print(f"built: {what} in {time.monotonic() - began:.1f} s", flush=True)
    return result
