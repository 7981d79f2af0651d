"""A device server: one serial line behind TCP, by pyserial's server side of RFC 2217 or byte by byte.

python tests/peers/device_server.py --line TTY --scheme rfc2217|tcp

Prints ``ready PORT``, and with rfc2217 ``baudrate N`` whenever its client sets it. One client after the other.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import select
import socket

import serial
import serial.rfc2217


class Connection:
    """What pyserial's PortManager writes its answers to."""

    def __init__(self, client: socket.socket) -> None:
        self._client = client

    def write(self, data: bytes) -> None:
        """Send them."""
        self._client.sendall(data)


class Line(serial.Serial):
    """A pseudo-terminal has no modem lines, and pyserial's server reports them."""

    cts = dsr = ri = cd = False


def serve(client: socket.socket, line: serial.Serial, scheme: str) -> None:
    """Pass bytes until the client goes."""
    manager = (
        serial.rfc2217.PortManager(line, Connection(client), logging.getLogger()) if scheme == "rfc2217" else None
    )
    speed = line.baudrate
    while True:
        readable, _, _ = select.select([client, line], [], [])
        if client in readable:
            data = client.recv(4096)
            if not data:
                return
            line.write(data if manager is None else b"".join(manager.filter(data)))
            if line.baudrate != speed:
                speed = line.baudrate
                print(f"baudrate {speed}", flush=True)
        if line in readable:
            data = line.read(line.in_waiting or 1)
            client.sendall(data if manager is None else b"".join(manager.escape(data)))


def main() -> None:
    """Listen on a port of the system's choice."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--line", required=True)
    parser.add_argument("--scheme", choices=["rfc2217", "tcp"], required=True)
    options = parser.parse_args()
    speed = 9600 if options.scheme == "rfc2217" else 115200
    with (
        Line(options.line, speed, timeout=0) as line,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        print(f"ready {listener.getsockname()[1]}", flush=True)
        while True:
            client, _ = listener.accept()
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with client, contextlib.suppress(OSError):
                serve(client, line, options.scheme)


if __name__ == "__main__":
    main()
