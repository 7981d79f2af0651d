"""Faults from public reports of SCIM servers; docs/scim-servers.md names the report of each."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.peers.scim_faults.engine import LIST, Exchange
from tests.peers.scim_faults.members import groups_by_user

EXTENSION = "urn:ietf:params:scim:schemas:extension:latchd:2.0:User"
ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"


def everything(exchange: Exchange, kind: str = "") -> list[dict[str, Any]]:
    """All resources that the healthy server has."""
    _, found = exchange.ask(kind or exchange.kind, {"count": "1000", "startIndex": "1"})
    return list(found["Resources"])


def page_of(exchange: Exchange, rows: list[dict[str, Any]]) -> None:
    """Let the server answer the question with a page of these rows; what other modes do to it comes after that."""
    healthy, asked = exchange.ask, exchange.query

    def ask(path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        if query is not asked:
            return healthy(path, query)
        start, count = max(1, exchange.number("startIndex", 1)), exchange.number("count", 100)
        shown = rows[start - 1 : start - 1 + count]
        return 200, {"schemas": [LIST], "totalResults": len(rows), "startIndex": start, "Resources": shown}

    exchange.ask = ask


# ------------------------------------------------------------------ what is left out


def omit_inactive(exchange: Exchange) -> None:
    """``active`` is missing once someone is deactivated."""
    if exchange.kind == "Users":
        for row in exchange.resources:
            if row.get("active") is False:
                del row["active"]


def stale_groups_of_users(exchange: Exchange) -> None:
    """``members`` are right, and everyone's own ``groups`` name every group."""
    if exchange.kind == "Users" and exchange.resources:
        groups = [{"value": group["id"]} for group in everything(exchange, "Groups")]
        for row in exchange.resources:
            row["groups"] = groups


def members_only_in_single(exchange: Exchange) -> None:
    if exchange.listing and exchange.kind == "Groups":
        for row in exchange.resources:
            row["members"] = []


def nested_only_in_single(exchange: Exchange) -> None:
    """Groups in groups show only when the outer one is asked for by its id."""
    if exchange.listing and exchange.kind == "Groups":
        groups = {group["id"] for group in everything(exchange)}
        for row in exchange.resources:
            row["members"] = [member for member in row.get("members", []) if member["value"] not in groups]


def groups_of_users_on_request(exchange: Exchange) -> None:
    """Members show nowhere but in ``groups`` of users, and there only by ``attributes=groups``."""
    if exchange.kind == "Groups":
        for row in exchange.resources:
            row["members"] = []
    elif exchange.kind == "Users" and "groups" in exchange.query.get("attributes", "").split(","):
        of = groups_by_user(exchange)
        for row in exchange.resources:
            row["groups"] = [{"value": group} for group in of[row["id"]]]


def extension_only_in_single(exchange: Exchange) -> None:
    """The list of users has no extension unless it is asked for."""
    if exchange.listing and exchange.kind == "Users" and EXTENSION not in exchange.query.get("attributes", ""):
        for row in exchange.resources:
            row.pop(EXTENSION, None)


def extension_never_in_lists(exchange: Exchange) -> None:
    """No list of users has an extension, whatever is asked for."""
    if exchange.kind == "Users" and not exchange.single:
        for row in exchange.resources:
            row.pop(EXTENSION, None)


# ------------------------------------------------------------------ groups that break their page


def deleted_member_breaks(exchange: Exchange) -> None:
    """A group that holds someone who was deleted is a 500, alone and on its page."""
    if exchange.kind == "Groups" and "excludedAttributes" not in exchange.query:
        known = {row["id"] for kind in ("Users", "Groups") for row in everything(exchange, kind)}
        values = {member["value"] for row in exchange.resources for member in row.get("members", [])}
        if not values <= known:
            exchange.answer(500, {"schemas": [ERROR], "status": "500"})


def big_group_breaks(status: int) -> Any:
    """A page with a group of more than fifteen members fails; alone it can be read."""

    def change(exchange: Exchange) -> None:
        big = any(len(row.get("members", [])) > 15 for row in exchange.resources)
        if big and exchange.listing and exchange.kind == "Groups" and "excludedAttributes" not in exchange.query:
            exchange.answer(status, {"schemas": [ERROR], "status": str(status)})

    return change


