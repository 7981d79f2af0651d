"""One master's side of a line: a request at a time, and the late-reply trap closed by design.

A device that answers after its time-out answers the *next* request, and Modbus RTU has nothing that tells
the two apart. What closes the trap here: a request without its answer leaves a **ghost**, its late reply.
A device answers in order, so the answer to a later request that no ghost looks like (another function, or a
write of something else, whose reply repeats it) proves that no ghost of that unit can come any more. Until then
no read of the ghost's function may be sent (``may_send`` is false), and whatever comes for the ghost cannot be
mistaken for an answer. Writes may always be sent: a relay does not wait, and what a write did is read back.

Only when a device answers nothing of all that do ghosts end by age, after ``slowest_reply``. Modbus/TCP numbers
its requests and knows no ghosts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drivers.modbus.codec import Answer, Framing, Request, reply_length


class Fault(StrEnum):
    """Why a request has no answer."""

    SILENT = "no reply"
    GARBLED = "a garbled reply"
    ECHO = "its own request came back: set echo = true for this adapter"
    BROKEN = "not a Modbus/TCP stream"


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. ``char_time`` is 0 where bytes take no time of their own (TCP)."""

    char_time: float
    reply_timeout: float
    slowest_reply: float
    gap: float
    """Silence before a request: 3.5 characters, or 1.75 ms above 19200 baud (Serial Line V1.02, 2.5.1.1)."""
    broken_off: float = 0.05
    """Silence within a reply that means no more will come; above the 16 ms in which USB adapters collect."""


@dataclass(frozen=True, slots=True)
class Done:
    """A request that was sent at ``sent_at`` is over ``at``: with an answer, or with a fault."""

    request: Request
    sent_at: float
    at: float
    answer: Answer | None = None
    fault: Fault | None = None
    late: float | None = None
    """Seconds after which the device answered an earlier request, too late for it."""


@dataclass(frozen=True, slots=True)
class _Ghost:
    request: Request
    sent_at: float

    def could_pass_for(self, request: Request) -> bool:
        """Whether its late reply could be taken for an answer to ``request``."""
        if request.is_read or self.request.is_read:
            return self.request.function is request.function
        return self.request == request

    def could_be(self, request: Request, answer: Answer) -> bool:
        """Whether ``answer`` to ``request`` may be this late reply. An exception repeats the function alone."""
        if answer.exception:
            return self.request.function is request.function
        return self.could_pass_for(request)


_LONGEST_RUBBISH = 600
"""More than two of the longest frames: beyond it, what came is not a reply, and is dropped."""


