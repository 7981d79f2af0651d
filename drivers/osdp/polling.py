"""What is said to a reader that is in service, and what its answers mean: polls, questions, commands."""

from __future__ import annotations

from collections import deque

from drivers.events import DeviceAlarm, DeviceEvent, Point, SwitchOff, SwitchOn
from drivers.osdp import messages
from drivers.osdp.messages import Capability, Cmd, MessageError, NakCode, Reply
from drivers.osdp.outputs import Outputs
from drivers.osdp.queue import Outbox, Outgoing
from drivers.osdp.reports import Reports
from drivers.osdp.timing import Pace

INPUT_INTERVAL = 10.0
STATUS_INTERVAL = 30.0
"""Seconds between questions for inputs, and for the rest: the safety net, for readers report changes unasked."""
QUESTIONS_WAIT = 60.0
"""Seconds by which they come later while reads fill the bus."""
POLLS_FIRST = 8
"""Polls that a session begins with, unless the reader has nothing to report before: the cards that it has stored
come before our questions."""

_NAKS = {code.value: code.name.lower().replace("_", " ") for code in NakCode}
_NEXT_QUESTION = {
    Reply.LSTATR: (Cmd.LSTAT, STATUS_INTERVAL),
    Reply.RSTATR: (Cmd.RSTAT, STATUS_INTERVAL),
    Reply.ISTATR: (Cmd.ISTAT, INPUT_INTERVAL),
}
_POLL = Outgoing(Cmd.POLL, b"", "poll")


