"""A SCIM server of canned pages on loopback, quick enough to measure the reader and not the server.

    scim_canned.py PEOPLE GROUPS MEMBERSHIPS [CHANGED]

Every answer is made before the first request: users and groups by index paging, 100 users and 20 groups a page,
whatever ``count`` asks for. Prints one JSON line with its URL. ``CHANGED`` people have another name.
"""

from __future__ import annotations

import http.server
import json
import sys
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.peers.scim_server import group_document, user_document

PAGES = {"Users": 100, "Groups": 20}
LIST = "urn:ietf:params:scim:api:messages:2.0:ListResponse"


def directory(people: int, groups: int, memberships: int, changed: int) -> dict[str, list[dict[str, Any]]]:
    """Users with a card each, and groups with their members spread evenly."""
    ids = [f"{number:08x}-5f3a-4c1d-9e2b-{number:012x}" for number in range(people)]
    users = []
    for number, user_id in enumerate(ids):
        name = f"Person {number}" + (" renamed" if number < changed else "")
        cards = f"H10306:{number // 65536 + 1}:{number % 65536}"
        users.append({**user_document(f"person{number}@example.com", name, cards), "id": user_id})
    each = memberships // groups
    rows = []
    for number in range(groups):
        members = [ids[(number * each + step) % people] for step in range(each)]
        rows.append({**group_document(f"Group {number}", members), "id": f"group-{number:06}"})
    return {"Users": users, "Groups": rows}


def page(kind: str, rows: list[dict[str, Any]], start: int) -> bytes:
    """One ListResponse from ``start`` (1, 2, …)."""
    found = rows[start - 1 : start - 1 + PAGES[kind]]
    document = {
        "schemas": [LIST],
        "totalResults": len(rows),
        "startIndex": start,
        "itemsPerPage": len(found),
        "Resources": found,
    }
    return json.dumps(document).encode()


def serve(tables: dict[str, list[dict[str, Any]]]) -> None:
    """Answer for ever."""
    pages = {
        (kind, start): page(kind, rows, start)
        for kind, rows in tables.items()
        for start in range(1, len(rows) + PAGES[kind] + 1, PAGES[kind])
    }

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlsplit(self.path)
            kind = url.path.rpartition("/")[2]
            start = int(parse_qs(url.query).get("startIndex", ["1"])[0])
            if kind == "ServiceProviderConfig":
                self.answer(200, b'{"pagination": {"cursor": false, "index": true}}')
            elif kind in PAGES:
                self.answer(200, pages.get((kind, start)) or page(kind, tables[kind], start))
            else:
                self.answer(404, b'{"status": "404"}')

        def answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/scim+json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: Any) -> None:
            del arguments

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        print(json.dumps({"url": f"http://127.0.0.1:{server.server_port}/v2"}), flush=True)
        server.serve_forever()


if __name__ == "__main__":
    counts = [int(argument) for argument in sys.argv[1:]]
    serve(directory(counts[0], counts[1], counts[2], counts[3] if len(counts) > 3 else 0))
