"""The whole OSDP bus without its tty: whose turn it is, how long to wait, what an answer belongs to.

Sans-I/O: give ``receive`` what arrived, write out what ``bytes_to_send`` gives, call ``handle_deadline`` at
``deadline``. One exchange is under way at a time, as the standard demands (SIA OSDP 2.2, 5.1). Turns go round
in order; relay commands go first, then an answer that was garbled is asked for once more, and a reader that was
asked a question is polled as well; one that is being set up may have every other turn, and looks for absent
readers are short and rare, so that they cost the others little. A scan is a guest: it has the line for one short
exchange, if need be at another speed, and then the readers have it for at least as long.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import DriverUsageError
from drivers.events import Command, DeviceEvent
from drivers.osdp.frame import MARK, MAX_FRAME, SHORTEST_FRAME, Damage, Frame, FrameReader
from drivers.osdp.scan import Scan
from drivers.osdp.session import Session
from drivers.osdp.states import Trouble

CHARACTER_BITS = 10
"""8N1 on the wire: start bit, eight data bits, stop bit (5.2)."""
TURN_ROUND_CHARACTERS = 2
"""Idle characters before the panel speaks again, so that the reader's transmitter is off (5.7)."""
TIMER_GRAIN = 0.001
"""Seconds. The event loop wakes on whole milliseconds, up to one too late and never too early: it is asked for
one less. Shorter pauses need no timer: a UART hands over the end of a burst only after a pause of its own."""
INTER_CHARACTER = 0.05
"""Seconds of silence that end a frame in its middle. The standard's 20 ms (5.7), and on top what a USB adapter
(16 ms) and a busy machine may hold back."""
LATENCY = 0.02
"""Seconds that the way through kernel and adapter may add to an answer: the reader must not pay for them."""
PROBE_PAUSE = 0.2
"""Least seconds between two looks for absent readers, whichever they are."""


