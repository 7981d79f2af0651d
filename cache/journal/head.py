"""What doors must know even when journal.db does not: where its chain ended, and the orders in force.

``journal.head`` is in the folder of journal.db, is replaced as a whole, and carries a MAC under a key of the doors
process. A journal that is lost, replaced, older than this, or whose ``state`` was edited is noticed by it, and
what held then (a lockdown above all) still holds.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sqlite3
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from cache.journal.records import from_microseconds, to_microseconds

SEAL = "journal.seal"
"""The name under which ``state`` holds the MAC of its guarded rows, written in one transaction with them."""

LOOSE = ("position.",)
"""Prefixes of state that is not guarded: it changes with every entry, and is no order."""

MAX_HEAD = 4 << 20
"""Bytes: more than any site's orders take."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last record that is known to be durable, when it happened, and the guarded state.

    ``edition`` counts the changes of the state, so that an older state with its own seal is distinguished from
    this one.
    """

    sequence: int = 0
    chain: bytes = b""
    at: datetime | None = None
    edition: int = 0
    state: Mapping[str, str] = field(default_factory=dict)


def head_key(site_key: bytes) -> bytes:
    """Return the key of the MACs, which only who has the site's key can make."""
    return hmac.new(site_key, b"latchd journal head", hashlib.sha256).digest()


def guarded(state: Mapping[str, str]) -> dict[str, str]:
    """Return the part of a journal's state that is written twice and sealed."""
    return {name: body for name, body in state.items() if name != SEAL and not name.startswith(LOOSE)}


def seal(key: bytes, edition: int, state: Mapping[str, str]) -> str:
    """Return what ``state`` holds under ``SEAL`` for its guarded rows."""
    return json.dumps({"edition": edition, "mac": _mac(key, "state", [edition, sorted(guarded(state).items())])})


def edition_of(state: Mapping[str, str]) -> int:
    """Return the edition that the seal of a journal's state names; 0 when it has none."""
    try:
        return int(json.loads(state.get(SEAL, ""))["edition"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return 0


def is_sealed(key: bytes, state: Mapping[str, str]) -> bool:
    """Return whether the guarded rows are those that were written together with the seal."""
    return hmac.compare_digest(state.get(SEAL, ""), seal(key, edition_of(state), state))


def head_path(journal: Path) -> Path:
    """Return ``journal.head`` in the folder of ``journal.db``."""
    return journal.with_suffix(".head")


def write_head(journal: Path, head: Head, key: bytes) -> None:
    """Replace the file: a reader, or a power cut, finds the old one or the new one whole. Raises ``OSError``."""
    path = head_path(journal)
    draft = path.with_name(path.name + ".new")
    with suppress(FileNotFoundError):
        draft.unlink()
    content = _content(head)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(draft, flags, 0o660), "w", encoding="ascii") as file:
        json.dump({**content, "mac": _mac(key, "head", content)}, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def read_head(journal: Path, key: bytes | None) -> Head | None:
    """Return what the file says; ``None`` when there is none. Without ``key`` its MAC is not looked at.

    ``ValueError``: it cannot be read, is damaged, or was not written by this site's doors process.
    """
    path = head_path(journal)
    try:
        document = json.loads(_read(path))
        content = {name: document[name] for name in ("sequence", "chain", "at", "edition", "state")}
        if key is not None and not hmac.compare_digest(str(document["mac"]), _mac(key, "head", content)):
            raise ValueError("it was changed, or written under another site key")  # noqa: TRY301
        at = content["at"]
        state = {str(name): str(body) for name, body in content["state"].items()}
        return Head(
            int(content["sequence"]),
            bytes.fromhex(content["chain"]),
            None if at is None else from_microseconds(int(at)),
            int(content["edition"]),
            state,
        )
    except FileNotFoundError:
        return None
    except OSError as fault:
        raise ValueError(f"{path} cannot be read: {fault.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as fault:
        raise ValueError(f"{path} is not what the doors process wrote: {fault}") from None


def disagreements(connection: sqlite3.Connection, head: Head, key: bytes | None) -> Iterator[str]:
    """Yield in words how a journal differs from what is known of it; what was added since does not count.

    The head must have been read before the journal's transaction began.
    """
    sequence, chain = connection.execute("SELECT sequence, chain FROM anchor").fetchone()
    last = connection.execute("SELECT max(sequence) FROM event").fetchone()[0] or sequence
    row = connection.execute("SELECT chain FROM event WHERE sequence = ?", (head.sequence,)).fetchone()
    found = bytes(row[0]) if row else bytes(chain) if sequence == head.sequence else None
    if last < head.sequence:
        yield f"records {last + 1} to {head.sequence} are missing at the end"
    elif found not in (None, head.chain):
        yield f"record {head.sequence} is not the one that was written: the journal is another"
    state = dict(connection.execute("SELECT name, body FROM state"))
    edition = edition_of(state)
    if edition == head.edition:
        rows, known = guarded(state), head.state
        for name in sorted(rows.keys() | known.keys()):
            if rows.get(name) != known.get(name):
                yield f"the state {name} is not what was written"
    elif edition < head.edition:
        yield f"the state is older than it was (edition {edition}, there was {head.edition})"
    elif key is not None and not is_sealed(key, state):
        yield "the state was edited: its seal does not fit"


def _read(path: Path) -> bytes:
    """Read a regular file of bounded size; nothing that is put in its place may hold the doors up."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise ValueError("it is not a regular file")
        with open(handle, "rb", closefd=False) as file:
            return file.read(MAX_HEAD)
    finally:
        os.close(handle)


def _content(head: Head) -> dict[str, Any]:
    return {
        "sequence": head.sequence,
        "chain": head.chain.hex(),
        "at": None if head.at is None else to_microseconds(head.at),
        "edition": head.edition,
        "state": dict(head.state),
    }


def _mac(key: bytes, what: str, content: object) -> str:
    text = json.dumps([what, content], separators=(",", ":"), sort_keys=True)
    return hmac.new(key, text.encode("ascii"), hashlib.sha256).hexdigest()
