"""All boards of one line: who may speak next. Relay commands first, then their read-backs, then what is due.

Sans-I/O. After every call the shell writes ``bytes_to_send`` and arms one timer for ``deadline``. A relay
command that finds the line idle has its frame ready before ``command`` returns.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import DriverUsageError
from drivers.events import Buzz, Command, DeviceEvent, Led
from drivers.modbus.board import Board, Job
from drivers.modbus.transactions import Done, Fault, Line

_BLOCKED = 0.05
"""Seconds until a board is looked at again to which no question is safe from late replies."""
_SILENT_TO_RESET = 3
"""Requests in a row without any answer after which a connection is opened again: what is in its buffers goes."""


class Bus:
    """The boards of one line, and the line."""

    def __init__(self, line: Line, boards: Sequence[Board]) -> None:
        """The boards' units must differ."""
        self._line = line
        self._boards = list(boards)
        self._by_name = {board.name: board for board in boards}
        self._job: Job | None = None
        self._asked: Board | None = None
        self._connected = False
        self._ending = False
        self._silent = 0
        self._now = 0.0
        self._wake: float | None = None

    @property
    def boards(self) -> Sequence[Board]:
        """The boards, in the order given."""
        return self._boards

    @property
    def ended(self) -> bool:
        """After ``end``: nothing is left to be switched off."""
        return self._ending and (not self._connected or all(board.ended(self._now) for board in self._boards))

    @property
    def broken(self) -> str:
        """Why the connection must be closed and opened again; empty: it need not."""
        if self._line.broken:
            return "the bytes received are not Modbus/TCP"
        if self._silent >= _SILENT_TO_RESET:
            return f"{self._silent} requests without any answer"
        return ""

    def command(self, command: Command, now: float) -> list[DeviceEvent]:
        """A relay command. Raises ``DriverUsageError`` for a device or line that is not on this bus."""
        if isinstance(command, Led | Buzz):
            raise DriverUsageError(f"{command.reader}: a Modbus board has no reader")
        board = self._by_name.get(command.point.device)
        if board is None or command.point.line not in board.profile.lines()[0]:
            raise DriverUsageError(f"{command.point}: there is no such output on this bus")
        events = board.command(command, now)
        return events + self._pump(now)

    def connected(self, now: float) -> list[DeviceEvent]:
        """The port is open: look for all boards."""
        self._connected = True
        self._silent = 0
        for board in self._boards:
            board.ask_soon(now)
        return self._pump(now)

    def disconnected(self, now: float, why: str) -> list[DeviceEvent]:
        """The port is gone, or could not be opened."""
        self._connected = False
        self._line.reset(now)
        self._job = self._asked = None
        return [event for board in self._boards for event in board.lost(now, why)]

    def end(self, now: float) -> list[DeviceEvent]:
        """Switch everything off for good, and verify it."""
        self._ending = True
        for board in self._boards:
            board.end(now)
        return self._pump(now)

    def bytes_to_send(self) -> bytes:
        """What to write now."""
        return self._line.bytes_to_send()

    def receive(self, data: bytes, now: float) -> list[DeviceEvent]:
        """Bytes came."""
        done = self._line.receive(data, now)
        return [] if done is None else self._finish(done) + self._pump(now)

    def deadline(self) -> float | None:
        """When ``handle_deadline`` is to be called."""
        if not self._connected:
            return None
        times = [self._wake, self._line.deadline(), *(board.deadline() for board in self._boards)]
        return min((time for time in times if time is not None), default=None)

    def handle_deadline(self, now: float) -> list[DeviceEvent]:
        """Time has passed."""
        events = [event for board in self._boards for event in board.handle_deadline(now)]
        events += self._finish(self._line.handle_deadline(now))
        return events + self._pump(now)

    def _finish(self, done: Done | None) -> list[DeviceEvent]:
        if done is None or self._job is None or self._asked is None:
            return []
        if self._line.buffered:
            self._silent = self._silent + 1 if done.fault is Fault.SILENT else 0
        board, job = self._asked, self._job
        self._asked = self._job = None
        return board.done(job, done)

    def _pump(self, now: float) -> list[DeviceEvent]:
        """Send what comes next if the line is free; else set when to try again."""
        self._wake = None
        self._now = now
        if not self._connected or self.broken:
            return []
        urgent = self._urgent(now)
        events = self._give_up_for(urgent, now)
        if self._line.request is not None:
            return events
        if now < self._line.ready_at:
            self._wake = self._line.ready_at
            return events
        chosen = urgent or self._due(now)
        if chosen is not None:
            self._asked, self._job = chosen
            self._line.send(self._job.request, now, wait=self._job.wait)
            self._asked.sent(self._job, now)
        return events

    def _urgent(self, now: float) -> tuple[Board, Job] | None:
        """The relay command to send first: on before off, then by when it was asked for."""
        buffered = self._line.buffered
        jobs = [(board, job) for board in self._boards if (job := board.urgent(now, buffered)) is not None]
        return min(jobs, key=lambda one: (not (one[1].write and one[1].write.on), one[1].due), default=None)

    def _give_up_for(self, urgent: tuple[Board, Job] | None, now: float) -> list[DeviceEvent]:
        """A relay command does not wait for a board that is probably not there."""
        if urgent is None or self._asked is None or self._asked.reachable:
            return []
        if now < self._line.ready_at:
            self._wake = self._line.ready_at
            return []
        return self._finish(self._line.abandon(now))

    def _due(self, now: float) -> tuple[Board, Job] | None:
        """What is due by now, read-backs of fresh writes first; sets when the next thing is."""
        best: tuple[Board, Job] | None = None
        for board in self._boards:
            if self._ending and board.ended(now):
                continue
            job = board.next_job(lambda request: self._line.proves(request, now), now)
            at = now + _BLOCKED if job is None else job.due
            if job is not None and at <= now:
                if board.verifying():
                    return board, job
                if best is None or at < best[1].due:
                    best = board, job
            for time in (at, board.write_due()):
                if time is not None and time > now and (self._wake is None or time < self._wake):
                    self._wake = time
        return best
