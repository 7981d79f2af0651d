"""The frames of one session with one reader: sequence numbers, the secure channel, the frame in flight.

Knows nothing of what is said. A session begins with sequence number 0 and in clear (5.9); a channel, once
``channel`` is set, seals every frame after it.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.osdp.frame import Frame, encode
from drivers.osdp.messages import Reply
from drivers.osdp.queue import Outgoing
from drivers.osdp.secure import SecureChannel, SecureError

_FIRST_SEQUENCE = 0


@dataclass(slots=True)
class InFlight:
    """The frame that waits for its answer. ``outgoing`` is the command in it, once the reader is in service."""

    frame: bytes
    sequence: int
    outgoing: Outgoing | None
    first_sent: float
    attempts: int = 0


class Exchange:
    """One question and its answer at a time."""

    def __init__(self, address: int, *, crc: bool) -> None:
        self._address = address
        self._crc = crc
        self._sequence = _FIRST_SEQUENCE
        self.channel: SecureChannel | None = None
        self.flight: InFlight | None = None

    @property
    def continued(self) -> bool:
        """Whether the last command of this session was answered: the next one goes on with it."""
        return self._sequence != _FIRST_SEQUENCE

    def restart(self) -> None:
        """The next frame begins a new session."""
        self._sequence, self.channel, self.flight = _FIRST_SEQUENCE, None, None

    def put(self, code: int, data: bytes, block: bytes, outgoing: Outgoing | None, now: float) -> None:
        """Frame a command; it is in flight until ``done`` or ``restart``."""
        if self.channel is not None:
            frame = self.channel.seal(self._address, self._sequence, code, data, crc=self._crc)
        else:
            frame = encode(self._address, self._sequence, code, data, crc=self._crc, block=block)
        self.flight = InFlight(frame, self._sequence, outgoing, now)

    def accepts(self, frame: Frame) -> bool:
        """Whether ``frame`` is an answer to what is in flight, and not one that comes late or from elsewhere.

        A NAK for a wrong sequence and BUSY bear another number than the command (5.9, 7.19).
        """
        flight = self.flight
        if flight is None or not frame.reply or frame.address != self._address or frame.crc is not self._crc:
            return False
        if frame.sequence == flight.sequence:
            return True
        return not frame.block and frame.code in (Reply.NAK, Reply.BUSY)

    def open(self, frame: Frame, block: int | None) -> bytes:
        """The data of an answer; without a channel its security block must be of the type ``block``.

        Raises ``SecureError`` for an answer that is not protected as it must be.
        """
        if not frame.block and frame.code == Reply.NAK:
            return frame.data  # a reader that lost its session can only say so in clear, D.6
        if self.channel is not None:
            return self.channel.open(frame)
        if (frame.block[0] if frame.block else None) != block:
            raise SecureError("not the security block of this step")
        return frame.data

    def other_check(self, frame: Frame) -> bool:
        """Whether ``frame`` is the answer but for its check characters, which are of the other kind (5.9)."""
        return self.flight is not None and frame.address == self._address and frame.crc is not self._crc

    def done(self, *, holds: bool = False) -> None:
        """What is in flight was answered: the next frame bears the next number, 1 to 3 in turn.

        ``holds``: the reader stays at this one after its own NAK.
        """
        assert self.flight is not None
        self._sequence = self.flight.sequence if holds else self.flight.sequence % 3 + 1
        self.flight = None
