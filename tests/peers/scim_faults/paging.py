"""Faults of paging: lists that do not page, totals that lie, sizes that are refused, cursors that break."""

from __future__ import annotations

from tests.peers.scim_faults.engine import Change, Exchange


def ignore_paging(exchange: Exchange) -> None:
    if exchange.listing:
        exchange.query.pop("startIndex", None)
        exchange.query["count"] = "4"


def cap_total(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200:
        start = exchange.number("startIndex", 1)
        total = exchange.document["totalResults"]
        exchange.document["totalResults"] = min(total, start - 1 + len(exchange.resources))


def wrap_round(exchange: Exchange) -> None:
    if exchange.listing and "startIndex" in exchange.query:
        _, everything = exchange.ask(exchange.path, {"count": "1", "startIndex": "1"})
        if exchange.number("startIndex", 1) > everything["totalResults"]:
            exchange.query["startIndex"] = "1"


def refuse_size(status: int) -> Change:
    def change(exchange: Exchange) -> None:
        if exchange.listing and exchange.number("count", 0) > 6:
            exchange.answer(status, {"schemas": ["urn:ietf:params:scim:api:messages:2.0:Error"], "status": status})

    return change


def cap_size(exchange: Exchange) -> None:
    if exchange.listing and exchange.number("count", 100) > 3:
        exchange.query["count"] = "3"


def fail_on_count(exchange: Exchange) -> None:
    if exchange.listing and "count" in exchange.query:
        exchange.answer(500, None)


def echo_wrongly(exchange: Exchange) -> None:
    if exchange.listing and exchange.number("startIndex", 1) > 1 and exchange.status == 200:
        exchange.document["startIndex"] = 1


def drop_schemas(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200:
        exchange.document.pop("schemas")


def drop_total(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200:
        exchange.document.pop("totalResults")


def double_total(exchange: Exchange) -> None:
    if exchange.listing and exchange.status == 200:
        exchange.document["totalResults"] *= 2


def repeat_rows(exchange: Exchange) -> None:
    if exchange.listing:
        rows = exchange.resources
        rows.extend([*rows[-1:], *rows[:1]])


def hide_some(exchange: Exchange) -> None:
    """Users move between pages: a few who exist throughout are in no page, and the total says nothing of it."""
    if exchange.listing and exchange.kind == "Users":
        hidden = exchange.memory.setdefault("hidden", set())
        if len(hidden) < 2 and exchange.resources:
            hidden.add(exchange.resources[0]["id"])
        exchange.resources[:] = [row for row in exchange.resources if row["id"] not in hidden]


def hide_groups(exchange: Exchange) -> None:
    if exchange.listing and exchange.kind == "Groups":
        exchange.resources[:] = exchange.resources[1:]
        exchange.document["totalResults"] = max(0, exchange.document["totalResults"] - 1)


def lose_page(exchange: Exchange) -> None:
    if exchange.listing and exchange.number("startIndex", 1) > 1:
        exchange.resources.clear()


def fail_later(exchange: Exchange) -> None:
    if exchange.kind == "Users" and exchange.number("startIndex", 1) > 1:
        exchange.answer(500, None)


def break_cursors(exchange: Exchange) -> None:
    """Announces cursors and answers every one with the first page, without a next one."""
    if exchange.listing and exchange.query.pop("cursor", None) is not None:
        exchange.query["startIndex"] = "1"


def loop_cursors(exchange: Exchange) -> None:
    if exchange.listing and exchange.query.get("cursor"):
        exchange.query["cursor"] = ""


def expire_cursors(exchange: Exchange) -> None:
    if exchange.listing and exchange.query.get("cursor"):
        exchange.answer(400, {"scimType": "expiredCursor", "status": "400"})
