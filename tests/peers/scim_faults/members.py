"""Faults of membership: who is in a group shows only by one road, or by none; filters that are none."""

from __future__ import annotations

from collections import defaultdict

from tests.peers.scim_faults.engine import LIST, Change, Exchange


def empty_members(exchange: Exchange) -> None:
    if exchange.kind == "Groups":
        for row in exchange.resources:
            row["members"] = []


def members_on_request(exchange: Exchange) -> None:
    if "members" not in exchange.query.get("attributes", ""):
        empty_members(exchange)


def members_of_some(exchange: Exchange) -> None:
    """Our token may see the members of one group only."""
    if exchange.kind == "Groups":
        for row in exchange.resources:
            if row.get("displayName") != "Board":
                row["members"] = []


def groups_by_user(exchange: Exchange) -> dict[str, set[str]]:
    """The groups of each user, also those that hold a group of theirs (RFC 7643 §4.1.2: direct and nested)."""
    _, groups = exchange.ask("Groups", {"count": "1000", "startIndex": "1"})
    members = {group["id"]: {m["value"] for m in group.get("members", [])} for group in groups["Resources"]}
    of: dict[str, set[str]] = defaultdict(set)
    for group, direct in members.items():
        for user in direct.union(*(members[inner] for inner in direct if inner in members)):
            of[user].add(group)
    return of


def members_by_filter(exchange: Exchange) -> None:
    """Membership shows only in ``filter=groups.value eq "…"`` on Users."""
    wanted = exchange.query.get("filter", "")
    if exchange.kind == "Users" and wanted.startswith("groups.value eq "):
        group, of = wanted.split('"')[1], groups_by_user(exchange)
        _, users = exchange.ask("Users", {"count": "1000", "startIndex": "1"})
        rows = [row for row in users["Resources"] if group in of[row["id"]]]
        start, count = exchange.number("startIndex", 1), exchange.number("count", 100)
        page = rows[start - 1 : start - 1 + count]
        exchange.answer(
            200, {"schemas": [LIST], "totalResults": len(rows), "startIndex": start, "Resources": page}
        )


def groups_on_users(exchange: Exchange) -> None:
    """Membership shows only in each user's own ``groups``."""
    if exchange.kind == "Users" and exchange.resources:
        of = groups_by_user(exchange)
        for row in exchange.resources:
            row["groups"] = [{"value": group} for group in of[row["id"]]]


def both(*changes: Change) -> Change:
    def change(exchange: Exchange) -> None:
        for one in changes:
            one(exchange)

    return change


def members_by_user_name(exchange: Exchange) -> None:
    if exchange.kind == "Groups" and exchange.resources:
        _, users = exchange.ask("Users", {"count": "1000", "startIndex": "1"})
        names = {row["id"]: row["userName"] for row in users["Resources"]}
        for row in exchange.resources:
            for member in row.get("members", []):
                member["value"] = names.get(member["value"], member["value"])


def strange_members(exchange: Exchange) -> None:
    """Dangling members, members of unknown type, and a group that is in itself."""
    if exchange.kind == "Groups":
        for row in exchange.resources:
            row["members"] = [
                *row.get("members", []),
                {"value": "0", "type": "Device"},
                {"value": "no-such-user"},
                {"value": row["id"], "type": "Group"},
                {},
            ]


def deny_filters(exchange: Exchange) -> None:
    if "filter" in exchange.query:
        exchange.answer(200, {"schemas": [LIST], "totalResults": 0, "startIndex": 1, "Resources": []})


def ignore_filters(exchange: Exchange) -> None:
    exchange.query.pop("filter", None)
