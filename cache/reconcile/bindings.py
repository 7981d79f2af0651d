"""Which group a reference of the site file means: by name at first sight, by id ever after. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from cache.changes import ID_MARK, Binding, GroupHead, Rebinding


def bind(
    references: frozenset[str], known: Mapping[str, Binding], groups: Iterable[GroupHead]
) -> tuple[Rebinding, tuple[str, ...]]:
    """How the bindings change when ``groups`` are there, and what has to be reported.

    A bound reference follows its group's id; when that is gone it stays as a tombstone. An unbound one means the
    group of that id if it is written ``id:…``, else the only group of that name: what is an id to one directory
    can be a name in another, and whoever makes a group chooses its name and externalId. Two groups of one name
    are never merged: the name then means neither. References that the site file no longer has are forgotten.
    """
    by_id = {group.id: group for group in groups}
    by_name = _index((group.name, group) for group in by_id.values())
    by_external = _index((group.external_id, group) for group in by_id.values() if group.external_id)
    bound: list[Binding] = []
    warnings = [
        f'{len(alike)} groups are named "{name}" ({_ids(alike)}): they are not merged, and an access level '
        f"has to say which it means by id"
        for name, alike in sorted(by_name.items())
        if len(alike) > 1
    ]
    for reference in sorted(references):
        before = known.get(reference)
        group = _meant(reference, before, by_id, by_name)
        if group is None:
            warnings += _unbound(reference, before, by_id, by_name, by_external)
            continue
        binding = Binding(reference, group.id, group.external_id, group.name)
        if binding != before:
            bound.append(binding)
    return Rebinding(tuple(bound), frozenset(known) - references), tuple(warnings)


def _meant(
    reference: str, before: Binding | None, by_id: Mapping[str, GroupHead], by_name: Mapping[str, list[GroupHead]]
) -> GroupHead | None:
    if before is not None:
        return by_id.get(before.group_id)
    if reference.startswith(ID_MARK):
        return by_id.get(reference.removeprefix(ID_MARK))
    alike = by_name.get(reference, [])
    return alike[0] if len(alike) == 1 else None


def _unbound(
    reference: str,
    before: Binding | None,
    by_id: Mapping[str, GroupHead],
    by_name: Mapping[str, list[GroupHead]],
    by_external: Mapping[str, list[GroupHead]],
) -> list[str]:
    """Say what a reference that means no group could mean if an operator says so."""
    alike = by_name.get(reference, [])
    if before is None:
        if alike:
            return []
        text = f'no access group is called "{reference}": it gives access to no one'
        if reference in by_id:
            text += (
                f'; it is the id of "{by_id[reference].name}": to mean that group, write "{ID_MARK}{reference}"'
            )
        return [text]
    text = f'the group meant by "{reference}" ({before.group_id}) is gone: it gives access to no one'
    if alike:
        text += f"; another group of this name exists: to mean that one, write its id, {_ids(alike)}"
    same = by_external.get(before.external_id or "", [])
    if same and same != alike:
        names = ", ".join(f'"{group.name}"' for group in same)
        text += f"; {names} has its externalId: to mean that one, write its id, {_ids(same)}"
    return [text]


def _ids(groups: list[GroupHead]) -> str:
    return ", ".join(sorted(f'"{ID_MARK}{group.id}"' for group in groups))


def _index(pairs: Iterable[tuple[str | None, GroupHead]]) -> dict[str, list[GroupHead]]:
    found: dict[str, list[GroupHead]] = {}
    for key, group in pairs:
        found.setdefault(key or "", []).append(group)
    return found
