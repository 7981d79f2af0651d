"""What is said to a reader that is in service, and what its answers mean: polls, questions, commands."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection

from drivers.events import DeviceAlarm, DeviceEvent, Point, SwitchOff, SwitchOn
from drivers.osdp import messages
from drivers.osdp.messages import Capability, Cmd, MessageError, NakCode, Reply
from drivers.osdp.outputs import Outputs
from drivers.osdp.profiles import Quirks
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

UNWATCHED_AFTER = 3.0
"""Seconds after a refusal in which a reader may report its inputs unasked."""
NEVER_EMPTY = 4
"""Polls in a row answered with a status without news after which a reader is taken to answer all of them so."""
ENDS = 3
"""How often in a row a light or a question may end the session until it is not sent any more."""
FEEDBACK = (Cmd.LED, Cmd.BUZ, Cmd.TEXT)

_NAKS = {code.value: code.name.lower().replace("_", " ") for code in NakCode}
_NEXT_QUESTION = {
    Reply.LSTATR: (Cmd.LSTAT, STATUS_INTERVAL),
    Reply.RSTATR: (Cmd.RSTAT, STATUS_INTERVAL),
    Reply.ISTATR: (Cmd.ISTAT, INPUT_INTERVAL),
}
_POLL = Outgoing(Cmd.POLL, b"", "poll")


class Polling:
    """The talk with one reader, above framing and security."""

    def __init__(
        self,
        name: str,
        inputs: int,
        reports: Reports,
        outbox: Outbox,
        quirks: Quirks,
        in_use: Collection[str] | None,
    ) -> None:
        self._name = name
        self._quirks = quirks
        self._in_use = in_use
        self._inputs = inputs
        self._watched = [f"in{n}" for n in range(inputs) if in_use is None or f"in{n}" in in_use]
        """Inputs that a door may hang on."""
        self._unwatched_at = float("inf")
        """When it is an alarm that nothing is known of them."""
        self._unchanged = 0
        """Polls in a row that brought a status without news, and never an empty answer."""
        self._ends: Counter[Cmd] = Counter()
        """How often in a row each command ended its session."""
        self.reports = reports
        self.pace = Pace()
        self._outbox = outbox
        self._outputs = Outputs()
        self._told_again = float("-inf")
        self._capabilities: dict[int, tuple[int, int]] | None = None
        self._unknown: set[Cmd] = set()
        """Questions that this device refuses."""
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
        if self._capabilities is None:
            self._ask(Cmd.CAP, Cmd.LSTAT, Cmd.RSTAT)
        else:
            self._ask_for_lines()
            self._ask(Cmd.LSTAT, Cmd.RSTAT)
        self._polled_last, self._polls_first = False, POLLS_FIRST
        self._ask_at.clear()
        self._outbox.restore()

    def forget_device(self, *, same: bool) -> None:
        """It is back, with its lines in any state; unless it is the ``same`` device, nothing of it is known."""
        self._capabilities = None
        self._outputs.forget()
        self.reports.forget_inputs()
        self._complained.clear()
        self._unwatched_at = float("inf")
        if not same:
            self._unknown.clear()
            self._ends.clear()
            self._quirks.forget()
            self._outbox.accept_all(self._quirks.profile.lacks)

    def _ask(self, *questions: Cmd) -> None:
        self._questions.extend(q for q in questions if q not in self._questions and q not in self._unknown)

    def _ask_for_lines(self) -> None:
        """The states of the inputs and outputs. An input that is in use is asked for whatever the reader says."""
        capabilities = self._capabilities or {}
        contacts = capabilities.get(Capability.CONTACTS)
        says_none = contacts is not None and contacts[1] == 0
        if self._inputs > 0 and not says_none:
            self._ask(Cmd.ISTAT)
        elif self._in_use is not None:
            self._unwatched_at = float("-inf")
        if capabilities.get(Capability.OUTPUTS, (0, 0))[1] > 0:
            self._ask(Cmd.OSTAT)

    def next(self, now: float) -> Outgoing:
        """The command of this turn. Between two questions comes a poll, so a card waits for one at most."""
        waiting = self._outbox.take(now, busy=self.pace.busy)
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
        self._ends.pop(asked.code, None)
        if asked.relay:
            self._outputs.confirmed(asked.data, now)
            self._ask(Cmd.OSTAT)
            return self._beyond(asked.data[0], now)
        if code == Reply.ACK:
            return self._acknowledged(asked.code, asked_at, now)
        if asked.code is Cmd.POLL:
            self.reports.freshness.polled(now)
        try:
            match code:
                case Reply.PDCAP:
                    return self._capable(data, now)
                case Reply.COM:
                    self.moved = [messages.parse_com(data)]
                    return []
                case Reply.OSTATR:
                    return self._output_status(data, asked_at, now)
            events = self.reports.understand(code, data, now)
        except MessageError as error:
            return self._complain(f"sends a malformed report: {error}", now)
        if asked.code is Cmd.POLL and code in _NEXT_QUESTION:
            self._status_only(asked_at, news=bool(events))
        if code == Reply.ISTATR:
            self._unwatched_at = now  # it may tell too few of them
            events += self._unwatched(now)
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
            self._ask_for_lines()
        if asked.code is Cmd.ISTAT:
            self._unwatched_at = min(self._unwatched_at, now + UNWATCHED_AFTER)
        if asked.slot == "question":
            self._unknown.add(asked.code)
            return []
        if asked.code in FEEDBACK and nak == NakCode.UNKNOWN_COMMAND:
            self._outbox.refuse(asked.code)
        code = _NAKS.get(nak, f"NAK {nak}")
        what = f"output {asked.slot}" if asked.relay else asked.slot
        return self._complain(f"refuses {asked.code.name} for its {what}: {code}", now, always=asked.relay)

    def _acknowledged(self, asked: Cmd, asked_at: float, now: float) -> list[DeviceEvent]:
        if asked is Cmd.POLL:
            self._polls_first = self._unchanged = 0
            self.reports.freshness.queue_empty(asked_at)
            return self._unwatched(now)
        if asked is Cmd.ISTAT:
            self._unwatched_at = min(self._unwatched_at, now + UNWATCHED_AFTER)
        return []

    def _capable(self, data: bytes, now: float) -> list[DeviceEvent]:
        """PDCAP, 7.5. What it does not say, or says in a way that cannot be understood, is asked for all the
        same."""
        try:
            self._capabilities = messages.parse_capabilities(data)
        except MessageError:
            self._capabilities = {}
            raise
        finally:
            self._ask_for_lines()
        used = [line for line in self._in_use or () if line.startswith("out")]
        return [event for line in sorted(used) for event in self._beyond(int(line[3:]), now)]

    def _beyond(self, output: int, now: float) -> list[DeviceEvent]:
        """An alarm for an output in use that the reader has not, by its own word: some acknowledge it all the
        same."""
        count = (self._capabilities or {}).get(Capability.OUTPUTS, (0, output + 1))[1]
        if output < count:
            return []
        what = f"has {count} outputs, as it says; out{output} is used: compare the site file"
        return self._complain(what, now)

    def _unwatched(self, now: float) -> list[DeviceEvent]:
        """An alarm for inputs in use of which nothing is known: a door contact there is not watched."""
        if now < self._unwatched_at:
            return []
        self._unwatched_at = float("inf")
        missing = [line for line in self._watched if not self.reports.knows(line)]
        if not missing or (self._in_use is None and len(missing) < len(self._watched)):
            return []
        what = f"does not tell the state of {', '.join(missing)}: what hangs on it is not watched"
        return self._complain(what, now)

    def _status_only(self, asked_at: float, *, news: bool) -> None:
        """A poll brought a status. Where that is what it always brings, one without news means an empty queue."""
        self._unchanged = 0 if news else self._unchanged + 1
        if self._unchanged >= NEVER_EMPTY:
            self._quirks.learn("never_empty")
        if self._quirks.never_empty and not news:
            self.reports.freshness.queue_empty(asked_at)

    def ended_by(self, outgoing: Outgoing, now: float) -> list[DeviceEvent]:
        """The session ended over this command. One that always ends it is not sent to this device any more."""
        if outgoing.code not in FEEDBACK and outgoing.slot != "question":
            return []
        self._ends[outgoing.code] += 1
        if self._ends[outgoing.code] < ENDS:
            return []
        self._unknown.add(outgoing.code)
        self._outbox.refuse(outgoing.code)
        if outgoing.code is Cmd.CAP:
            self._capabilities = {}
        if outgoing.code is Cmd.ISTAT:
            self._unwatched_at = now + UNWATCHED_AFTER
        return self._complain(f"quirk: ends its session over {outgoing.code.name}; it is not sent any more", now)

    def expired(self, now: float) -> list[DeviceEvent]:
        """Alarms for relay commands that could not be sent in time and are dropped."""
        return [
            DeviceAlarm(self._name, now, f"command for {late.slot} was not sent in time and is dropped")
            for late in self._outbox.expired(now)
        ]

    def _complain(self, what: str, now: float, *, always: bool = False) -> list[DeviceEvent]:
        """An alarm, once while the device is online unless it is about an output: a fault of every poll is one."""
        if what in self._complained and not always:
            return []
        self._complained.add(what)
        return [DeviceAlarm(self._name, now, what)]
