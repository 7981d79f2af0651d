"""A proxy on loopback that puts faults between latchd and a real SCIM server."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import requests

from tests.peers.scim_faults.engine import Mode, answer


@dataclass(slots=True)
class FaultProxy:
    """The proxy's URL, and the modes that are on."""

    url: str
    modes: tuple[Mode, ...] = ()
    memory: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    told: dict[str, bool] = field(default_factory=dict)
    """What was last said of anybody's ``active`` since the modes were set."""

    def set(self, *modes: Mode) -> None:
        """Other modes from now on, with nothing remembered."""
        self.modes = modes
        self.memory = {}
        self.told = {}


@contextmanager
def fault_proxy(upstream: str, token: str) -> Iterator[FaultProxy]:
    """A proxy in front of the SCIM server at ``upstream``; serves below ``/v2``."""
    session = requests.Session()

    def ask(path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {token}"}
        got = session.get(f"{upstream}/{path}", params=dict(query), headers=headers, timeout=30)
        return got.status_code, got.json() if got.content else None

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = unquote(parts.path).removeprefix("/v2/")
            proxy.requests.append(self.path)
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            done = answer(proxy.modes, ask, proxy.memory, path, query, **dict(self.headers.items()))
            proxy.told.update(done.told())
            body = done.body
            if body is None:
                body = b"" if done.document is None else json.dumps(done.document).encode()
            self.send_response(done.status or 500)
            headers = {"Content-Type": "application/scim+json", "Content-Length": str(len(body)), **done.headers}
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            try:
                self.wfile.write(body)
            except OSError:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    with session, ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = False
        proxy = FaultProxy(f"http://127.0.0.1:{server.server_port}/v2")
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()
