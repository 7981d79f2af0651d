"""A sync that gets the very same answers: they are only hashed, and neither parsed, mapped nor compared.

When a sync changed nothing, neither in the cache nor in what is remembered of the directory, then the same answers
to the same requests, read with the same settings into the same cache, change nothing again. So the requests of
such a sync and a keyed digest of each answer are stored in ``cache.answers``. The next sync makes these requests
first; at the first answer that differs it begins again, and reads everything. The file may be lost or lie: it only
says what to expect, and once a day everything is read all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from importlib.metadata import version
from operator import itemgetter
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from cache.changes import Delta
from cache.directory.codec import whole_seconds
from cache.directory.store import Store
from cache.directory.sync_state import read, write
from daemon.scim.cards import CardMapper
from daemon.scim.exchange import Request
from daemon.scim.report import FetchReport
from daemon.scim.settings import ScimSettings
from daemon.sync.http import Deadline, ScimHttp

LONGEST = 24 * 3600
"""Seconds after which everything is read again, although the answers are the same."""

_REPORT = TypeAdapter(FetchReport)


@dataclass(frozen=True, slots=True)
class Answers:
    """Requests and the digests of their answers, of a sync that changed nothing under ``key``."""

    key: str
    at: int
    text: str
    report: FetchReport
    asked: tuple[tuple[Request, str], ...] = field(repr=False)


def marker(site_key: bytes) -> Callable[[int, bytes], str]:
    """Return what makes a digest of an answer; keyed, since an answer may be one card number."""
    key = hashlib.sha256(b"latchd answers" + site_key).digest()

    def mark(status: int, body: bytes) -> str:
        return hashlib.blake2b(body, digest_size=16, key=key, salt=status.to_bytes(16, "big")).hexdigest()

    return mark


def key_of(store: Store, settings: ScimSettings, mapper: CardMapper, more: Iterable[object]) -> str:
    """Return what a sync depends on but the answers: a digest, and the generation. Raises ``CacheError``.

    ``mapper`` is the one with the card files as they are now.
    """
    formats = [mapper.formats[name] for name in sorted(mapper.formats)]
    files = sorted(mapper.side_files.items(), key=itemgetter(0))
    bindings = sorted(map(repr, store.bindings().values()))
    whole = hashlib.sha256(mapper.site_key)
    for part in (version("latchd"), settings, formats, files, mapper.zone, mapper.pin_length, bindings, *more):
        whole.update(repr(part).encode("utf-8", "surrogatepass") + b"\0")
    return f"{whole.hexdigest()} {store.cache_id} {store.generation}"


def is_steady(before: str, after: str, applied: Delta, asked: Iterable[tuple[Request, str]]) -> bool:
    """Whether a sync with the same answers would change nothing now; ``before`` and ``after`` are keys.

    That is so when nothing was applied. It is so, too, when what was applied was all in lists: no one and no group
    was missing, and nothing that says what to ask for has changed.
    """
    if not applied:
        return before == after
    same = before.split()[0] == after.split()[0]
    looked_into = any("/" in request.path for request, _ in asked)
    gone = applied.people_removed or applied.groups_removed or applied.members_removed
    return same and not looked_into and not gone and not applied.groups


def answers_path(database: Path) -> Path:
    """Return ``cache.answers`` in the folder of ``cache.db``."""
    return database.with_suffix(".answers")


def write_answers(database: Path, answers: Answers) -> None:
    """Store the answers of a sync that changed nothing. Raises ``CacheError``."""
    asked = [[request.path, request.parameters, mark] for request, mark in answers.asked]
    report = _REPORT.dump_python(answers.report, mode="json")
    values = {"key": answers.key, "at": answers.at, "text": answers.text, "report": report, "asked": asked}
    write(answers_path(database), values)


def read_answers(database: Path, key: str, now: datetime) -> Answers | None:
    """Return the answers to expect under ``key``; ``None`` when there are none, or for too long. Never raises."""
    values = read(answers_path(database))
    with suppress(KeyError, TypeError, ValueError, ValidationError):
        age = whole_seconds(now) - int(values["at"])
        if values["key"] != key or not 0 <= age < LONGEST:
            return None
        asked = tuple(
            (Request(str(path), tuple((str(name), str(value)) for name, value in parameters)), str(mark))
            for path, parameters, mark in values["asked"]
        )
        report = _REPORT.validate_python(values["report"])
        return Answers(key, int(values["at"]), str(values["text"]), report, asked) if asked else None
    return None


def same_answers(
    answers: Answers, http: ScimHttp, deadline: Deadline, progress: Callable[[str, int], None]
) -> bool:
    """Make the requests again; whether each answer is the same. Raises ``OutageError``."""
    for count, (request, expected) in enumerate(answers.asked, start=1):
        status, _, body = http.fetch(request, deadline)
        if http.mark is None or http.mark(status, body) != expected:
            return False
        if count % 50 == 0:
            progress("unchanged answers", count)
    return True
