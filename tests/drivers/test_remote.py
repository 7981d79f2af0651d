"""drivers.remote: addresses of serial lines behind device servers, and the Telnet layer against pyserial's own."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
import serial
import serial.rfc2217
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.driver import NoObserver, PortError
from drivers.events import InputState
from drivers.modbus.driver import ModbusBus
from drivers.osdp.settings import OsdpBus
from drivers.remote import ComPort, RefusedError, Remote, parse_remote
from drivers.serialport import open_beside
from tests.drivers.conformance import eventually, running, states
from tests.drivers.modbus.rigs import DeviceServer, Wire, device_server_rig


class Server:
    """pyserial's server side on a line that loops back, without a socket."""

    def __init__(self) -> None:
        self.line = serial.serial_for_url("loop://", timeout=0)
        self.answers = bytearray()
        self.manager = serial.rfc2217.PortManager(self.line, self, logging.getLogger("test"))

    def write(self, data: bytes) -> None:
        self.answers += data

    def take(self, data: bytes) -> bytes:
        """Bytes of the line in what the client sent."""
        return b"".join(self.manager.filter(data))

    def said(self) -> bytes:
        answers = bytes(self.answers)
        self.answers.clear()
        return answers


def settled(com: ComPort, server: Server) -> None:
    for _ in range(10):
        server.take(com.bytes_to_send())
        com.receive(server.said())


@pytest.mark.parametrize(("baudrate", "parity", "stopbits"), [(9600, "N", 1), (19200, "E", 1), (65535, "O", 2)])
def test_the_line_is_set_up_as_asked(baudrate: int, parity: str, stopbits: int) -> None:
    server = Server()
    com = ComPort(baudrate, parity, stopbits)  # type: ignore[arg-type]  # a test's choice
    assert not com.settled
    settled(com, server)
    assert com.settled
    assert (server.line.baudrate, server.line.parity, server.line.stopbits) == (baudrate, parity, stopbits)
    com.set_baudrate(38400)
    assert not com.settled
    settled(com, server)
    assert com.settled
    assert server.line.baudrate == 38400


@settings(max_examples=60)
@given(data=st.binary(max_size=200), cuts=st.lists(st.integers(1, 7), max_size=40))
def test_every_byte_passes_in_both_directions_however_it_is_cut(data: bytes, cuts: list[int]) -> None:
    server, com = Server(), ComPort(9600)
    settled(com, server)
    assert server.take(com.encode(data)) == data
    wire = b"".join(server.manager.escape(data))
    got, at = b"", 0
    for cut in [*cuts, len(wire)]:
        got += com.receive(wire[at : at + cut])
        at += cut
    assert got == data


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_no_bytes_of_a_server_raise_anything_else_or_fill_the_memory(pieces: list[bytes]) -> None:
    com = ComPort(9600)
    for piece in pieces:
        try:
            com.receive(piece)
        except RefusedError:
            return
        assert len(com._sub) <= 64


def test_a_server_without_rfc2217_or_with_another_speed_is_refused() -> None:
    with pytest.raises(RefusedError, match="does not know RFC 2217"):
        ComPort(9600).receive(bytes([255, 254, 44]))
    com = ComPort(9600)
    com.receive(bytes([255, 253, 44]))
    with pytest.raises(RefusedError, match="baud rate 4800, asked for 9600"):
        com.receive(bytes([255, 250, 44, 101, 0, 0, 0x12, 0xC0, 255, 240]))


@pytest.mark.parametrize(
    ("path", "remote"),
    [
        ("/dev/ttyUSB0", None),
        ("tcp://192.0.2.10:4001", Remote("192.0.2.10", 4001, False)),
        ("rfc2217://[2001:db8::1]:4001", Remote("2001:db8::1", 4001, True)),
    ],
)
def test_addresses(path: str, remote: Remote | None) -> None:
    assert parse_remote(path) == remote


@pytest.mark.parametrize(
    "path", ["tcp://gateway:4001", "tcp://192.0.2.10", "udp://192.0.2.10:1", "tcp://192.0.2.10:4001/x", "tcp://:1"]
)
def test_addresses_that_cannot_be(path: str) -> None:
    for kind in (ModbusBus, OsdpBus):
        with pytest.raises(ValueError, match="expected a tty"):
            kind(port=path)


def test_a_device_server_switches_the_direction_itself() -> None:
    with pytest.raises(ValueError, match="leave it out"):
        OsdpBus(port="tcp://192.0.2.10:4001", rs485=True)


@pytest.mark.parametrize("scheme", ["tcp", "rfc2217"])
def test_a_board_behind_a_device_server_is_served_and_found_again(tmp_path: Path, scheme: str) -> None:
    with device_server_rig(tmp_path, scheme) as (rig, server):

        async def body() -> None:
            async with running(rig):
                rig.set_input(True)
                await eventually(lambda: InputState.ON in states(rig))
                server.say("")
                rig.unplug()
                await eventually(lambda: not rig.online())
                rig.replug()
                await eventually(lambda: rig.online() == rig.devices)

        asyncio.run(body())
    if scheme == "rfc2217":
        assert "baudrate 115200" in server.lines


def test_another_speed_is_set_at_the_server_and_refused_over_plain_tcp(tmp_path: Path) -> None:
    wire = Wire(tmp_path, "one", "two")
    servers = [DeviceServer(tmp_path / line, scheme) for line, scheme in (("one", "rfc2217"), ("two", "tcp"))]

    async def body() -> None:
        negotiated = await open_beside(servers[0].url, 9600, tap=NoObserver())
        negotiated.set_baudrate(19200)
        await eventually(lambda: "baudrate 19200" in servers[0].lines)
        negotiated.close()
        plain = await open_beside(servers[1].url, 9600)
        with pytest.raises(PortError, match="has one speed"):
            plain.set_baudrate(19200)
        plain.close()
        with pytest.raises(PortError, match="does not answer as RFC 2217 says"):
            await open_beside(servers[1].url.replace("tcp", "rfc2217"), 9600)

    try:
        asyncio.run(body())
    finally:
        for server in servers:
            server.close()
        wire.close()
