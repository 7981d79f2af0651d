"""The technician's commands to the doors process: what ``latchctl`` asks over the control socket."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib.metadata import version
from typing import Any, TypeVar

from cache.errors import CacheError
from cache.journal.filter import EventFilter
from cache.journal.reader import JournalReader
from cache.model import Event, EventName, Record
from daemon.control.arguments import event_filter, whole_number
from daemon.control.cache_status import read_cache
from daemon.control.conversation import Call, Command, answers
from daemon.control.limits import Pace
from daemon.control.permissions import Role
from daemon.control.questions.explain import Explainer
from daemon.control.questions.question import AccessQuery
from daemon.control.reports import (
    DecisionReport,
    DoorReport,
    EventReport,
    JournalReport,
    StatusReport,
    device_report,
    door_report,
    event_report,
)
from daemon.doors import operators
from daemon.doors.controller.effects import Effects
from daemon.doors.controller.orders import DoorAction
from daemon.doors.loop import Doors
from daemon.doors.operators import DoorRequest
from daemon.errors import NotPermittedError, RequestError
from drivers.settings import parse_duration

T = TypeVar("T")

BATCH = 500
"""Events read at once, so that a long answer holds neither the file nor the memory."""

NEWEST = 50
"""Events that are shown when no number is said."""

CARD_EVERY = 1.0
"""Seconds between two questions by card number of one user."""

CARDS_WAIT = 5.0
"""Seconds that such a question waits for its turn at most; then it is refused."""

DURABLE = 2.0
"""Seconds for which an order's answer waits until the journal holds it; a disk that refuses delays only that."""


