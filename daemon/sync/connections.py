"""Connections that another thread can cut: whatever a server drips, no answer outlasts its deadline.

A timeout of a socket counts the silence between two bytes, so that a header which comes byte by byte, a ``100
Continue`` for ever or an endless trailer never trips it. Here the waiting thread shuts the sockets down instead.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool


class Connections:
    """The open connections of one sync process, and until when the present answer may take."""

    def __init__(self) -> None:
        """None are open."""
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._until = math.inf
        self.was_cut = False

    @contextmanager
    def answering(self, seconds: float) -> Iterator[None]:
        """One request and its answer, which may take so many seconds altogether."""
        self.was_cut = False
        self._until = time.monotonic() + seconds
        try:
            yield
        finally:
            self._until = math.inf

    def cut_if_late(self) -> None:
        """Cut when the present answer takes too long; called from another thread, again and again."""
        if time.monotonic() > self._until:
            self.cut()

    def cut(self) -> None:
        """Shut every connection down: who reads or writes it gets an error at once."""
        self.was_cut = True
        with self._guard:
            for line in self._open:
                with suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)

    def mount(self, session: requests.Session) -> None:
        """Let the session open its connections here."""
        adapter = _Adapter(self)
        session.mount("https://", adapter)
        session.mount("http://", adapter)

    def add(self, line: socket.socket) -> socket.socket:
        """Remember a connection by a descriptor of our own, which TLS does not take over."""
        ours = socket.socket(fileno=os.dup(line.fileno()))
        with self._guard:
            self._open.add(ours)
        return ours

    def drop(self, ours: socket.socket | None) -> None:
        """Forget a connection that was closed."""
        if ours is not None:
            with self._guard:
                self._open.discard(ours)
                ours.close()


class _Adapter(HTTPAdapter):
    """Opens connections that are remembered."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._connections)


def _pools(connections: Connections) -> dict[str, type[HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        _ours: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            line = super()._new_conn()
            self._ours = connections.add(line)
            return line

        def close(self) -> None:
            super().close()
            connections.drop(self._ours)
            self._ours = None

    class Secure(HTTPSConnection):
        _ours: socket.socket | None = None

        def _new_conn(self) -> socket.socket:
            line = super()._new_conn()
            self._ours = connections.add(line)
            return line

        def close(self) -> None:
            super().close()
            connections.drop(self._ours)
            self._ours = None

    class PlainPool(HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}
