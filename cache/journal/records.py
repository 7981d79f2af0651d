"""How a record stands in journal.db, and how the chain over the records is made.

The canonical encoding of a record is the JSON array of its columns, in the order of ``COLUMNS``, without blanks,
ASCII only; ``chain`` = SHA-256(chain of the record before, then the encoding). It is part of the file format.
"""

from __future__ import annotations

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from cache.model import ClockQuality, Event, EventName, Moment, Reason, Record, RuleResult, Stamp

COLUMNS = (
    "sequence, at, monotonic, quality, boot_id, name, door, reader, person, reason,"
    " access_group, level, generation, detail, trace"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_INT64 = 1 << 63

Row = tuple[Any, ...]


def row_of(sequence: int, stamp: Stamp, event: Event) -> Row:
    """The columns of a record, without its chain. ``ValueError`` when it holds what they cannot say."""
    try:
        return _row(sequence, stamp, event)
    except (TypeError, AttributeError, OverflowError) as fault:
        raise ValueError(str(fault)) from fault


def _row(sequence: int, stamp: Stamp, event: Event) -> Row:
    if not math.isfinite(stamp.at.monotonic) or not -_INT64 <= (event.generation or 0) < _INT64:
        raise ValueError("a number is out of range")
    return (
        sequence,
        to_microseconds(stamp.at.utc),
        float(stamp.at.monotonic),
        stamp.at.quality.value,
        as_text(stamp.boot_id),
        event.name.value,
        _text(event.door),
        _text(event.reader),
        _text(event.person),
        None if event.reason is None else event.reason.value,
        _text(event.group),
        _text(event.level),
        event.generation,
        _json([[name, value] for name, value in event.detail]),
        _json([[one.rule, one.passed, one.text] for one in event.trace]),
    )


def record_of(row: Sequence[Any]) -> Record:
    """The record of the columns ``COLUMNS`` and chain. ``ValueError`` when they do not make one."""
    sequence, at, monotonic, quality, boot_id, name, door, reader, person, reason = row[:10]
    group, level, generation, detail, trace, chain = row[10:]
    moment = Moment(from_microseconds(at), monotonic, _word(ClockQuality, quality))
    event = Event(
        _word(EventName, name),
        door,
        reader,
        person,
        None if reason is None else _word(Reason, reason),
        group,
        level,
        generation,
        tuple((key, value) for key, value in json.loads(detail)),
        tuple(RuleResult(rule, passed, text) for rule, passed, text in json.loads(trace)),
    )
    return Record(sequence, Stamp(moment, boot_id), event, bytes(chain))


_Word = TypeVar("_Word", bound=StrEnum)


def _word(kind: type[_Word], text: str) -> _Word:
    """The member of a closed list, or the text itself in its place: another version of latchd knew more words.

    Such a word equals no member, and is written and shown as it stands. What it means, only that version knows;
    that it happened must stay readable, and a journal that holds it must not keep the doors from starting.
    """
    try:
        return kind(text)
    except ValueError:
        if not isinstance(text, str):
            raise
        word = str.__new__(kind, text)
        word._name_ = word._value_ = text
        return word


def chained(before: bytes, row: Row) -> bytes:
    """The chain value of a record, from that of the one before (empty before the first)."""
    return hashlib.sha256(before + _json(row).encode("ascii")).digest()


def newest(connection: sqlite3.Connection) -> Row | None:
    """The last record's columns and chain."""
    query = f"SELECT {COLUMNS}, chain FROM event ORDER BY sequence DESC LIMIT 1"  # noqa: S608 -- constants
    row: Row | None = connection.execute(query).fetchone()
    return row


def faults(connection: sqlite3.Connection) -> Iterator[str]:
    """What is wrong with the sequence and the chain, in words, each at the first record that shows it."""
    sequence, chain = connection.execute("SELECT sequence, chain FROM anchor").fetchone()
    gap = None
    for row in connection.execute(f"SELECT {COLUMNS}, chain FROM event ORDER BY sequence"):  # noqa: S608 -- constants
        if row[0] != sequence + 1 and (end := _hole(row, sequence)) is not None:
            sequence, chain = row[0], bytes(row[15])
            if chain != chained(end, row[:15]):
                yield f"record {row[0]} is not what was written"
            continue
        if row[0] != sequence + 1:
            yield f"records {sequence + 1} to {row[0] - 1} are missing"
        elif bytes(row[15]) != chained(chain, row[:15]):
            yield f"record {row[0]} is not what was written, or the one before it is not"
        sequence, chain = row[0], bytes(row[15])
        if row[5] == EventName.JOURNAL_GAP.value:
            detail = dict(json.loads(row[13]))
            gap = (detail["last"], detail["chain"]) if "chain" in detail else gap
    anchor = connection.execute("SELECT sequence, chain FROM anchor").fetchone()
    if anchor[0] and gap != (anchor[0], bytes(anchor[1]).hex()):
        yield f"the beginning at record {anchor[0] + 1} is not the one that retention recorded"


def _hole(row: Row, before: int) -> bytes | None:
    """The chain value at the end of a hole after record ``before``, if this record says that it was noticed."""
    if row[5] != EventName.JOURNAL_GAP.value:
        return None
    detail = dict(json.loads(row[13]))
    whole = (detail.get("first"), detail.get("last")) == (before + 1, row[0] - 1)
    return bytes.fromhex(str(detail.get("chain", ""))) if whole else None


def to_microseconds(instant: datetime) -> int:
    """Microseconds since 1970-01-01 UTC, exactly."""
    return (instant - _EPOCH) // _MICROSECOND


def from_microseconds(count: int) -> datetime:
    """The instant so many microseconds after 1970-01-01 UTC."""
    return _EPOCH + count * _MICROSECOND


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def as_text(value: str) -> str:
    """The text as SQLite can keep it: a lone surrogate cannot be encoded."""
    return value.encode("utf-8", "backslashreplace").decode()


def _text(value: str | None) -> str | None:
    return None if value is None else as_text(value)
