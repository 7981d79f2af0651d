"""From what a reader reports to the events of the doors loop: reads, keys, inputs, tamper, power.

Owns what was last known of the reader's lines, and the rule about reads that waited in the reader:
OSDP gives a read no time of its own (7.11), so its age is known only by when the reader was polled.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.cards.formats import ParityError, decode
from drivers.cards.layout import CardFormat
from drivers.events import (
    CardRead,
    DeviceAlarm,
    DeviceEvent,
    InputChanged,
    InputState,
    KeyPress,
    Point,
    ReadError,
    ReadFault,
    TamperChanged,
)
from drivers.osdp.messages import CardBits, MessageError, Reply, parse_card, parse_keys, parse_local_status
from drivers.osdp.timing import Pace

_INPUT_STATES = {0: InputState.OFF, 1: InputState.ON}
"""ISTATR, 7.7. Any other value is a supervised input's fault and never read as normal."""

_HEAD_MISSING, _HEAD_TAMPERED = 1, 2
"""RSTATR, 7.9; 0 is normal."""
CARDS_APART = 0.4
KEYS_APART = 0.08
"""Seconds between two cards, and two reports of keys, at one reader: people are no faster."""


class ReadFreshness:
    """How old a read may be, from when the reader's queue was last seen empty and from what came since.

    ``limit`` seconds is what is accepted, more where the bus is so long that a round takes most of it. A read is
    no older than the last moment when the reader is known to have had none. While a reader is polled all the time,
    it is no older either than the read before it and the time that two reads lie apart at least, so that a rush at
    one door is served though its queue is never empty. That does not hold once a read came faster than people can
    badge, or once the reader was not polled for longer than the limit, as in an outage: until its queue was seen
    empty, all that it brings may have waited since. And nothing counts that it held before it was first asked.
    """

    def __init__(self, limit: float, pace: Pace | None = None) -> None:
        self.pace = pace or Pace()
        self.configured = limit
        self._empty: float | None = None
        self._not_before = self._polled = float("-inf")
        self._continuous = False
        self._age = 0.0

    @property
    def doubtful(self) -> bool:
        """Whether it is worth a poll to see if the queue is empty now: the next read might not be believed."""
        return self._empty is not None and self._age + self.pace.round - CARDS_APART > self.limit

    @property
    def limit(self) -> float:
        """Seconds that a read may have waited now."""
        return self.pace.read_limit(self.configured, polled=self._continuous)

    def queue_empty(self, asked: float) -> None:
        """The reader had nothing to report when it was asked."""
        self._empty = self._not_before = self._polled = asked
        self._continuous = True
        self._age = 0.0

    def polled(self, at: float) -> None:
        """The reader answered a poll with something at ``at``."""
        if at - self._polled > self.pace.read_limit(self.configured, polled=False):
            self._continuous = False
        self._polled = at

    def objection(self, at: float, apart: float = CARDS_APART) -> str:
        """Why a read that arrived at ``at`` is refused; empty when it is fresh.

        ``apart``: seconds that lie at least between two reads of its kind.
        """
        if self._empty is None:
            return "waited in the reader for an unknown time, since before it came online"
        self.polled(at)
        if self._not_before > at:
            self._continuous = False
        self._age = at - (self._not_before if self._continuous else self._empty)
        self._not_before += apart
        return f"may have waited in the reader for {self._age:.1f} s" if self._age > self.limit else ""


