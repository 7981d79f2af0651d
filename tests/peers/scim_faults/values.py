"""Faults in resources: names, types and values that the standard does not have; resources read one by one."""

from __future__ import annotations

from typing import Any

from tests.peers.scim_faults.engine import Change, Exchange


def shout(value: Any) -> Any:
    """Attribute names in capitals."""
    if isinstance(value, dict):
        return {(k if k.startswith("urn:") else k.upper()): shout(v) for k, v in value.items()}
    return [shout(v) for v in value] if isinstance(value, list) else value


def capitals(exchange: Exchange) -> None:
    exchange.document = shout(exchange.document)


def integer_ids(exchange: Exchange) -> None:
    for row in exchange.resources:
        row["id"] = int(row["id"])
        for member in row.get("members", []):
            if member.get("value", "").isdigit():
                member["value"] = int(member["value"])


def text_booleans(exchange: Exchange) -> None:
    for row in exchange.resources:
        if "active" in row:
            row["active"] = str(row["active"])


def absent_active(exchange: Exchange) -> None:
    for row in exchange.resources:
        if row.get("active") is True:
            del row["active"]


def junk(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200 and exchange.resources:
        exchange.resources.extend([None, "user", {"id": {}}, {"userName": "nobody"}])


def unreadable_person(exchange: Exchange) -> None:
    """One person's document cannot be understood, in the list and alone."""
    if exchange.kind == "Users":
        for row in exchange.resources:
            if row["id"] == exchange.memory.setdefault("unreadable", row["id"]):
                row["active"] = {"value": "perhaps"}


def constant_tag(exchange: Exchange) -> None:
    if "If-None-Match" in exchange.request_headers:
        exchange.answer(304)
    exchange.headers["ETag"] = 'W/"1"'


def refuse_single(status: int, document: Any = None) -> Change:
    def change(exchange: Exchange) -> None:
        if exchange.single:
            exchange.answer(status, document)

    return change


def show_three(exchange: Exchange) -> None:
    """The server forgot all but three users, and says so consistently, one by one too."""
    if exchange.kind != "Users":
        return
    if exchange.single:
        known = exchange.memory.get("shown", ())
        if exchange.path.partition("/")[2] not in known:
            exchange.answer(404, {"status": "404"})
    elif exchange.status == 200 and exchange.listing:
        _, users = exchange.ask("Users", {"count": "1000", "startIndex": "1"})
        rows = users["Resources"][:3]
        exchange.memory["shown"] = [row["id"] for row in rows]
        start = exchange.number("startIndex", 1)
        exchange.document.update(totalResults=3, Resources=rows[start - 1 :], startIndex=start)
