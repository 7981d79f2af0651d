"""What waits to be sent to one reader: relay first, newest wins, never more than a handful, never stale."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass, replace

from drivers.driver import DriverUsageError
from drivers.events import Buzz, Command, Led, Pulse, SwitchOff, SwitchOn
from drivers.osdp import messages
from drivers.osdp.messages import Cmd, OutputControl

RELAY_PATIENCE = 1.0
"""Seconds that a relay command may wait. Later it would move a door that no one expects to move any more."""
SERVICE_LIMIT = 4
"""Changes of address and texts that may wait: a technician makes them one at a time."""
KEY_SLOT = "key"
"""KEYSET is never queued: the session sends it, and afterwards proves which key the reader holds."""
RESTING = "resting led"
_NOT_AGAIN = ("poll", "question", KEY_SLOT, "address")
"""Slots whose command is not sent in another session: it comes again by itself, or would come unexpected."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One command ready to be framed. ``slot`` names what a newer one replaces."""

    code: Cmd
    data: bytes
    slot: str
    expires: float = float("inf")
    """When it comes too late. What is a state, on or off, never does: it is put right when the reader answers."""
    until: float = float("inf")
    """For a pulse: when it is to end, had it begun at once."""
    again: bool = False
    """Whether it was sent before, and it is not known whether the reader obeyed."""

    def __repr__(self) -> str:
        """Data may be a key."""
        return f"Outgoing({self.code.name}, {self.slot})"

    @property
    def relay(self) -> bool:
        """Whether it moves an output."""
        return self.code is Cmd.OUT

    @property
    def pulse(self) -> bool:
        """Whether it moves an output for a time."""
        return self.relay and self.until < float("inf")

    def shortened(self, now: float) -> Outgoing:
        """The same pulse for what is left of its time."""
        data = messages.output(self.data[0], OutputControl.PULSE_ON, self.until - now)
        return replace(self, data=data)

    @property
    def queued(self) -> bool:
        """Whether it is sent again in the next session when this one ends before its answer."""
        return self.slot not in _NOT_AGAIN


class Outbox:
    """One slot for each output, LED state, buzzer and text: bounded by what a reader has, not by who sends."""

    def __init__(self, outputs: int) -> None:
        self._outputs = outputs
        self._relays: dict[str, Outgoing] = {}
        self._service: deque[Outgoing] = deque(maxlen=SERVICE_LIMIT)
        self._feedback: dict[str, Outgoing] = {}
        self._resting: Outgoing | None = None
        self._switched: set[int] = set()
        self._refused: set[Cmd] = set()
        self.shed = 0
        """Lights, sounds and texts that were left out because reads filled the bus."""

    def put(self, command: Command, now: float) -> None:
        """Queue a command of the doors loop. Raises ``DriverUsageError`` for an output that is not there."""
        match command:
            case Pulse(point, seconds):
                self._put_output(point.line, OutputControl.PULSE_ON, now, seconds)
            case SwitchOn(point):
                self._put_output(point.line, OutputControl.ON, now)
            case SwitchOff(point):
                self._put_output(point.line, OutputControl.OFF, now)
            case Led(_, colour, seconds, blink):
                slot = "led" if seconds is not None else RESTING
                light = Outgoing(Cmd.LED, messages.led(colour, seconds, blink=blink), slot)
                if seconds is None:
                    self._resting = light
                self._put_feedback(light)
            case Buzz(_, count, seconds):
                self._put_feedback(Outgoing(Cmd.BUZ, messages.buzz(count, seconds), "buzzer"))

    def put_service(self, code: Cmd, data: bytes) -> None:
        """Queue COMSET or TEXT. Raises ``DriverUsageError`` when too many wait already."""
        if len(self._service) == SERVICE_LIMIT:
            raise DriverUsageError(f"{SERVICE_LIMIT} service commands wait already; wait until the reader answers")
        self._service.append(Outgoing(code, data, "address" if code is Cmd.COMSET else "text"))

    def _put_output(self, line: str, control: OutputControl, now: float, seconds: float = 0.0) -> None:
        names = [f"out{number}" for number in range(self._outputs)]
        if line not in names:
            raise DriverUsageError(f'no output "{line}"; the reader has {", ".join(names) or "none"}')
        number = names.index(line)
        if control is OutputControl.OFF:
            self._switched.discard(number)
        else:
            self._switched.add(number)
        outgoing = Outgoing(Cmd.OUT, messages.output(number, control, seconds), line)
        if control is OutputControl.PULSE_ON:
            outgoing = replace(outgoing, expires=now + RELAY_PATIENCE, until=now + seconds)
        self._relays[line] = outgoing

    def _put_feedback(self, outgoing: Outgoing) -> None:
        if outgoing.code in self._refused:
            return
        self._feedback.pop(outgoing.slot, None)  # the newest of a slot also goes last
        self._feedback[outgoing.slot] = outgoing

    def put_back(self, outgoing: Outgoing) -> None:
        """Queue again what was taken and not confirmed, unless something newer has its slot."""
        if outgoing.relay:
            self._relays.setdefault(outgoing.slot, replace(outgoing, again=True))
        elif outgoing.code is Cmd.TEXT:
            if len(self._service) < SERVICE_LIMIT:
                self._service.appendleft(outgoing)
        elif outgoing.code not in self._refused:
            self._feedback.setdefault(outgoing.slot, outgoing)

    def restore(self) -> None:
        """Show the resting colour again: the reader may have lost it with its power."""
        if self._resting is not None:
            self.put_back(self._resting)

    def refuse(self, code: Cmd) -> None:
        """The reader does not do this: nothing of the kind is queued any more."""
        self._refused.add(code)
        self._feedback = {slot: each for slot, each in self._feedback.items() if each.code is not code}

    def accept_all(self, but: Collection[Cmd]) -> None:
        """It is another device, of which only the profile is known."""
        self._refused = set(but)

    def switch_off(self, now: float) -> None:
        """Queue OFF for every output that was switched on."""
        for number in sorted(self._switched):
            self._put_output(f"out{number}", OutputControl.OFF, now)

    def forget_relays(self) -> list[Outgoing]:
        """Drop what would move an output, and return the pulses of it: a door is waiting for them."""
        pulses = [outgoing for outgoing in self._relays.values() if outgoing.pulse]
        self._relays.clear()
        return pulses

    @property
    def urgent(self) -> bool:
        """Whether a relay command waits."""
        return bool(self._relays)

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._relays or self._service or self._feedback)

    def expired(self, now: float) -> list[Outgoing]:
        """Take out the relay commands that have waited too long."""
        late = [outgoing for outgoing in self._relays.values() if outgoing.expires < now]
        for outgoing in late:
            del self._relays[outgoing.slot]
        return late

    def take(self, now: float = 0.0, *, busy: bool = False) -> Outgoing | None:
        """The next command: relays, then service, then feedback; each in the order it came.

        ``busy``: there is no time for feedback. The resting light waits, the rest would come too late and is
        dropped.
        """
        while self._relays:
            outgoing = self._relays.pop(next(iter(self._relays)))
            if not (outgoing.pulse and outgoing.again):
                return outgoing
            if outgoing.until > now:
                return outgoing.shortened(now)
        if self._service:
            return self._service.popleft()
        if busy:
            self._shed()
        elif self._feedback:
            return self._feedback.pop(next(iter(self._feedback)))
        return None

    def _shed(self) -> None:
        for slot in [slot for slot in self._feedback if slot != RESTING]:
            del self._feedback[slot]
            self.shed += 1
