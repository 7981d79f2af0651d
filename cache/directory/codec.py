"""How a delta is stored in cache.db (undo, quarantine): compressed JSON with sorted, short rows."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cache.changes import Alarm, Binding, Delta, GroupHead, Quarantine, Rebinding
from cache.model import Credential, CredentialKind, CredentialState, Person

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
"""Instants are counted from here by addition: ``fromtimestamp`` fails beyond 2038 where ``time_t`` has 32 bits."""

MAX_UNPACKED = 64 * 1024 * 1024
"""Bytes that a packed value may unpack to: a delta of 100,000 people has a fifth of it."""

FIRST, LAST = EPOCH - datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC, microsecond=0) - EPOCH


def whole_seconds(instant: datetime) -> int:
    """Whole seconds since 1970-01-01 UTC, rounded down."""
    return (instant - EPOCH) // timedelta(seconds=1)


def to_seconds(instant: datetime | None) -> int | None:
    """As ``whole_seconds``, and ``None`` for ``None``."""
    return None if instant is None else whole_seconds(instant)


def from_seconds(seconds: int | None) -> datetime | None:
    """The instant of ``to_seconds``, in UTC."""
    return None if seconds is None else instant(seconds)


def instant(seconds: float) -> datetime:
    """Seconds since 1970-01-01 as an instant in UTC, also beyond 2038 on 32 bits.

    What no ``datetime`` can hold becomes the nearest one it can: a damaged or absurd date never stops reading.
    """
    return EPOCH + timedelta(seconds=min(max(seconds, -FIRST.total_seconds()), LAST.total_seconds()))


def canonical(delta: Delta) -> list[Any]:
    """The delta as JSON values, in one order whatever the order of its sets."""
    return [
        sorted(
            [one.id, int(one.active), one.name, one.user_name, one.external_id, int(one.extended_time)]
            for one in delta.people
        ),
        sorted([one.id, one.name, one.external_id] for one in delta.groups),
        sorted(_credential_row(one) for one in delta.credentials),
        _members(delta.members),
        sorted(delta.people_removed),
        sorted(delta.groups_removed),
        _members(delta.members_removed),
        sorted([key.hex(), person] for key, person in delta.credentials_removed),
    ]


def restore(rows: list[Any]) -> Delta:
    """The delta of ``canonical``."""
    people, groups, credentials, members, people_removed, groups_removed, members_removed, cards_removed = rows
    return Delta(
        people=tuple(
            Person(id_, bool(active), name, user_name, external, bool(extended))
            for id_, active, name, user_name, external, extended in people
        ),
        groups=tuple(GroupHead(*row) for row in groups),
        credentials=tuple(_credential(row) for row in credentials),
        members={group: frozenset(ids) for group, ids in members},
        people_removed=frozenset(people_removed),
        groups_removed=frozenset(groups_removed),
        members_removed={group: frozenset(ids) for group, ids in members_removed},
        credentials_removed=frozenset((bytes.fromhex(key), person) for key, person in cards_removed),
    )


def pack(value: Any) -> bytes:
    """Compressed JSON."""
    return zlib.compress(json.dumps(value, separators=(",", ":")).encode(), 6)


def unpack(blob: bytes) -> Any:
    """What ``pack`` was given; ``ValueError`` when the bytes are damaged, too many, or nested without end."""
    try:
        inflating = zlib.decompressobj()
        text = inflating.decompress(blob, MAX_UNPACKED)
        if inflating.unconsumed_tail or not inflating.eof:
            raise ValueError(f"the compressed value is damaged: cut short, or longer than {MAX_UNPACKED} bytes")
        return json.loads(text)
    except zlib.error as fault:
        raise ValueError(f"the compressed value is damaged ({fault})") from fault
    except RecursionError as fault:
        raise ValueError("the value is nested too deeply") from fault


def pack_steps(steps: list[tuple[Delta, Rebinding]]) -> bytes:
    """What leads back to the generation before, as it is stored."""
    return pack(
        [
            [
                canonical(delta),
                [[one.reference, one.group_id, one.external_id, one.name] for one in rebinding.bound],
                sorted(rebinding.dropped),
            ]
            for delta, rebinding in steps
        ]
    )


def unpack_steps(blob: bytes) -> list[tuple[Delta, Rebinding]]:
    """The steps of ``pack_steps``."""
    return [
        (restore(delta), Rebinding(tuple(Binding(*row) for row in bound), frozenset(dropped)))
        for delta, bound, dropped in unpack(blob)
    ]


def pack_quarantine(held: Quarantine) -> bytes:
    """Return a quarantine as it is stored."""
    return pack(
        {
            "token": held.token,
            "delta": canonical(held.delta),
            "reasons": held.reasons,
            "diff": held.diff,
            "since": (held.since - EPOCH).total_seconds(),
            "rejected": held.rejected,
            "refused": canonical(held.refused),
            "rows": held.rows,
        }
    )


def unpack_quarantine(blob: bytes) -> Quarantine:
    """The quarantine of ``pack_quarantine``."""
    stored = unpack(blob)
    delta = restore(stored["delta"])
    refused = stored.get("refused")  # absent: written by a latchd that knew one answer for all of it
    return Quarantine(
        token=stored["token"],
        delta=delta,
        reasons=tuple(stored["reasons"]),
        diff=tuple(stored["diff"]),
        since=instant(stored["since"]),
        rejected=stored["rejected"],
        rows=stored.get("rows", 0),
        refused=restore(refused) if refused is not None else delta if stored["rejected"] else Delta(),
    )


def pack_alarm(alarm: Alarm) -> bytes:
    """Return an alarm as it is stored."""
    return pack([alarm.text, canonical(alarm.done), canonical(alarm.back)])


def unpack_alarm(blob: bytes) -> Alarm:
    """The alarm of ``pack_alarm``."""
    text, done, back = unpack(blob)
    return Alarm(text, restore(done), restore(back))


def _members(members: Mapping[str, frozenset[str]]) -> list[list[Any]]:
    return sorted([group, sorted(ids)] for group, ids in members.items() if ids)


def _credential_row(one: Credential) -> list[Any]:
    bounds = [to_seconds(one.valid_from), to_seconds(one.valid_until)]
    return [one.key.hex(), one.person_id, one.kind.value, one.state.value, *bounds, one.label]


def _credential(row: list[Any]) -> Credential:
    key, person, kind, state, start, end, label = row
    return Credential(
        bytes.fromhex(key),
        person,
        CredentialKind(kind),
        CredentialState(state),
        from_seconds(start),
        from_seconds(end),
        label,
    )
