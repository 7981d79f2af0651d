"""An HTTP server on loopback that answers as a test tells it to, also in ways that no HTTP library would send."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Told:
    """One answer. ``body`` may be a document, bytes, or pieces that are sent one by one without a length."""

    status: int = 200
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Desk:
    """Where it is, and what it was asked. ``answer`` may be exchanged at any time."""

    url: str
    answer: Callable[[Asked], Told]
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def http_desk(answer: Callable[[Asked], Told], context: ssl.SSLContext | None = None) -> Iterator[Desk]:
    """A server for the time of a ``with`` block, over TLS with a ``context``."""

    class Handler(BaseHTTPRequestHandler):
        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            asked = Asked(self.command, self.path, dict(self.headers.items()), self.rfile.read(length))
            desk.asked.append(asked)
            told = desk.answer(asked)
            with suppress(OSError):
                self.send(told)

        do_GET = do_POST = handle_any  # noqa: N815  # http.server's names

        def send(self, told: Told) -> None:
            headers = {"Content-Type": "application/scim+json", **told.headers}
            if isinstance(told.body, Iterator):
                pieces = told.body
            else:
                whole = told.body if isinstance(told.body, bytes) else json.dumps(told.body).encode()
                headers.setdefault("Content-Length", str(len(whole)))
                pieces = iter([whole])
            self.send_response(told.status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = False

        def finish_request(self, request: Any, client_address: Any) -> None:
            """Handshake in the thread of the connection; a client that does not trust us just leaves."""
            with suppress(OSError):
                if context is not None:
                    request = context.wrap_socket(request, server_side=True)
                super().finish_request(request, client_address)
                request.close()

    with Server(("127.0.0.1", 0), Handler) as server:
        scheme = "http" if context is None else "https"
        desk = Desk(f"{scheme}://127.0.0.1:{server.server_port}/v2", answer)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield desk
        finally:
            server.shutdown()
            thread.join()