class DoorsCommands:
    """Answers the commands. Files are read in a thread of its own: the loop never waits for a technician."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors
        self._thread = ThreadPoolExecutor(1, "commands")
        self._journal = JournalReader(doors.paths.journal)
        self._lookup = doors.paths.lookup()
        self._explainer = Explainer(self._lookup, self._journal)
        self._cards = Pace(CARD_EVERY)

    def commands(self) -> Mapping[str, Command]:
        """Every command with who may give it."""
        return {
            "status": Command(Role.VIEWER, answers(self._status)),
            "events": Command(Role.VIEWER, self._events),
            "why": Command(Role.VIEWER, answers(self._why)),
            "why group": Command(Role.VIEWER, self._why_group),
            "access": Command(Role.VIEWER, self._access),
            "door": Command(Role.OPERATOR, answers(self._door)),
            "forgive": Command(Role.OPERATOR, answers(self._forgive)),
        }

    async def close(self) -> None:
        """Close the files, in the thread that opened them."""
        await self._read(self._journal.close)
        await self._read(self._lookup.close)
        self._thread.shutdown()

    def _look(self) -> None:
        """Follow a cache that was replaced, and doubt it where the doors do. In the desk's thread."""
        self._lookup.went_back = self._doors.lookup.went_back
        with suppress(CacheError):  # whoever asks next meets it again, and answers it
            self._lookup.changed()

    async def _read(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function)

    # -------------------------------------------------------------- status

    async def _status(self, _: Call) -> StatusReport:
        doors, now = self._doors, self._doors.now()
        last = doors.writer.last()
        await self._read(self._look)
        known = (doors.cache_trouble, doors.core.cache_doubt)
        cache, sync = await self._read(lambda: read_cache(self._lookup, now, *known))
        return StatusReport(
            site=doors.site.name,
            version=version("latchd"),
            running=True,
            clock=now.quality.value,
            cache=cache,
            sync=sync,
            journal=JournalReport(last.sequence if last is not None else 0, doors.journal_alarm),
            doors=tuple(door_report(door, now) for door in doors.controller.doors.values()),
            devices=tuple(device_report(bus, status) for bus, status in doors.hardware.status()),
            slowest_turn=round(doors.lag.worst, 6),
            lag=round(doors.lag.recent(now.monotonic), 6),
        )

    # -------------------------------------------------------------- events

    async def _events(self, call: Call) -> AsyncGenerator[EventReport, None]:
        """The newest ``count`` events, oldest first, or all after ``after``; with ``follow`` for ever."""
        arguments = call.request.arguments
        wanted = event_filter(arguments)
        after, records = await self._read(lambda: self._start(arguments, wanted))
        for record in records:
            yield event_report(record)
        fresh = asyncio.Event()
        stop = self._doors.listen(fresh.set)
        try:
            while True:
                fresh.clear()
                batch = await self._read(functools.partial(self._journal.events, after, BATCH, wanted))
                for record in batch:
                    yield event_report(record)
                    after = record.sequence
                if len(batch) < BATCH:
                    if not arguments.get("follow"):
                        return
                    await fresh.wait()
        finally:
            stop()

    def _start(self, arguments: Mapping[str, Any], wanted: EventFilter) -> tuple[int, list[Record]]:
        """After which record to go on, and the records to show before."""
        after = whole_number(arguments, "after", None)
        if after is not None:
            return after, []
        last = self._journal.last()
        count = min(whole_number(arguments, "count", NEWEST), BATCH)
        records = self._journal.latest(count, wanted) if count > 0 else []
        newest = records[-1].sequence if records else 0
        return max(newest, last.sequence if last is not None else 0), records

    # -------------------------------------------------------------- why, and who may pass

    async def _why(self, call: Call) -> DecisionReport:
        """What would be decided for a card or a person at a reader, at an instant."""
        if call.request.arguments.get("card") is not None:
            return await self._why_card(call)
        question = self._question(call)
        await self._read(self._look)
        return await self._read(functools.partial(question.decision, self._explainer))

    async def _why_card(self, call: Call) -> DecisionReport:
        """Say whose a card is: an operator's act, on record, one a second for each user.

        Otherwise whoever may look could try all numbers of a facility in minutes, and write them on blank cards.
        """
        peer = call.peer
        if peer.role < Role.OPERATOR:
            raise NotPermittedError(f"the user {peer.user} may not ask by card, operators may; ask with --person")
        if self._cards.wait(peer.uid, time.monotonic()) > CARDS_WAIT:
            raise RequestError("one card a second for each user, and too many wait already; ask one by one")
        await asyncio.sleep(self._cards.turn(peer.uid, time.monotonic()))
        outcome, report = "refused", None
        try:
            question = self._question(call)
            await self._read(self._look)
            report = await self._read(functools.partial(question.decision, self._explainer))
            outcome = report.outcome
        finally:
            words = (("name", peer.user), ("action", "why.card"), ("outcome", outcome))
            event = Event(
                EventName.OPERATOR,
                reader=report.reader if report is not None else None,
                person=report.person if report is not None else None,
                detail=words,
            )
            self._doors.act(Effects(events=(event,)), self._doors.now())
        await self._durable()
        return report

    def _why_group(self, call: Call) -> AsyncGenerator[object, None]:
        """The same for every member of an access group, a chunk of people an item."""
        return self._chunks(self._question(call).group_decisions(self._explainer))

    def _access(self, call: Call) -> AsyncGenerator[object, None]:
        """Who may pass a door, or which doors a person may pass, a chunk of paths and people an item."""
        return self._chunks(self._question(call).access(self._explainer))

    def _question(self, call: Call) -> AccessQuery:
        doors = self._doors
        return AccessQuery(call.request.arguments, doors.controller, doors.site.formats, doors.now(), running=True)

    async def _chunks(self, chunks: Iterator[object]) -> AsyncGenerator[object, None]:
        """Each chunk is worked out in the commands' thread when the one before is on its way: nothing piles up."""
        await self._read(self._look)
        while (chunk := await self._read(lambda: next(chunks, None))) is not None:
            yield chunk

    # -------------------------------------------------------------- operators

    async def _door(self, call: Call) -> tuple[DoorReport, ...]:
        """Order something for one door or for all; each order is recorded with the user of the socket."""
        doors = self._doors
        request = door_request(call.request.arguments, call.peer.user)
        with _refused():
            operators.order_doors(doors, request, doors.now())
        durable = await self._durable()
        return tuple(
            replace(door_report(door, doors.now()), durable=durable) for door in doors.controller.doors.values()
        )

    async def _forgive(self, call: Call) -> None:
        """Forget where a person is, or all people in an area: the next entry is not an anti-passback violation."""
        person, area = call.request.arguments.get("person"), call.request.arguments.get("area")
        await self._read(self._look)
        doors, actor = self._doors, call.peer.user
        known = area is not None or await self._read(lambda: self._lookup.person(str(person))) is not None
        with _refused():
            if area is None:
                operators.forgive_person(doors, actor, str(person), known, doors.now())
            else:
                operators.forgive_area(doors, actor, str(area), doors.now())
        await self._durable()

    async def _durable(self) -> bool:
        """Wait until what was ordered, and carried out, survives a power cut; false when the disk refuses."""
        return await self._read(functools.partial(self._doors.writer.flush, DURABLE))


@contextmanager
def _refused() -> Iterator[None]:
    """What cannot be ordered is the asker's fault, in the same words."""
    try:
        yield
    except ValueError as error:
        raise RequestError(str(error)) from None


def door_request(arguments: Mapping[str, Any], actor: str) -> DoorRequest:
    """The order that the arguments of a request mean. ``RequestError``: none."""
    try:
        action = DoorAction(str(arguments.get("action", "")))
        length = arguments.get("for")
        seconds = None if length is None else parse_duration(length)
    except ValueError as error:
        raise RequestError(f"door: {error}") from None
    reason, edge = str(arguments.get("because") or "")[:500], bool(arguments.get("until_edge"))
    return DoorRequest(actor, action, str(arguments.get("door", "")), seconds, edge, reason)
