"""One board on a bus: found, checked, its outputs put right and verified, its inputs polled, lost and found again.

A board is *reachable* once it answers what no loop can answer, and *online* once its settings are checked,
every output is written and read back, and every input is known. Only then is it reported, with all its inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from drivers.events import (
    DeviceAlarm,
    DeviceEvent,
    DeviceOffline,
    DeviceOnline,
    InputChanged,
    InputState,
    Point,
    Pulse,
    SwitchOff,
    SwitchOn,
)
from drivers.modbus.codec import Answer, Function, Request
from drivers.modbus.outputs import OutputBank, Write
from drivers.modbus.profile import Profile, Setting
from drivers.modbus.transactions import Done

FAILURES_TO_OFFLINE = 3
"""Requests in a row without an answer; one alone is noise."""
PROBE = 0.5
"""Seconds between questions to a board that does not answer: its outputs are right within 1 s of its return."""
PROBE_UNSEEN = 2.0
"""The same for a board that never answered since the start: probably not there."""
READ_BACK = 0.5
"""Seconds between read-backs of outputs that were not switched: finds a board that lost power for a moment."""
REFUSED = 0.5
"""Seconds before a question that the board refused is put again."""
OWED = 0.3
PROBE_OWED = 0.35
"""Seconds for one round of writes to a board that is not heard, and from one round to the next: with the read in
between each output is written within a second of the first request that the board hears."""
SHORTEST_WAIT = 0.04
"""Seconds for the answer to one of them; it is welcome, and no more."""
_NOT_THERE = (0x0A, 0x0B)
"""A gateway's "path unavailable" and "target device failed to respond" (section 7): silence of the board."""

Proves = Callable[[Request], bool]
"""Whether a good answer to the request could be no late reply: ``Line.proves``."""


@dataclass(frozen=True, slots=True)
class Job:
    """A request and what it is for."""

    request: Request
    due: float
    write: Write | None = None
    setting: Setting | None = None
    wait: float | None = None
    """Seconds to wait for the answer, if less than usual."""


