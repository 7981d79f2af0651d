"""Files of an installation from before doors and sync had folders of their own, taken over at the first start.

They are moved where that is allowed, else copied (a unit may write in its own folder only): then the old ones
stay, are not looked at again, and may be removed. A database goes last, after its ``-wal``, and appears under its
name as a whole, so that a power cut in between loses nothing.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cache.readonly import copy_file

MARK = "layout"
"""A file in each folder: what is outside was taken over, or there was nothing."""

MOST = 8 << 30
"""Bytes of one file that are copied at most."""

FILE_MODE = 0o640

_ELSEWHERE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.EXDEV)
"""What a rename says where it may not be, or crosses a mount."""


def take_over(folder: Path, names: tuple[str, ...]) -> Iterator[str]:
    """Bring the files of these names from the folder above into ``folder``, once; yields what was done, in words.

    Raises ``OSError``; the next start tries again.
    """
    if (folder / MARK).exists():
        return
    for name in names:
        old = folder.parent / name
        if (folder / name).exists() or old.is_symlink() or not old.is_file():
            continue
        with _unwritten(old):
            done = _take(old, folder / name)
        yield done
    with suppress(OSError):  # a read-only file system: the next start looks again
        (folder / MARK).write_text("2\n", encoding="ascii")


def _take(old: Path, new: Path) -> str:
    moved = False
    for suffix in ("-wal", ""):
        part, target = old.with_name(old.name + suffix), new.with_name(new.name + suffix)
        if part.exists():
            moved = _rename_or_copy(part, target)
    if not moved:
        return f"{old} was copied to {new}, which is used from now on; remove the old one when all is well"
    for suffix in ("-shm", ".lock"):
        old.with_name(old.name + suffix).unlink(missing_ok=True)
    return f"{old} was moved to {new}"


def _rename_or_copy(old: Path, new: Path) -> bool:
    """Whether it was moved and not copied."""
    try:
        os.rename(old, new)
    except OSError as error:
        if error.errno not in _ELSEWHERE:
            raise
        draft = new.with_name(new.name + ".new")
        draft.unlink(missing_ok=True)
        copy_file(old, draft, MOST)
        with open(draft, "rb") as copied:
            os.fsync(copied)
        os.chmod(draft, FILE_MODE)
        os.rename(draft, new)
        return False
    os.chmod(new, FILE_MODE)
    return True


@contextmanager
def _unwritten(database: Path) -> Iterator[None]:
    """Hold the lock of the database's writer, so that none is running; a file without a lock has none."""
    lock = database.with_name(database.name + ".lock")
    try:
        held = os.open(lock, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        yield
        return
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise OSError(errno.EBUSY, f"an older latchd is still running ({lock} is held)") from None
    finally:
        os.close(held)
