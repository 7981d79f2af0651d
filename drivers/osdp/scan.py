"""A look for readers at addresses and speeds where none is expected (SIA OSDP 2.2, 6.2 and D.4).

Sans-I/O, a guest on the bus: it is given a turn now and then, of one short exchange, and the readers in service
have the line for at least as long in between. Each place is asked for its identity; who answers is asked to prove
the default key. Nothing is changed, and nothing that is heard is believed beyond what the list shows.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection

from drivers.driver import DriverUsageError, FoundReader, ScanPlan
from drivers.osdp import messages
from drivers.osdp.exchange import Exchange
from drivers.osdp.frame import HIGHEST_ADDRESS, Frame
from drivers.osdp.handshake import Handshake
from drivers.osdp.messages import Cmd, MessageError, Reply
from drivers.osdp.secure import Scs, SecureError
from drivers.osdp.settings import BAUDRATES
from drivers.osdp.states import Trouble
from drivers.osdp.timing import REPLY_DELAY

ATTEMPTS = 2
"""How often a place is asked that gave a garbled answer; a silent one is asked once."""


class Scan:
    """One look through all places of a plan. ``found`` is to be emptied by whoever wants to know."""

    def __init__(
        self, plan: ScanPlan, own: int, known: Collection[int], entropy: Callable[[int], bytes], *, crc: bool
    ) -> None:
        """``own`` is the bus's speed, taken first; at it the ``known`` addresses are left out: they have owners.

        Raises ``DriverUsageError`` for an address or a speed that OSDP does not have.
        """
        if not all(0 <= address <= HIGHEST_ADDRESS for address in plan.addresses):
            raise DriverUsageError(f"addresses are 0 to {HIGHEST_ADDRESS}")
        if not all(baudrate in BAUDRATES for baudrate in plan.baudrates):
            raise DriverUsageError(f"speeds are {', '.join(map(str, BAUDRATES))}")
        speeds = sorted(set(plan.baudrates), key=lambda speed: (speed != own, speed))
        self._places = deque(
            (speed, address)
            for speed in speeds
            for address in sorted(set(plan.addresses))
            if speed != own or address not in known
        )
        self._entropy = entropy
        self._crc = crc
        self.found: deque[FoundReader] = deque()
        self.broken = ""
        """Why the scan ended before its end."""
        self._begin()

    @property
    def over(self) -> bool:
        """Whether no place is left."""
        return not self._places

    @property
    def baudrate(self) -> int:
        """The speed of this turn. Asked only while a place is left."""
        return self._places[0][0]

    def _begin(self) -> None:
        self._identity: str | None = None
        self._attempts = 0
        if self._places:
            self._exchange = Exchange(self._places[0][1], crc=self._crc)
            self._handshake = Handshake((), self._entropy)

    def frame_to_send(self, now: float) -> tuple[bytes, float]:
        """The frame of this turn, and the seconds that the answer may take to begin after its last byte."""
        if self._identity is None:
            self._exchange.restart()
            self._exchange.put(Cmd.ID, messages.STANDARD_REPORT, b"", None, now)
        else:
            data, block = self._handshake.challenge(default_key=True)
            self._exchange.put(Cmd.CHLNG, data, block, None, now)
        assert self._exchange.flight is not None
        return self._exchange.flight.frame, REPLY_DELAY

    def accepts(self, frame: Frame) -> bool:
        """Whether ``frame`` is an answer to what is in flight."""
        return self._exchange.accepts(frame)

    def reply(self, frame: Frame) -> None:
        """The answer arrived; of a scan that was ended meanwhile it says nothing any more."""
        if self.over:
            return
        if self._identity is not None:
            self._next(default_key=self._proves(frame))
            return
        self._exchange.done()
        self._identity = ""
        if frame.code == Reply.PDID and not frame.block:
            try:
                self._identity = str(messages.parse_identity(frame.data))
            except MessageError:
                self._next(garbled=True)

    def _proves(self, frame: Frame) -> bool:
        try:
            data = self._exchange.open(frame, Scs.CHALLENGE_REPLY)
        except SecureError:
            return False
        return self._handshake.proved(frame.code, data)

    def no_reply(self, trouble: Trouble) -> None:
        """The turn is over without a good answer."""
        if self.over:  # ended while its turn was on the wire
            return
        garbled = trouble is Trouble.GARBLED
        self._attempts += 1
        if garbled and self._attempts < ATTEMPTS:
            return
        if self._identity is not None:
            self._next()
        elif garbled:
            self._next(garbled=True)
        else:
            self._skip()

    def _next(self, *, default_key: bool = False, garbled: bool = False) -> None:
        baudrate, address = self._places[0]
        self.found.append(FoundReader(address, baudrate, self._identity or "", default_key, garbled))
        self._skip()

    def _skip(self) -> None:
        self._places.popleft()
        self._begin()

    def stop(self, why: str) -> None:
        """End before the end."""
        self.broken = why
        self._places.clear()