class Board:
    """``next_job`` is asked whenever the line is free; ``done`` gets the result."""

    def __init__(self, name: str, unit: int, profile: Profile, poll: float) -> None:
        """``poll`` is the seconds from one look at the inputs to the next."""
        self.name = name
        self.profile = profile
        self.unit = unit
        self.outputs = OutputBank(name, unit, profile.outputs) if profile.outputs else None
        self.reachable = False
        self.online = False
        self.why = "not yet asked"
        self.answers = self.faults = 0
        self._poll = poll
        self._seen = False
        self._told_offline = False
        self._ending = False
        self._failures = 0
        self._round = 1
        self._last_round = 0
        self._probe_at = self._read_at = self._look_at = 0.0
        self._settings: list[Setting] = []
        self._settings_at = 0.0
        self._repairing = self._repaired = False
        self._inputs: list[InputState] = []
        self._complaints: set[str] = set()
        self._dropped: set[str] = set()

    # -------------------------------------------------------------- commands

    def command(self, command: Pulse | SwitchOn | SwitchOff, now: float) -> list[DeviceEvent]:
        """Want something of an output. A pulse for a board that is away is dropped: it would come late."""
        assert self.outputs is not None
        if self._ending:
            return []
        events: list[DeviceEvent] = []
        if isinstance(command, Pulse) and not self.reachable:
            line = command.point.line
            if line not in self._dropped:
                self._dropped.add(line)
                what = f"{line}: pulses are dropped until the board answers; a door that they are for stays locked"
                events.append(DeviceAlarm(self.name, now, what))
            command = SwitchOff(command.point)
        self.outputs.command(command, now)
        return events

    def end(self, now: float) -> None:
        """Switch everything off for good; nothing else is asked any more."""
        self._ending = True
        self._last_round = self._round + 1
        self._round += 1
        if self.outputs is not None:
            self.outputs.all_off(now)

    def ended(self, now: float) -> bool:
        """After ``end``: all is off and read back as off, or a board that is not heard was written once."""
        if self.outputs is None or (self.reachable and self.outputs.settled):
            return True
        return not self.reachable and not (self._seen and self.outputs.owed(self._last_round, now))

    def text(self, now: float) -> str:
        """One line for a technician."""
        words = [f"unit {self.unit}", self.profile.name]
        if self.why:
            words.append(self.why)
        if self.outputs is not None and (on := self.outputs.on(now)):
            words.append("on: " + " ".join(on))
        words.append(f"{self.answers} answers, {self.faults} without")
        return ", ".join(words)

    # -------------------------------------------------------------- what to ask next

    def urgent(self, now: float, buffered: bool) -> Job | None:
        """A relay command, before everything else on the bus.

        What is ``buffered`` on its way may be carried out when the other side wakes up: after one request without
        an answer nothing is switched on there until an answer has come.
        """
        if self.outputs is None or not self.reachable:
            return None
        write = self.outputs.next_write(now)
        if write is None or (write.on and buffered and self._failures):
            return None
        return Job(write.request, write.asked_at, write=write)

    def sent(self, job: Job, now: float) -> None:
        """Note that the job is on its way."""
        if job.write is not None and self.outputs is not None:
            self.outputs.sent(job.write, self._round, now)

    def verifying(self) -> bool:
        """Whether a write waits for its read-back."""
        return self.reachable and self.outputs is not None and self.outputs.written and not self.outputs.settled

    def next_job(self, proves: Proves, now: float) -> Job | None:
        """What is due first. A question that a late reply might answer is replaced by one it cannot."""
        if not self.reachable and (owed := self._owed(now)):
            return owed
        probes = self._probes(now)
        jobs = self._jobs() if self.reachable else probes
        if not jobs:
            return None
        first = jobs[0].due
        for job in jobs + probes:
            if proves(job.request):
                return replace(job, due=first)
        return None

    def deadline(self) -> float | None:
        """When time alone changes something: a pulse that is timed by the driver ends."""
        return None if self.outputs is None else self.outputs.deadline()

    def write_due(self) -> float | None:
        """When the next write may be sent."""
        return self.outputs.write_due() if self.reachable and self.outputs is not None else None

    def handle_deadline(self, now: float) -> list[DeviceEvent]:
        """Time has passed."""
        return [] if self.outputs is None else self.outputs.handle_deadline(now)

    def _owed(self, now: float) -> Job | None:
        """What must go off is written, answered or not: a board may hear and not be heard."""
        if self.outputs is None or not self._seen:
            return None
        writes = self.outputs.owed(self._round, now)
        if not writes:
            return None
        wait = max(SHORTEST_WAIT, OWED / max(len(writes), self.outputs.owed_count(now)))
        return Job(writes[0].request, self._probe_at, write=writes[0], wait=wait)

    def _jobs(self) -> list[Job]:
        if self.verifying() and (read := self._read_outputs()):
            return [Job(read, self._read_at)]
        jobs = [Job(self._setting_request(one), self._settings_at, setting=one) for one in self._settings[:1]]
        if read := self._read_outputs():
            jobs.append(Job(read, self._read_at))
        if not self._ending and (look := self._read_inputs()):
            jobs.append(Job(look, self._look_at))
        if not jobs and not self._ending:  # nothing to read: is it still there?
            jobs.append(Job(self._any_register(), self._look_at))
        return sorted(jobs, key=lambda job: job.due)

    def _probes(self, now: float) -> list[Job]:
        """Questions that differ in their replies, so that one of them is always safe to put.

        What outputs are to be anyway is written too, but only to a board that was seen: an adapter that hears
        itself, and was not reported, would answer for one that is not there.
        """
        reads = (self._read_inputs(), self._read_outputs(), self._any_register(), self._any_register(inputs=True))
        jobs = [Job(request, self._probe_at) for request in reads if request is not None]
        if self.outputs is not None and self._seen:
            writes = self.outputs.idle_writes(now)
            jobs[-2:-2] = [Job(write.request, self._probe_at, write=write) for write in writes]
        return jobs

    def _read_inputs(self) -> Request | None:
        inputs = self.profile.inputs
        if inputs is None:
            return None
        count = inputs.words if inputs.of_registers else inputs.count
        return Request(self.unit, inputs.area.read, inputs.address, count)

    def _read_outputs(self) -> Request | None:
        return None if self.outputs is None else self.outputs.read_request()

    def _any_register(self, *, inputs: bool = False) -> Request:
        """Every board answers this, if only with an exception."""
        function = Function.READ_INPUT_REGISTERS if inputs else Function.READ_HOLDING_REGISTERS
        return Request(self.unit, function, 0, 1)

    def _setting_request(self, setting: Setting) -> Request:
        if not self._repairing:
            return Request(self.unit, Function.READ_HOLDING_REGISTERS, setting.address, setting.count)
        function = Function.WRITE_REGISTER if setting.count == 1 else Function.WRITE_REGISTERS
        return Request(self.unit, function, setting.address, values=(setting.value,) * setting.count)

    # -------------------------------------------------------------- what came of it

    def done(self, job: Job, done: Done) -> list[DeviceEvent]:
        """A request of this board is over."""
        if done.answer is None:
            return self._failed(job, done, str(done.fault))
        if done.answer.exception in _NOT_THERE:
            code = done.answer.exception
            return self._failed(job, done, f"the gateway says that it does not find it, exception {code}")
        self.answers += 1
        if job.request.is_read or done.answer.exception:
            self._failures = 0
        elif not self.reachable:
            # A loop answers a write as a board does. What was written is written again once a read proves a board.
            self._probe_at = done.at
            return []
        if job.request == self._any_register() and job.setting is None and self.profile.inputs is None:
            self._look_at = done.at + READ_BACK
        if not self.reachable:
            self._found(done.at)
            if job.write is None:
                return []
        if done.answer.exception:
            events = self._refused(job, done.answer.exception, done.at)
        else:
            events = self._told(job, done, done.answer)
        return events + self._maybe_online(done.at)

    def lost(self, now: float, why: str) -> list[DeviceEvent]:
        """The board, or the port before it, is gone. What is wanted of the outputs stays as it is."""
        tell = self.online or not self._told_offline
        self.reachable = self.online = False
        self.why = why
        self._told_offline = True
        self._failures = 0
        self._inputs = []
        events: list[DeviceEvent] = [DeviceOffline(self.name, now, why)] if tell else []
        return events + (self.outputs.lost(now) if self.outputs is not None else [])

    def ask_soon(self, now: float) -> None:
        """The port is new: look for the board at once."""
        self._probe_at = now

    def _found(self, now: float) -> None:
        self.reachable = self._seen = True
        self.why = "starting"
        self._settings = list(self.profile.setting)
        self._settings_at = self._read_at = self._look_at = now
        self._repairing = self._repaired = False
        self._complaints = set()
        self._dropped = set()
        self._inputs = []

    def _failed(self, job: Job, done: Done, why: str) -> list[DeviceEvent]:
        self.faults += 1
        self._failures += 1
        if done.late is not None:
            why = f"it answers after {done.late:.2f} s: raise reply_timeout of the bus"
        if self._failures < FAILURES_TO_OFFLINE and not self._told_offline:
            self._probe_at = done.at
            return []
        if job.wait is not None and not self.reachable:
            self._probe_at = done.at  # the round goes on
        else:
            self._probe_at = done.at + self._pause(done.at)
            self._round += 1
        if not self.reachable and self._told_offline:
            self.why = f"unit {self.unit} does not answer ({why})"
            return []
        return self.lost(done.at, f"unit {self.unit} does not answer ({why})")

    def _pause(self, now: float) -> float:
        if not self._seen:
            return PROBE_UNSEEN
        return PROBE_OWED if self.outputs is not None and self.outputs.owed_count(now) else PROBE

    def _refused(self, job: Job, code: int, now: float) -> list[DeviceEvent]:
        if job.write is not None and self.outputs is not None:
            return self.outputs.refused(job.write, code, now)
        if job.setting is not None:
            self._next_setting()
            return self._complain(f"{job.setting.what}: the board refuses (exception {code})", now)
        if job.request == self._read_outputs():
            self._read_at = now + REFUSED
            return self._complain(f"the board refuses to read its outputs back (exception {code})", now)
        if job.request == self._read_inputs():
            self._look_at = now + REFUSED
            return self._complain(f"the board refuses to tell its inputs (exception {code})", now)
        return []

    def _told(self, job: Job, done: Done, answer: Answer) -> list[DeviceEvent]:
        if job.write is not None and self.outputs is not None:
            self.outputs.wrote(job.write, done.at)
            self._read_at = done.at
            return []
        if job.setting is not None:
            return self._setting_told(job.setting, job.request, answer, done.at)
        if self.outputs is not None and job.request == self._read_outputs():
            self._read_at = done.at + READ_BACK
            return self.outputs.read(answer.values, done.sent_at, done.at)
        if self.profile.inputs is not None and job.request == self._read_inputs():
            # Counted from the sending: what the bus takes is not added to the interval.
            self._look_at = done.sent_at + self._poll
            return self._inputs_told(self.profile.inputs.states(answer.values), done.at)
        return []

    def _inputs_told(self, states: list[InputState], now: float) -> list[DeviceEvent]:
        before, self._inputs = self._inputs, states
        if not self.online:
            return []
        return [self._input(n, now) for n, state in enumerate(states) if state is not before[n]]

    def _setting_told(self, setting: Setting, request: Request, answer: Answer, now: float) -> list[DeviceEvent]:
        if not request.is_read:
            self._repairing, self._repaired = False, True
            return []
        if all(value == setting.value for value in answer.values):
            self._next_setting()
            return []
        found = f"{setting.what}: registers from {setting.address} read {list(answer.values)}"
        if setting.write and not self._repaired:
            self._repairing = True
            return self._complain(f"{found}, are set to {setting.value}", now)
        self._next_setting()
        return self._complain(f"{found}, expected {setting.value}", now)

    def _next_setting(self) -> None:
        self._settings.pop(0)
        self._repairing = self._repaired = False

    def _complain(self, what: str, now: float) -> list[DeviceEvent]:
        """Once each time the board is found."""
        if what in self._complaints:
            return []
        self._complaints.add(what)
        return [DeviceAlarm(self.name, now, f"{what}; check the profile {self.profile.name}")]

    def _maybe_online(self, now: float) -> list[DeviceEvent]:
        ready = not self._settings and (self.outputs is None or self.outputs.settled)
        if self.online or self._ending or not ready or (self.profile.inputs and not self._inputs):
            return []
        self.online = True
        self.why = ""
        self._told_offline = False
        events: list[DeviceEvent] = [DeviceOnline(self.name, now, identity=self.profile.name)]
        return events + [self._input(n, now) for n in range(len(self._inputs))]

    def _input(self, index: int, now: float) -> InputChanged:
        return InputChanged(Point(self.name, f"in{index + 1}"), self._inputs[index], now)