class Bus:
    """All readers of one RS-485 pair. Bounded: one frame out, one frame in, one outbox for each reader."""

    def __init__(self, sessions: Sequence[Session], baudrate: int, *, mark: bool = False) -> None:
        self._sessions = list(sessions)
        self._by_name = {session.name: session for session in sessions}
        self._by_address = {session.address: session for session in sessions}
        self.baudrate = baudrate
        self.speed = baudrate
        """Bits a second at which what ``bytes_to_send`` gave is to be sent, and answered."""
        self._character = CHARACTER_BITS / baudrate
        self._mark = MARK if mark else b""
        self._frames = FrameReader()
        self._active: Session | Scan | None = None
        self._sent_at = self._heard_at = 0.0
        self._scan: Scan | None = None
        self._scan_at = float("-inf")
        self._reply_by = 0.0
        self._reply_at_the_latest = 0.0
        self._trouble = Trouble.SILENT
        self._free_at = float("-inf")
        self._next_look = float("-inf")
        self._setting_up = False

    @property
    def sessions(self) -> Sequence[Session]:
        """The readers, in the order of their turns."""
        return self._sessions

    @property
    def unconfirmed_relay(self) -> bool:
        """Whether a relay command is still on its way to a reader that answers."""
        return any(session.unconfirmed_relay for session in self._sessions)

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
        """The next frame if the line is free and somebody is due, otherwise nothing."""
        if self._active is not None or now < self._free_at:
            return b""
        turn: Session | Scan | None = self._guest(now)
        if turn is None:
            turn = self._whose_turn(now)
            if turn is None:
                return b""
            if turn.patience.absent:
                self._next_look = now + PROBE_PAUSE
            self._setting_up = turn.handshaking
        self.speed = turn.baudrate if isinstance(turn, Scan) else self.baudrate
        self._character = CHARACTER_BITS / self.speed
        frame, delay = turn.frame_to_send(now)
        frame = self._mark + frame
        self._active, self._sent_at, self._heard_at = turn, now, now + len(frame) * self._character
        self._trouble = Trouble.SILENT
        self._frames.clear()
        self._reply_by = self._heard_at + delay + LATENCY
        self._reply_at_the_latest = self._reply_by + MAX_FRAME * self._character + INTER_CHARACTER
        return frame

    def deadline(self) -> float:
        """When ``handle_deadline`` and ``bytes_to_send`` are wanted next; infinity without any reader."""
        if self._active is not None:
            return self._reply_by
        due = min((self._due(session) for session in self._sessions), default=float("inf"))
        if self._scan is not None and not self._scan.over:
            due = min(due, self._scan_at)
        return max(self._free_at, due)

    def handle_deadline(self, now: float) -> list[DeviceEvent]:
        """Give up waiting for an answer whose time is over."""
        events = [event for session in self._sessions for event in session.service.expired(now)]
        if self._active is None or now < self._reply_by:
            return events
        active, self._active = self._active, None
        if isinstance(active, Scan):
            active.no_reply(self._trouble)
            self._rest_from_scan(now)
            return events
        return events + active.no_reply(self._trouble, now)

    def receive(self, data: bytes, now: float) -> list[DeviceEvent]:
        """Bytes arrived, the last of them at ``now``. Never raises: what is no answer is noise."""
        events: list[DeviceEvent] = []
        for found in self._frames.feed(data):
            if isinstance(found, Damage):
                self._trouble = Trouble.GARBLED
            else:
                events += self._received(found, now)
        if self._active is None:
            self._free_at = now + max(0.0, TURN_ROUND_CHARACTERS * self._character - TIMER_GRAIN)
        elif self._frames.pending:
            self._trouble = Trouble.GARBLED  # true if nothing more comes
            self._reply_by = min(now + INTER_CHARACTER, self._reply_at_the_latest)
        elif self._frames.skipped >= SHORTEST_FRAME:
            # An answer came, though not in one piece: no use in waiting, but let its last bytes pass.
            self._trouble = Trouble.GARBLED
            self._reply_by = min(now + LATENCY, self._reply_at_the_latest)
        return events

    def port_lost(self, now: float, why: str) -> list[DeviceEvent]:
        """The tty is gone: every reader is offline, and is looked for at once when it is back."""
        self._active = None
        self.end_scan(why)
        self._frames.clear()
        self._free_at = self._next_look = float("-inf")
        return [event for session in self._sessions for event in session.lost_port(now, why)]

    def _received(self, frame: Frame, now: float) -> list[DeviceEvent]:
        active = self._active
        if active is not None and active.accepts(frame):
            self._active = None
            if isinstance(active, Session):
                active.patience.answered(max(0.0, now - self._heard_at - frame.length * self._character))
                return active.reply(frame, now)
            active.reply(frame)
            self._rest_from_scan(now)
            return []
        late = self._by_address.get(frame.address) if frame.reply else None
        if late is not None and late is not active:
            late.patience.look_now(now)
        return []

    def _due(self, session: Session) -> float:
        return max(session.patience.due, self._next_look) if session.patience.absent else session.patience.due

    def _guest(self, now: float) -> Scan | None:
        """The scan, if it may have this turn: a relay command never waits for it."""
        if self._scan is None or self._scan.over or now < self._scan_at:
            return None
        return None if self.unconfirmed_relay else self._scan

    def _rest_from_scan(self, now: float) -> None:
        """The readers have the line for as long as the guest had it."""
        self._scan_at = now + (now - self._sent_at)

    def _whose_turn(self, now: float) -> Session | None:
        due = [session for session in self._sessions if self._due(session) <= now]
        if not due:
            return None
        chosen = next((session for session in due if session.outbox.urgent and session.online), None)
        if chosen is None:
            chosen = next((session for session in due if session.goes_on), None)
        if chosen is None and not self._setting_up:
            chosen = next((session for session in due if session.handshaking), None)
        if chosen is None:
            chosen = due[0]
        self._sessions.remove(chosen)
        self._sessions.append(chosen)
        return chosen