class Line:
    """At most one request is on its way; ``receive`` and ``handle_deadline`` tell when it is done."""

    def __init__(
        self, framing: Framing, timing: Timing, *, echo: bool = False, buffered: bool | None = None
    ) -> None:
        """With ``echo``, the adapter hears itself and every frame sent comes back first.

        ``buffered``: what is sent may lie in buffers on its way and be carried out much later, as over TCP.
        """
        self.buffered = framing.stream if buffered is None else buffered
        self.timing = timing
        self.broken = False
        """The connection must be closed and opened again."""
        self._framing = framing
        self._echo = echo
        self._request: Request | None = None
        self._frame = b""
        self._out = b""
        self._echo_left = b""
        self._sent_at = self._deadline = 0.0
        self._buffer = bytearray()
        self._last_byte = self._over_at = -1e9
        self._lost = False
        self._ghosts: dict[int, list[_Ghost]] = {}
        self._unanswered: tuple[Request, float] | None = None
        self._stray = bytearray()
        self._late: dict[int, float] = {}

    @property
    def request(self) -> Request | None:
        """The request on its way."""
        return self._request

    @property
    def ready_at(self) -> float:
        """When the line has been silent for long enough that a request may be sent, if none is on its way."""
        # A line that never falls silent is asked all the same: its silence would hide that no device answers.
        quiet = min(self._last_byte, self._over_at + self.timing.reply_timeout)
        return max(quiet, self._sent_at + len(self._frame) * self.timing.char_time) + self.timing.gap

    def may_send(self, request: Request, now: float) -> bool:
        """Whether ``request`` may be sent: no late reply could be taken for what it reads."""
        return not request.is_read or self.proves(request, now)

    def proves(self, request: Request, now: float) -> bool:
        """Whether a good answer to ``request`` could be no late reply."""
        return not any(ghost.could_pass_for(request) for ghost in self._living(request.unit, now))

    def send(self, request: Request, now: float, *, wait: float | None = None) -> None:
        """Begin a request; ``bytes_to_send`` has its frame. The line must be idle and ``may_send`` true.

        ``wait`` shortens the seconds in which the answer must begin.
        """
        if self._request is not None or not self.may_send(request, now):
            raise RuntimeError(f"the line is not free for {request}")
        self._frame = self._out = self._framing.encode(request)
        self._echo_left = self._frame if self._echo else b""
        self._request = request
        self._sent_at = now
        self._buffer.clear()
        self._stray.clear()
        self._lost = False
        wire = len(self._frame) + self._framing.overhead + reply_length(request)
        patience = self.timing.reply_timeout if wait is None else min(wait, self.timing.reply_timeout)
        self._deadline = now + wire * self.timing.char_time + patience

    def bytes_to_send(self) -> bytes:
        """The frame to write, once."""
        data, self._out = self._out, b""
        return data

    def receive(self, data: bytes, now: float) -> Done | None:
        """Bytes came. What comes while nothing is asked is dropped, but for the note that a reply came late."""
        self._last_byte = now
        request = self._request
        if request is None or not data:
            self._note_stray(data, now)
            return None
        if len(self._buffer) < _LONGEST_RUBBISH:
            self._buffer += data
        if self._lost or not self._strip_echo():
            return None
        while self._buffer:
            found = self._framing.extract(bytes(self._buffer), request)
            if found.answer is not None:
                return self._answered(request, found.answer, now)
            if found.lost:
                return self._lose(request, now)
            if not found.used:
                break
            self._note_late(now)
            del self._buffer[: found.used]
        return None

    def deadline(self) -> float | None:
        """When ``handle_deadline`` is to be called."""
        if self._request is None:
            return None
        if self._buffer and self._reply_began():
            return min(self._deadline, self._last_byte + self.timing.broken_off)
        return self._deadline

    def handle_deadline(self, now: float) -> Done | None:
        """Time has passed: the request may be over without an answer."""
        deadline, request = self.deadline(), self._request
        if deadline is None or request is None or now < deadline:
            return None
        return self._failed(request, self._fault(request), now)

    def abandon(self, now: float) -> Done | None:
        """Give up a request of which nothing has come yet, so that a more urgent one can go."""
        if self._request is None or self._buffer or now < self.ready_at:
            return None
        return self._failed(self._request, Fault.SILENT, now)

    def reset(self, now: float) -> Done | None:
        """The port is gone or new: what was on its way is over. Ghosts stay, a device may yet answer."""
        request = self._request
        self._out = b""
        self.broken = False
        return None if request is None else self._failed(request, Fault.SILENT, now)

    def _note_stray(self, data: bytes, now: float) -> None:
        """See whether what comes unasked is the reply to the request that was just given up."""
        if self._unanswered is None or len(self._stray) >= _LONGEST_RUBBISH:
            return
        self._stray += data
        if self._framing.extract(bytes(self._stray), self._unanswered[0]).used:
            self._note_late(now)
            self._stray.clear()

    def _note_late(self, now: float) -> None:
        """A whole frame that answers nothing now: the reply to the request before."""
        if self._unanswered is not None:
            request, sent_at = self._unanswered
            self._late[request.unit] = now - sent_at

    def _strip_echo(self) -> bool:
        """Take our own frame off the front; whether all of it has come."""
        if self._echo_left:
            size = min(len(self._echo_left), len(self._buffer))
            if bytes(self._buffer[:size]) != self._echo_left[:size]:
                self._lost = True
                return False
            del self._buffer[:size]
            self._echo_left = self._echo_left[size:]
        return not self._echo_left

    def _reply_began(self) -> bool:
        return not self._echo_left and self._request is not None and self._buffer[0] == self._request.unit

    def _lose(self, request: Request, now: float) -> Done | None:
        """No frame can be recognised any more: wait until the line is silent, dropping what comes."""
        if self._framing.stream:
            self.broken = True
            return self._failed(request, Fault.BROKEN, now)
        self._lost = True
        return None

    def _fault(self, request: Request) -> Fault:
        """What to call it that no answer came. A write's own frame coming back is its proper answer."""
        if not self._buffer:
            return Fault.SILENT
        return Fault.ECHO if request.is_read and self._buffer.startswith(self._frame) else Fault.GARBLED

    def _answered(self, request: Request, answer: Answer, now: float) -> Done:
        ghosts = self._ghosts.get(request.unit, [])
        if not any(ghost.could_be(request, answer) for ghost in ghosts):
            self._ghosts.pop(request.unit, None)
        self._late.pop(request.unit, None)
        self._unanswered = None
        self._over(now)
        return Done(request, self._sent_at, now, answer=answer)

    def _failed(self, request: Request, fault: Fault, now: float) -> Done:
        if not self._framing.numbered:
            self._ghosts.setdefault(request.unit, []).append(_Ghost(request, self._sent_at))
        self._unanswered = (request, self._sent_at)
        self._over(now)
        return Done(request, self._sent_at, now, fault=fault, late=self._late.get(request.unit))

    def _over(self, now: float) -> None:
        self._request = None
        self._over_at = now
        self._buffer.clear()

    def _living(self, unit: int, now: float) -> list[_Ghost]:
        ghosts = self._ghosts.get(unit)
        if not ghosts:
            return []
        living = [ghost for ghost in ghosts if now - ghost.sent_at < self.timing.slowest_reply]
        self._ghosts[unit] = living
        return living
