"""The two Modbus drivers as the registry knows them: their settings, and how a bus is put together."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from drivers.driver import Context, Driver, DriverType, DriverUsageError
from drivers.modbus.board import Board
from drivers.modbus.bus import Bus
from drivers.modbus.codec import RtuFraming, TcpFraming
from drivers.modbus.link import ModbusDriver, OpenPort
from drivers.modbus.profile import OnLoss, Profile
from drivers.modbus.replay import replay
from drivers.modbus.store import load_profile, sized
from drivers.modbus.transactions import Line, Timing
from drivers.recording import RecordingSupport
from drivers.remote import check_port, parse_remote
from drivers.serialport import open_beside
from drivers.settings import STRICT, Duration
from drivers.tcpport import connect

Count = Annotated[int, Field(ge=1, le=64)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ModbusBus:
    """``[bus.NAME]`` with driver "modbus-rtu": the port, how it is set, and the times of the bus.

    ``poll`` is the interval of the inputs; a slow or full bus takes longer. ``reply_timeout`` counts from
    the end of the request. ``slowest_reply`` is the latest that any device may answer; see docs/boards.md.
    """

    port: str
    baudrate: Annotated[int, Field(ge=1200, le=1_000_000)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stopbits: Literal[1, 2] = 1
    rs485: bool = False
    echo: bool = False
    poll: Duration = 0.02
    reply_timeout: Duration = 0.15
    slowest_reply: Duration = 2.0
    record: str | None = None

    def __post_init__(self) -> None:
        """The port must be one, and times must make sense together."""
        check_port(self.port, rs485=self.rs485)
        _check_times(self.poll, self.reply_timeout, self.slowest_reply)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ModbusTcpBus:
    """``[bus.NAME]`` with driver "modbus-tcp": the board or gateway, and the times.

    ``host`` is an IP address: what opens doors asks no name server, and the unit's drop-in lists addresses.
    """

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    poll: Duration = 0.02
    reply_timeout: Duration = 0.3
    slowest_reply: Duration = 2.0
    record: str | None = None

    def __post_init__(self) -> None:
        """An address, and times that make sense together."""
        try:
            ipaddress.ip_address(self.host)
        except ValueError:
            raise ValueError(f'host: expected an IP address such as "192.0.2.10", not "{self.host}"') from None
        _check_times(self.poll, self.reply_timeout, self.slowest_reply)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ModbusBoard:
    """``[board.NAME]``: a built-in profile by name or a profile file by path, and the unit on the bus.

    ``outputs`` and ``inputs`` replace the profile's numbers.
    """

    profile: str
    unit: Annotated[int, Field(ge=1, le=255)] = 1
    outputs: Count | None = None
    inputs: Count | None = None

    def __post_init__(self) -> None:
        """A profile that is not there or is wrong is refused with the site file."""
        self.load()

    def load(self) -> Profile:
        """The profile, with this board's numbers."""
        return sized(load_profile(self.profile), self.outputs, self.inputs)


def _check_times(poll: float, reply_timeout: float, slowest_reply: float) -> None:
    if poll < 0.005:
        raise ValueError('poll: expected at least "5ms"')
    if reply_timeout < 0.01:
        raise ValueError('reply_timeout: expected at least "10ms"')
    if slowest_reply < reply_timeout:
        raise ValueError("slowest_reply: expected at least reply_timeout")


def _lines(settings: ModbusBoard) -> tuple[frozenset[str], frozenset[str]]:
    return settings.load().lines()


def _unattended(settings: ModbusBoard) -> str:
    profile = settings.load()
    if profile.outputs is None or profile.outputs.pulse is not None or profile.safe_state.on_loss is OnLoss.OFF:
        return ""
    note = profile.safe_state.note or "A relay that is on stays on until the daemon has started again."
    return f"{profile.name}: {note}"


def _rtu_bus(bus: ModbusBus, devices: Mapping[str, Any]) -> Bus:
    bits = 1 + 8 + (bus.parity != "N") + bus.stopbits
    char_time = bits / bus.baudrate
    # Serial Line V1.02, 2.5.1.1: 3.5 characters of 11 bits, fixed above 19200 baud.
    gap = 3.5 * 11 / bus.baudrate if bus.baudrate <= 19200 else 0.00175
    timing = Timing(char_time, bus.reply_timeout, bus.slowest_reply, gap)
    line = Line(RtuFraming(), timing, echo=bus.echo, buffered=parse_remote(bus.port) is not None)
    return Bus(line, _boards(devices, bus.poll))


def _create_rtu(bus: ModbusBus, devices: Mapping[str, Any], context: Context) -> Driver:
    async def opener() -> OpenPort:
        return await open_beside(
            bus.port,
            bus.baudrate,
            parity=bus.parity,
            stopbits=bus.stopbits,
            rs485=bus.rs485,
            tap=context.tap,
        )

    return ModbusDriver(_rtu_bus(bus, devices), opener, context)


def _tcp_bus(bus: ModbusTcpBus, devices: Mapping[str, Any]) -> Bus:
    timing = Timing(0.0, bus.reply_timeout, bus.slowest_reply, 0.0)
    return Bus(Line(TcpFraming(), timing), _boards(devices, bus.poll))


def _create_tcp(bus: ModbusTcpBus, devices: Mapping[str, Any], context: Context) -> Driver:
    async def opener() -> OpenPort:
        return await connect(bus.host, bus.port, context.tap, bus.reply_timeout)

    return ModbusDriver(_tcp_bus(bus, devices), opener, context)


def _boards(devices: Mapping[str, Any], poll: float) -> list[Board]:
    boards: list[Board] = []
    for name, settings in devices.items():
        if not isinstance(settings, ModbusBoard):
            raise DriverUsageError(f"{name}: expected a board")
        if any(board.unit == settings.unit for board in boards):
            raise DriverUsageError(f"{name}: unit {settings.unit} is another board on the same bus")
        boards.append(Board(name, settings.unit, settings.load(), poll))
    return boards


def _replay(make: Callable[[Any, Mapping[str, Any]], Bus]) -> RecordingSupport:
    return RecordingSupport(lambda recording, bus, devices, context: replay(recording, make(bus, devices)))


RTU = DriverType(
    name="modbus-rtu",
    bus_settings=ModbusBus,
    reader_settings=None,
    board_settings=ModbusBoard,
    lines=_lines,
    create=_create_rtu,
    recording=_replay(_rtu_bus),
    unattended=_unattended,
)
TCP = DriverType(
    name="modbus-tcp",
    bus_settings=ModbusTcpBus,
    reader_settings=None,
    board_settings=ModbusBoard,
    lines=_lines,
    create=_create_tcp,
    recording=_replay(_tcp_bus),
    unattended=_unattended,
)
