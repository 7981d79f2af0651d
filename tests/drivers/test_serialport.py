"""The tty opener on ptys: exclusive, non-blocking, and clear about what is wrong."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers.driver import PortError
from drivers.serialport import Port, holders, open_beside, open_port

REPOSITORY = Path(__file__).resolve().parents[2]


class Pty:
    """A pty whose other end the test holds."""

    def __init__(self) -> None:
        self.master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        os.close(slave)
        os.set_blocking(self.master, False)

    def close(self) -> None:
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


@pytest.fixture
def pty() -> Iterator[Pty]:
    pair = Pty()
    yield pair
    pair.close()


def test_bytes_pass_both_ways_untouched(pty: Pty) -> None:
    everything = bytes(range(256))
    with open_port(pty.path, 9600) as port:
        assert port.read() == b""
        os.write(pty.master, everything)
        assert port.read() == everything
        assert port.write(everything) == 256
        assert os.read(pty.master, 4096) == everything


def test_a_full_line_takes_what_it_can_and_does_not_block(pty: Pty) -> None:
    with open_port(pty.path, 9600) as port:
        taken = [port.write(bytes(4096)) for _ in range(64)]
        assert taken[-1] == 0


def test_wire_time_counts_all_bits(pty: Pty) -> None:
    with open_port(pty.path, 9600) as port:
        assert port.char_time == pytest.approx(10 / 9600)
        assert port.drain_time() >= 0.0
    with open_port(pty.path, 9600, parity="E", stopbits=2) as port:
        assert port.char_time == pytest.approx(12 / 9600)


def test_input_that_came_before_can_be_thrown_away(pty: Pty) -> None:
    with open_port(pty.path, 9600) as port:
        os.write(pty.master, b"old")
        port.discard_input()
        assert port.read() == b""


def test_a_device_that_vanishes_is_an_error_and_not_silence(pty: Pty) -> None:
    with open_port(pty.path, 9600) as port:
        pty.close()
        with pytest.raises(PortError, match="gone"):
            port.read()
        with pytest.raises(PortError, match="gone"):
            port.write(b"x")


def test_close_twice_and_open_again(pty: Pty) -> None:
    port = open_port(pty.path, 9600)
    port.close()
    port.close()
    assert port.fileno() == -1
    open_port(pty.path, 19200).close()


def test_a_second_owner_in_this_process_is_refused(pty: Pty) -> None:
    with open_port(pty.path, 9600), pytest.raises(PortError, match="held by") as refused:
        open_port(pty.path, 9600)
    assert refused.value.errno == errno.EBUSY


def test_the_process_that_holds_the_port_is_named(pty: Pty) -> None:
    hold = (
        "import sys; from drivers.serialport import open_port; port = open_port(sys.argv[1], 9600);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, pty.path], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(PortError) as refused:
            open_port(pty.path, 9600)
        assert f"(pid {other.pid})" in str(refused.value)
        assert pty.path in str(refused.value)
        assert other.pid in [pid for pid, _ in holders(pty.path)]
        other.stdin.close()
    open_port(pty.path, 9600).close()


@pytest.mark.parametrize(
    ("path", "words"),
    [("no-such-port", "no such port"), ("plain-file", "not a serial port")],
)
def test_what_is_no_port_is_said_so(tmp_path: Path, path: str, words: str) -> None:
    (tmp_path / "plain-file").write_bytes(b"")
    with pytest.raises(PortError, match=words) as refused:
        open_port(str(tmp_path / path), 9600)
    assert path in str(refused.value)


def test_direction_by_the_kernel_is_refused_where_the_port_cannot(pty: Pty) -> None:
    with pytest.raises(PortError, match="direction"):
        open_port(pty.path, 9600, rs485=True)
    open_port(pty.path, 9600).close()


def test_where_the_kernel_can_it_switches_the_direction(pty: Pty, monkeypatch: pytest.MonkeyPatch) -> None:
    """No port of this machine can: the two ioctls are answered here; the flags are those of linux/serial.h."""
    get, put, enabled, on_send, after_send = 0x542E, 0x542F, 1, 2, 4
    real, given = fcntl.ioctl, []

    def ioctl(fd: int, request: int, argument: object = 0, mutate: bool = True) -> object:
        if request == put:
            given.append(int(memoryview(argument)[0]))  # type: ignore[call-overload]  # an array, from pyserial
        return 0 if request in (get, put) else real(fd, request, argument, mutate)  # type: ignore[call-overload]

    monkeypatch.setattr(fcntl, "ioctl", ioctl)
    open_port(pty.path, 9600, rs485=True).close()
    (flags,) = given
    assert flags & (enabled | on_send | after_send) == enabled | on_send


def test_a_port_that_opens_after_nobody_wants_it_any_more_is_closed(pty: Pty) -> None:
    async def body() -> None:
        opening = asyncio.create_task(open_beside(pty.path, 9600))
        await asyncio.sleep(0)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        port = await open_beside(pty.path, 9600)
        assert isinstance(port, Port)
        with port, pytest.raises(PortError, match="held by"):
            await open_beside(pty.path, 9600)

    asyncio.run(body())


def test_holders_of_nothing() -> None:
    assert holders("/nonexistent") == []