class Polling:
    """The talk with one reader, above framing and security."""

    def __init__(self, name: str, inputs: int, reports: Reports, outbox: Outbox) -> None:
        self._name = name
        self._inputs = inputs
        self.reports = reports
        self.pace = Pace()
        self._outbox = outbox
        self._outputs = Outputs()
        self._told_again = float("-inf")
        self._capabilities: dict[int, tuple[int, int]] | None = None
        self._unknown: set[Cmd] = set()
        """Questions that the reader refused in this session."""
        self._questions: deque[Cmd] = deque()
        self._ask_at: dict[Cmd, float] = {}
        self._polled_last = False
        self.owes_poll = False
        """Whether the last turn went to a question, so that a card must not wait a whole round for it, or brought
        a read and it must be seen whether more wait behind it."""
        self._extra = False
        self._polls_first = 0
        self._complained: set[str] = set()
        self.polls = 0
        self.moved: list[tuple[int, int]] = []
        """Address and speed that the reader took on by COMSET."""

    def begin(self) -> None:
        """A session stands: ask for everything once, and show the resting colour again."""
        self._questions.clear()
        self._unknown.clear()
        self._ask(Cmd.LSTAT, Cmd.RSTAT)
        if self._capabilities is None:
            self._ask(Cmd.CAP)
        else:
            self._ask_for_lines()
        self._polled_last, self._polls_first = False, POLLS_FIRST
        self._ask_at.clear()
        self._complained.clear()
        self._outbox.restore()

    def forget_device(self) -> None:
        """It may be another device the next time."""
        self._capabilities = None
        self._outputs.forget()
        self.reports.forget_inputs()

    def _ask(self, *questions: Cmd) -> None:
        self._questions.extend(q for q in questions if q not in self._questions and q not in self._unknown)

    def _ask_for_lines(self) -> None:
        """The states of the inputs and outputs that the site file and the reader both know."""
        capabilities = self._capabilities or {}
        if self._inputs > 0 and capabilities.get(Capability.CONTACTS, (0, 0))[1] > 0:
            self._ask(Cmd.ISTAT)
        if capabilities.get(Capability.OUTPUTS, (0, 0))[1] > 0:
            self._ask(Cmd.OSTAT)

    def next(self, now: float) -> Outgoing:
        """The command of this turn. Between two questions comes a poll, so a card waits for one at most."""
        waiting = self._outbox.take()
        if waiting is not None:
            self._polled_last = False
            return waiting
        # While reads fill the bus the regular questions wait: their answers are news only to a safety net.
        asking = now - QUESTIONS_WAIT if self.pace.busy else now
        self._ask(*(question for question, at in self._ask_at.items() if asking >= at))
        asks = bool(self._questions) and self._polled_last and not self._polls_first
        if asks and not self.pace.may_ask:
            self.pace.wants_to_ask = True
        elif asks:
            self.pace.asked = True
            self._polled_last, self.owes_poll = False, True
            question = self._questions.popleft()
            return Outgoing(question, messages.STANDARD_REPORT if question is Cmd.CAP else b"", "question")
        self._polled_last, self._extra, self.owes_poll = True, self.owes_poll, False
        self._polls_first = max(0, self._polls_first - 1)
        self.polls += 1
        return _POLL

    def answered(self, asked: Outgoing, asked_at: float, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        """The events of the answer to ``asked``, which was first sent at ``asked_at``."""
        if asked.relay:
            self._outputs.confirmed(asked.data, now)
            self._ask(Cmd.OSTAT)
        if code == Reply.ACK:
            if asked.code is Cmd.POLL:
                self._polls_first = 0
                self.reports.freshness.queue_empty(asked_at)
            return []
        if asked.code is Cmd.POLL:
            self.reports.freshness.polled(now)
        try:
            match code:
                case Reply.PDCAP:
                    self._capabilities = messages.parse_capabilities(data)
                    self._ask_for_lines()
                    return []
                case Reply.COM:
                    self.moved = [messages.parse_com(data)]
                    return []
                case Reply.OSTATR:
                    return self._output_status(data, asked_at, now)
            events = self.reports.understand(code, data, now)
        except MessageError as error:
            return self._complain(f"sends a malformed report: {error}", now)
        if code in (Reply.RAW, Reply.KEYPAD):
            self.owes_poll = self.reports.freshness.doubtful and not self._extra
        if code in _NEXT_QUESTION:
            question, interval = _NEXT_QUESTION[Reply(code)]
            self._ask_at[question] = now + self.pace.stretched(interval)
        return events

    def _output_status(self, states: bytes, asked_at: float, now: float) -> list[DeviceEvent]:
        """Compare with what was confirmed; what is wrong for good is reported again now and then."""
        self._ask_at[Cmd.OSTAT] = min(now + self.pace.stretched(STATUS_INTERVAL), self._outputs.next_look(now))
        events: list[DeviceEvent] = []
        for wrong in self._outputs.compare(states, asked_at, now):
            is_on, should = ("on", "off") if wrong.on else ("off", "on")
            events += self._complain(f"{wrong.line} is {is_on}, expected {should}", now)
            if wrong.lasting and not self._outbox.urgent and now >= self._told_again + STATUS_INTERVAL:
                self._told_again = now
                self._outbox.put((SwitchOff if wrong.on else SwitchOn)(Point(self._name, wrong.line)), now)
        return events

    def refused(self, asked: Outgoing, nak: int, now: float) -> list[DeviceEvent]:
        """The reader cannot or will not do it. A question is not put again; a refused output is an alarm."""
        self._ask_at.pop(asked.code, None)
        if asked.code is Cmd.CAP:
            self._capabilities = {}
        if asked.slot == "question":
            self._unknown.add(asked.code)
            return []
        code = _NAKS.get(nak, f"NAK {nak}")
        what = f"output {asked.slot}" if asked.relay else asked.slot
        return self._complain(f"refuses {asked.code.name} for its {what}: {code}", now, always=asked.relay)

    def expired(self, now: float) -> list[DeviceEvent]:
        """Alarms for relay commands that could not be sent in time and are dropped."""
        return [
            DeviceAlarm(self._name, now, f"command for {late.slot} was not sent in time and is dropped")
            for late in self._outbox.expired(now)
        ]

    def _complain(self, what: str, now: float, *, always: bool = False) -> list[DeviceEvent]:
        """An alarm, once for each session unless it is about an output: a fault of every poll is one fault."""
        if what in self._complained and not always:
            return []
        self._complained.add(what)
        return [DeviceAlarm(self._name, now, what)]
