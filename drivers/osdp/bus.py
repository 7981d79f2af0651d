"""The whole OSDP bus without its tty: whose turn it is, how long to wait, what an answer belongs to.

Sans-I/O: give ``receive`` what arrived, write out what ``bytes_to_send`` gives, call ``handle_deadline`` at
``deadline``. One exchange is under way at a time, as the standard demands (SIA OSDP 2.2, 5.1). Relay commands go
first, then an answer that was garbled is asked for once more, and a reader that was asked a question is polled as
well; all other turns are dealt out by ``drivers.osdp.turns``. A scan gets one short exchange at a time, if need be
at another speed, and then the readers have the line for at least as long and for a round.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import DriverUsageError
from drivers.events import Command, DeviceAlarm, DeviceEvent
from drivers.osdp.capacity import CHARACTER_BITS, TURN_ROUND_CHARACTERS
from drivers.osdp.echo import ECHO_FOUND, Echo
from drivers.osdp.frame import MARK, MAX_FRAME, SHORTEST_FRAME, Damage, Frame, FrameReader
from drivers.osdp.scan import Scan
from drivers.osdp.session import Session
from drivers.osdp.states import Trouble
from drivers.osdp.turns import Turns

TIMER_GRAIN = 0.001
"""Seconds. The event loop wakes on whole milliseconds, up to one too late and never too early: it is asked for
one less. Shorter pauses need no timer: a UART hands over the end of a burst only after a pause of its own."""
LONG_FOR = 5.0
"""Seconds for which a round must be too long until that is an alarm."""
LONG_IS_OVER = 0.8
"""Share of the limit below which a bus that was too long is no more so."""
INTER_CHARACTER = 0.05
"""Seconds of silence that end a frame in its middle. The standard's 20 ms (5.7), and on top what a USB adapter
(16 ms) and a busy machine may hold back."""
LATENCY = 0.02
"""Seconds that the way through kernel and adapter may add to an answer: the reader must not pay for them."""
SCAN_WAIT = 0.5
"""Seconds after which a scan goes on though the round is not over, for a bus on which it takes longer."""


class Bus:
    """All readers of one RS-485 pair. Bounded: one frame out, one frame in, one outbox for each reader."""

    def __init__(
        self, sessions: Sequence[Session], baudrate: int, *, mark: bool = False, echo: bool = False
    ) -> None:
        """``echo``: the adapter is known to hear what it sends; else that is found out."""
        self._turns = Turns(list(sessions))
        self.pace = self._turns.pace
        for session in sessions:
            session.join(self.pace)
        self._by_name = {session.name: session for session in sessions}
        self._by_address = {session.address: session for session in sessions}
        self.baudrate = baudrate
        self.speed = baudrate
        """Bits a second at which what ``bytes_to_send`` gave is to be sent, and answered."""
        self._character = CHARACTER_BITS / baudrate
        self._mark = MARK if mark else b""
        self._frames = FrameReader()
        self._echo = Echo(known=echo)
        self._active: Session | Scan | None = None
        self._sent_at = self._heard_at = 0.0
        self._scan: Scan | None = None
        self._scan_at = float("-inf")
        self._reply_by = 0.0
        self._reply_at_the_latest = 0.0
        self._trouble = Trouble.SILENT
        self._said_long = False
        self._long_since = float("-inf")
        self._free_at = float("-inf")

    @property
    def sessions(self) -> Sequence[Session]:
        """The readers, in the order of their turns."""
        return self._turns.sessions

    @property
    def unconfirmed_relay(self) -> bool:
        """Whether a relay command is still on its way to a reader that answers."""
        return any(session.unconfirmed_relay for session in self.sessions)

    def send(self, name: str, command: Command, now: float) -> None:
        """Queue a command. Raises ``KeyError`` for a reader and ``DriverUsageError`` for an output not there."""
        self._by_name[name].send(command, now)

    def begin_scan(self, scan: Scan) -> None:
        """Take in a guest. Raises ``DriverUsageError`` when there is one already."""
        if self._scan is not None:
            raise DriverUsageError("a scan of this bus is under way already; wait until it ends")
        self._scan, self._scan_at = scan, float("-inf")

    def end_scan(self, why: str = "") -> None:
        """No more turns for the guest."""
        if self._scan is not None and not self._scan.over:
            self._scan.stop(why)
        self._scan = None

    def bytes_to_send(self, now: float) -> bytes:
        """The next frame if the line is free and a reader is due, otherwise nothing."""
        if self._active is not None or now < self._free_at:
            return b""
        turn: Session | Scan | None = self._guest(now)
        if turn is None:
            turn = self._turns.choose(now)
            if turn is None:
                return b""
        self.speed = turn.baudrate if isinstance(turn, Scan) else self.baudrate
        self._character = CHARACTER_BITS / self.speed
        frame, delay = turn.frame_to_send(now)
        frame = self._mark + frame
        self._active, self._sent_at, self._heard_at = turn, now, now + len(frame) * self._character
        self._trouble = Trouble.SILENT
        self._frames.clear()
        self._echo.sent(frame)
        self._reply_by = self._heard_at + delay + LATENCY
        self._reply_at_the_latest = self._reply_by + MAX_FRAME * self._character + INTER_CHARACTER
        return frame

    def deadline(self) -> float:
        """When ``handle_deadline`` and ``bytes_to_send`` are wanted next; infinity without any reader."""
        if self._active is not None:
            return self._reply_by
        due = min((self._turns.due(session) for session in self.sessions), default=float("inf"))
        return max(self._free_at, min(due, self._guest_at()))

    def handle_deadline(self, now: float) -> list[DeviceEvent]:
        """Give up waiting for an answer whose time is over."""
        events = [
            event for session in self.sessions if session is not self._active for event in session.expired(now)
        ]
        events += self._too_long(now)
        if self._active is None or now < self._reply_by:
            return events
        active, self._active = self._active, None
        if isinstance(active, Scan):
            active.no_reply(self._trouble)
            self._rest_from_scan(now)
            return events
        events += active.no_reply(self._trouble, now)
        self._ended(active, now, good=False)
        return events

    def receive(self, data: bytes, now: float) -> list[DeviceEvent]:
        """Bytes arrived, the last of them at ``now``. Never raises: what is no answer is noise."""
        events: list[DeviceEvent] = []
        data = self._echo.without(data)
        if self._echo.news and isinstance(self._active, Session):
            self._echo.news = False
            events.append(DeviceAlarm(self._active.name, now, ECHO_FOUND))
        for found in self._frames.feed(data):
            if isinstance(found, Damage):
                self._trouble = Trouble.GARBLED
            else:
                events += self._received(found, now)
        if self._active is None:
            self._free_at = now + max(0.0, TURN_ROUND_CHARACTERS * self._character - TIMER_GRAIN)
        elif not data:
            pass  # our own echo: the answer is still to come
        elif self._frames.pending:
            self._trouble = Trouble.GARBLED  # true if nothing more comes
            self._reply_by = min(now + INTER_CHARACTER, self._reply_at_the_latest)
        elif self._frames.skipped >= SHORTEST_FRAME:
            # An answer came, though not in one piece: no use in waiting, but let its last bytes pass.
            self._trouble = Trouble.GARBLED
            self._reply_by = min(now + LATENCY, self._reply_at_the_latest)
        return events

    def recover(self, now: float, until: float) -> list[DeviceEvent]:
        """Something went wrong in here: every session begins again, not before ``until``."""
        self._active = None
        self._frames.clear()
        self._free_at = until
        self.end_scan("internal fault")
        return [event for session in self.sessions for event in session.recover(now)]

    def port_lost(self, now: float, why: str) -> list[DeviceEvent]:
        """The tty is gone: every reader is offline, and is looked for at once when it is back."""
        self._active = None
        self.end_scan(why)
        self._frames.clear()
        self._free_at = float("-inf")
        self._turns.forget()
        return [event for session in self.sessions for event in session.lost_port(now, why)]

    def _received(self, frame: Frame, now: float) -> list[DeviceEvent]:
        active = self._active
        if active is not None and active.accepts(frame):
            self._active = None
            if isinstance(active, Session):
                active.patience.answered(max(0.0, now - self._heard_at - frame.length * self._character))
                events = active.reply(frame, now)
                self._ended(active, now, good=active.idle or active.answers)
                return events
            active.reply(frame)
            self._rest_from_scan(now)
            return []
        if isinstance(active, Session) and frame.reply and active.other_check(frame):
            self._trouble = Trouble.CHECK
        late = self._by_address.get(frame.address) if frame.reply else None
        if late is not None and late is not active:
            late.patience.look_now(now)
            late.late += 1
        return []

    def _too_long(self, now: float) -> list[DeviceEvent]:
        """An alarm when a round takes longer than reads may wait, and again once that is over and comes back."""
        limit = min((session.service.reports.freshness.configured for session in self.sessions), default=0.0)
        if self.pace.round <= limit:
            self._said_long = self._said_long and self.pace.round > limit * LONG_IS_OVER
            self._long_since = now
            return []
        if self._said_long or len(self.sessions) < 2 or now - self._long_since < LONG_FOR:
            return []
        self._said_long = True
        slowest = max(self.sessions, key=lambda session: session.patience.slowest)
        what = (
            f"the bus is too long: a round of {len(self.sessions)} readers at {self.baudrate} baud takes"
            f" {self.pace.round:.1f} s, reads may wait {limit:g} s; slowest answer {slowest.name}"
            f" {slowest.patience.slowest * 1000:.0f} ms"
        )
        return [DeviceAlarm(slowest.name, now, what)]

    def _ended(self, session: Session, now: float, *, good: bool) -> None:
        self._turns.ended(session, now, self._heard_at - self._sent_at, self._character, good=good)

    def _guest(self, now: float) -> Scan | None:
        """The scan, if it may have this turn: a relay command never waits for it."""
        return self._scan if now >= self._guest_at() else None

    def _guest_at(self) -> float:
        """When the scan may have a turn if no reader is due; infinity for never."""
        if self._scan is None or self._scan.over or self.unconfirmed_relay:
            return float("inf")
        return self._scan_at if self._turns.round_over else self._scan_at + SCAN_WAIT

    def _rest_from_scan(self, now: float) -> None:
        """The readers have the line for as long as the guest had it, and each of them a turn."""
        self._scan_at = now + (now - self._sent_at)
        self._turns.heavy_turn_over()
