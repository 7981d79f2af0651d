"""Faults of whole answers: outages, refusals, redirects, bodies that are too large or break off."""

from __future__ import annotations

import gzip
import json
import time
from email.utils import formatdate
from typing import Any
from urllib.parse import urlencode

from tests.peers.scim_faults.engine import Change, Exchange


def everywhere(status: int, document: Any = None, **headers: str) -> Change:
    def change(exchange: Exchange) -> None:
        exchange.answer(status, document, **headers)

    return change


def html(exchange: Exchange) -> None:
    exchange.answer(200, None, Content_Type="text/html")
    exchange.body = b"<html><body>Sign in to continue</body></html>"


def once(status: int, **headers: str) -> Change:
    """Every first attempt is refused."""

    def change(exchange: Exchange) -> None:
        seen = exchange.memory.setdefault("seen", set())
        asked = (exchange.path, tuple(sorted(exchange.query.items())))
        if asked not in seen:
            seen.add(asked)
            exchange.answer(status, None, **headers)

    return change


def busy_until_a_date(exchange: Exchange) -> None:
    once(503, Retry_After=formatdate(time.time() + 1, usegmt=True))(exchange)


def bomb(exchange: Exchange) -> None:
    if exchange.kind == "Users":
        exchange.answer(200, None, Content_Encoding="gzip")
        exchange.body = gzip.compress(b" " * (16 << 20), 9)


def huge(exchange: Exchange) -> None:
    if exchange.kind == "Users":
        exchange.answer(200, None)
        exchange.body = b"[" + b" " * (2 << 20)


def cut_short(exchange: Exchange) -> None:
    if exchange.kind == "Users" and exchange.document is not None:
        exchange.body = json.dumps(exchange.document).encode()
        exchange.headers["Content-Length"] = str(len(exchange.body) + 1000)


def truncated(exchange: Exchange) -> None:
    if exchange.kind == "Users" and exchange.document is not None:
        exchange.body = json.dumps(exchange.document).encode()[:-20]


def send_away(exchange: Exchange) -> None:
    exchange.answer(302, None, Location="http://127.0.0.2:9/stolen")


def send_round(exchange: Exchange) -> None:
    if not exchange.path.startswith("moved/"):
        suffix = f"?{urlencode(exchange.query)}" if exchange.query else ""
        exchange.answer(307, None, Location=f"/v2/moved/{exchange.path}{suffix}")
    else:
        exchange.path = exchange.path.removeprefix("moved/")