class Reports:
    """What one reader says of the world."""

    def __init__(
        self,
        name: str,
        inputs: int,
        limit: float,
        formats: Sequence[CardFormat] = (),
        bits: CardBits = CardBits.STANDARD,
    ) -> None:
        self._name = name
        self._count = inputs
        self._bits = bits
        self._formats = formats
        self.freshness = ReadFreshness(limit)
        self._inputs: dict[int, InputState] = {}
        self._case_open = self._head_tampered = self._tamper = False
        self._power_failed = self._head_missing = False

    def forget_inputs(self) -> None:
        """After a reconnection every input is reported once, changed or not."""
        self._inputs.clear()

    def knows(self, line: str) -> bool:
        """Whether the state of an input is known."""
        return int(line[2:]) in self._inputs

    def understand(self, code: int, data: bytes, at: float) -> list[DeviceEvent]:
        """The events of one report that arrived at ``at``. Raises ``MessageError`` for a status that is malformed.

        A malformed read is no error here but an event: a person stands at the door.
        """
        match code:
            case Reply.RAW:
                return [self._card(data, at)]
            case Reply.KEYPAD:
                return [self._keys(data, at)]
            case Reply.FMT:
                return [self._bad_read("formatted card data (FMT); set the reader to raw card data", at)]
            case Reply.LSTATR:
                return self._local_status(*parse_local_status(data), at)
            case Reply.ISTATR:
                return self._input_status(data, at)
            case Reply.RSTATR:
                return self._reader_status(data, at)
        return []

    def _bad_read(self, note: str, at: float) -> ReadError:
        return ReadError(self._name, ReadFault.BAD_FRAME, at, note=note)

    def _card(self, data: bytes, at: float) -> DeviceEvent:
        try:
            card = parse_card(data, self._bits)
        except MessageError as error:
            return self._bad_read(str(error), at)
        if card.reader != 0:
            return self._bad_read(f"from reader number {card.reader} of the device; latchd serves number 0", at)
        if objection := self.freshness.objection(at):
            return ReadError(self._name, ReadFault.QUEUED, at, card.length, card.value, objection)
        try:
            decode(card.length, card.value, self._formats)
        except ParityError as error:
            return ReadError(self._name, ReadFault.PARITY_ERROR, at, card.length, card.value, str(error))
        return CardRead(self._name, card.length, card.value, at)

    def _keys(self, data: bytes, at: float) -> DeviceEvent:
        try:
            reader, keys = parse_keys(data)
        except MessageError as error:
            return self._bad_read(str(error), at)
        if reader != 0:
            return self._bad_read(f"from reader number {reader} of the device; latchd serves number 0", at)
        if objection := self.freshness.objection(at, KEYS_APART):
            return ReadError(self._name, ReadFault.QUEUED, at, note=f"keys: {objection}")
        return KeyPress(self._name, keys, at)

    def _local_status(self, case_open: bool, power_failed: bool, at: float) -> list[DeviceEvent]:
        self._case_open = case_open
        events = self._tampering(at)
        if power_failed != self._power_failed:
            self._power_failed = power_failed
            what = "power failed" if power_failed else "power is back"
            events.append(DeviceAlarm(self._name, at, what))
        return events

    def _tampering(self, at: float) -> list[DeviceEvent]:
        """The device's own case and the reader head behind it are one tamper contact to latchd."""
        tamper = self._case_open or self._head_tampered
        if tamper is self._tamper:
            return []
        self._tamper = tamper
        return [TamperChanged(self._name, tamper, at)]

    def _input_status(self, data: Sequence[int], at: float) -> list[DeviceEvent]:
        events: list[DeviceEvent] = []
        for number, value in enumerate(data[: self._count]):
            state = _INPUT_STATES.get(value, InputState.OPEN)
            if self._inputs.get(number) is not state:
                self._inputs[number] = state
                events.append(InputChanged(Point(self._name, f"in{number}"), state, at))
        return events

    def _reader_status(self, data: bytes, at: float) -> list[DeviceEvent]:
        """RSTATR, 7.9: state of the reader head behind the device, which may be in another place."""
        if not data:
            raise MessageError("RSTATR is empty, expected a byte for each reader")
        self._head_tampered = data[0] == _HEAD_TAMPERED
        events = self._tampering(at)
        missing = data[0] == _HEAD_MISSING
        if missing is not self._head_missing:
            self._head_missing = missing
            what = "is not connected" if missing else "is connected again"
            events.append(DeviceAlarm(self._name, at, f"the reader head {what}"))
        return events
