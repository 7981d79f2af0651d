"""Serial lines behind a device server: ``tcp://192.0.2.10:4001`` and ``rfc2217://192.0.2.10:4001``. Pure.

With ``tcp`` the server passes bytes as they are, and its own settings hold. With ``rfc2217`` the speed and the
parity of the line are set over the connection (RFC 2217, a Telnet option), and the server's answers are checked.
"""

from __future__ import annotations

import contextlib
import ipaddress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import urlsplit

Parity = Literal["N", "E", "O"]

_IAC, _DONT, _DO, _WONT, _WILL, _SB, _SE = 255, 254, 253, 252, 251, 250, 240
"""Telnet (RFC 854)."""
_BINARY, _SUPPRESS_GO_AHEAD, _COM_PORT = 0, 3, 44
_SET_BAUDRATE, _SET_DATASIZE, _SET_PARITY, _SET_STOPSIZE, _SET_CONTROL = 1, 2, 3, 4, 5
_FROM_SERVER = 100
"""RFC 2217, section 3: the server's answers have the client's codes plus 100."""
_PARITIES = {"N": 1, "O": 2, "E": 3}
_NO_FLOW_CONTROL = 1
_NAMES = {
    _SET_BAUDRATE: "baud rate",
    _SET_DATASIZE: "data bits",
    _SET_PARITY: "parity",
    _SET_STOPSIZE: "stop bits",
}
_LONGEST_OPTION = 64
"""Bytes of one subnegotiation; the longest that matters here has six."""


@dataclass(frozen=True, slots=True)
class Remote:
    """Where a serial line is reached over TCP. ``negotiates``: its settings are sent (RFC 2217)."""

    host: str
    port: int
    negotiates: bool


def parse_remote(path: str) -> Remote | None:
    """Return the address in ``path``; ``None`` for the path of a tty. Raise ``ValueError`` for another URL."""
    if "://" not in path:
        return None
    host, port, scheme = "", 0, ""
    with contextlib.suppress(ValueError):
        parts = urlsplit(path)
        ipaddress.ip_address(parts.hostname or "")
        if not parts.path and not parts.query:
            host, port, scheme = parts.hostname or "", parts.port or 0, parts.scheme
    if not host or not port or scheme not in ("tcp", "rfc2217"):
        raise ValueError(
            'port: expected a tty, "tcp://192.0.2.10:4001" or "rfc2217://192.0.2.10:4001" with an IP address and a'
            f' port, not "{path}"'
        )
    return Remote(host, port, scheme == "rfc2217")


class RefusedError(Exception):
    """The device server cannot do what is asked of its line; the message says what."""


def check_port(path: str, *, rs485: bool) -> None:
    """Raise ``ValueError`` for a wrong URL, or for a line whose direction only the server can switch."""
    if parse_remote(path) is not None and rs485:
        raise ValueError("rs485: a device server switches the direction of its line itself; leave it out")


@dataclass(slots=True)
class ComPort:
    """One connection's Telnet layer: bytes of the line in and out, and the settings agreed upon.

    ``settled`` once the server has confirmed each setting. ``receive`` raises ``RefusedError``.
    """

    baudrate: int
    parity: Parity = "N"
    stopbits: int = 1
    _out: bytearray = field(default_factory=bytearray)
    _state: Literal["data", "iac", "option", "sub", "sub-iac"] = "data"
    _command: int = 0
    _sub: bytearray = field(default_factory=bytearray)
    _waiting: dict[int, int] = field(default_factory=dict)
    _asked: bool = False

    def __post_init__(self) -> None:
        """Say what is wanted: a COM port, eight bits without Telnet's line ends."""
        for verb, option in (
            (_WILL, _COM_PORT),
            (_WILL, _BINARY),
            (_DO, _BINARY),
            (_WILL, _SUPPRESS_GO_AHEAD),
            (_DO, _SUPPRESS_GO_AHEAD),
        ):
            self._out += bytes([_IAC, verb, option])

    @property
    def settled(self) -> bool:
        """Whether the line works as asked."""
        return self._asked and not self._waiting

    def bytes_to_send(self) -> bytes:
        """Return what the negotiation wants to be sent, once."""
        data = bytes(self._out)
        self._out.clear()
        return data

    @staticmethod
    def encode(data: bytes) -> bytes:
        """Return bytes of the line as they stand on the connection: 255 is doubled."""
        return data.replace(b"\xff", b"\xff\xff")

    def set_baudrate(self, baudrate: int) -> None:
        """Ask for another speed."""
        self.baudrate = baudrate
        self._set(_SET_BAUDRATE, baudrate.to_bytes(4, "big"))

    def receive(self, data: bytes) -> bytes:
        """Return the bytes of the line in what came; answers of the server are taken in."""
        line = bytearray()
        for byte in data:
            match self._state:
                case "data" if byte == _IAC:
                    self._state = "iac"
                case "data":
                    line.append(byte)
                case "iac":
                    self._after_iac(byte, line)
                case "option":
                    self._state = "data"
                    self._agree(self._command, byte)
                case "sub" if byte == _IAC:
                    self._state = "sub-iac"
                case "sub" if len(self._sub) < _LONGEST_OPTION:
                    self._sub.append(byte)
                case "sub-iac" if byte == _IAC:
                    self._state = "sub"
                    self._sub.append(byte)
                case "sub-iac":
                    self._state = "data"
                    self._answered(bytes(self._sub))
        return bytes(line)

    def _after_iac(self, byte: int, line: bytearray) -> None:
        self._state = "data"
        if byte == _IAC:
            line.append(byte)
        elif byte in (_WILL, _WONT, _DO, _DONT):
            self._command, self._state = byte, "option"
        elif byte == _SB:
            self._sub.clear()
            self._state = "sub"

    def _agree(self, verb: int, option: int) -> None:
        if option == _COM_PORT and verb == _DO and not self._asked:
            self._asked = True
            self._set(_SET_BAUDRATE, self.baudrate.to_bytes(4, "big"))
            self._set(_SET_DATASIZE, b"\x08")
            self._set(_SET_PARITY, bytes([_PARITIES[self.parity]]))
            self._set(_SET_STOPSIZE, bytes([self.stopbits]))
            self._out += bytes([_IAC, _SB, _COM_PORT, _SET_CONTROL, _NO_FLOW_CONTROL, _IAC, _SE])
        elif option == _COM_PORT and verb == _DONT:
            raise RefusedError('the device server does not know RFC 2217; use "tcp://…" and set its line there')
        elif option not in (_COM_PORT, _BINARY, _SUPPRESS_GO_AHEAD) and verb in (_WILL, _DO):
            self._out += bytes([_IAC, _DONT if verb == _WILL else _WONT, option])

    def _set(self, code: int, value: bytes) -> None:
        self._waiting[code] = int.from_bytes(value, "big")
        self._out += bytes([_IAC, _SB, _COM_PORT, code]) + self.encode(value) + bytes([_IAC, _SE])

    def _answered(self, option: bytes) -> None:
        if len(option) < 3 or option[0] != _COM_PORT:
            return
        code, value = option[1] - _FROM_SERVER, int.from_bytes(option[2:], "big")
        wanted = self._waiting.pop(code, None)
        if wanted is not None and value != wanted:
            raise RefusedError(f"the device server answers {_NAMES[code]} {value}, asked for {wanted}")