def without_members(exchange: Exchange) -> None:
    """``excludedAttributes=members``, for servers in memory."""
    if exchange.query.get("excludedAttributes") == "members":
        for row in exchange.resources:
            row.pop("members", None)


def deleted_group_listed(exchange: Exchange) -> None:
    """A group that was deleted stays in the list, without members: here "Board"."""
    if exchange.single and exchange.kind == "Groups":
        rows = {row["id"]: row for row in everything(exchange)}
        if rows.get(exchange.path.partition("/")[2], {}).get("displayName") == "Board":
            exchange.answer(404, {"schemas": [ERROR], "status": "404"})
    elif exchange.listing and exchange.kind == "Groups":
        for row in exchange.resources:
            if row["displayName"] == "Board":
                row["members"] = []


# ------------------------------------------------------------------ pages


def shuffle_pages(exchange: Exchange) -> None:
    """Each page in another order, unless one is asked for."""
    if exchange.listing and "cursor" not in exchange.query and exchange.query.pop("sortBy", None) is None:
        turn = exchange.memory["turn"] = exchange.memory.get("turn", 0) + 1
        rows = everything(exchange)
        random.Random(turn).shuffle(rows)
        page_of(exchange, rows)


def count_from_zero(exchange: Exchange) -> None:
    """``startIndex=1`` is the second row."""
    if exchange.listing and "startIndex" in exchange.query:
        asked = exchange.number("startIndex", 1)
        exchange.memory["asked"] = asked
        exchange.query["startIndex"] = str(asked + 1)


def echo_from_zero(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200 and "startIndex" in exchange.document:
        exchange.document["startIndex"] = exchange.number("startIndex", 1) - 1


def echo_what_was_asked(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200 and "startIndex" in exchange.document:
        exchange.document["startIndex"] = exchange.memory.get("asked", 1)


def first_page_only(exchange: Exchange) -> None:
    """Always the first seven, and a total of seven."""
    if exchange.listing and "cursor" not in exchange.query and exchange.kind == "Users":
        exchange.query["startIndex"] = "1"
        page_of(exchange, everything(exchange)[: min(7, exchange.number("count", 7))])


def float_totals(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200 and "totalResults" in exchange.document:
        exchange.document["totalResults"] = float(exchange.document["totalResults"])


def count_the_hidden(exchange: Exchange) -> None:
    """The total counts users whom no page shows."""
    if exchange.listing and exchange.status == 200 and exchange.kind == "Users":
        exchange.document["totalResults"] += 5


def cursor_only(exchange: Exchange) -> None:
    """An index is ignored, a cursor comes without being asked for, there is no total, ``attributes`` is a 400."""
    if "attributes" in exchange.query:
        exchange.answer(400, {"schemas": [ERROR], "status": "400"})
        return
    wanted = exchange.query.get("filter", "")
    if exchange.kind == "Users" and wanted.startswith("groups.value eq "):
        group, of = wanted.split('"')[1], groups_by_user(exchange)
        rows = [row for row in everything(exchange) if group in of[row["id"]]]
        exchange.answer(200, {"schemas": [LIST], "Resources": rows})
    elif exchange.listing:
        rows, start, count = (
            everything(exchange),
            int(exchange.query.get("cursor") or 0),
            exchange.number("count", 8),
        )
        document: dict[str, Any] = {"schemas": [LIST], "Resources": rows[start : start + count]}
        if start + count < len(rows):
            document["nextCursor"] = str(start + count)
        exchange.answer(200, document)
        for row in document["Resources"]:
            if "members" in row:
                row["members"] = []
    elif exchange.kind == "Groups":
        status, document = exchange.ask(exchange.path, {})
        exchange.answer(status, {**document, "members": []} if status == 200 else document)


def cursor_announced(exchange: Exchange) -> None:
    if exchange.kind == "ServiceProviderConfig":
        exchange.answer(200, {"pagination": {"cursor": True, "index": False}})
    else:
        cursor_only(exchange)


def cursor_not_announced(exchange: Exchange) -> None:
    if exchange.kind == "ServiceProviderConfig":
        exchange.answer(404)
    else:
        cursor_only(exchange)


def gone_for_groups(exchange: Exchange) -> None:
    if exchange.kind == "Groups":
        exchange.answer(410)


def groups_down(exchange: Exchange) -> None:
    if exchange.kind == "Groups":
        exchange.answer(500)
