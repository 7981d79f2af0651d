"""The technician's commands to the sync process: ``latchctl sync …`` over its control socket."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from daemon.control.conversation import Call, Command, answers
from daemon.control.permissions import Role
from daemon.errors import ControlError
from daemon.scim.card_explain import CardExplanation
from daemon.scim.exchange import OutageError
from daemon.sync.outcome import HeldBack, SyncStatus
from daemon.sync.scheduler import SyncLoop

T = TypeVar("T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a running sync is reading, and how many of it so far."""

    what: str
    count: int


@dataclass(frozen=True, slots=True)
class Done:
    """What an operator's command led to."""

    text: str
    generation: int


class SyncCommands:
    """Answers the commands. Everything that reads or writes a file or the network runs in a thread."""

    def __init__(self, syncing: SyncLoop) -> None:
        self._syncing = syncing
        self._service = syncing.service

    def commands(self) -> Mapping[str, Command]:
        """Every command with who may give it."""
        return {
            "sync status": Command(Role.VIEWER, answers(self._status)),
            "sync diff": Command(Role.VIEWER, answers(self._diff)),
            "sync cards": Command(Role.OPERATOR, answers(self._cards)),
            "sync now": Command(Role.OPERATOR, self._now),
            "sync accept": Command(Role.OPERATOR, answers(self._accept)),
            "sync reject": Command(Role.OPERATOR, answers(self._reject)),
            "sync undo": Command(Role.OPERATOR, answers(self._undo)),
            "sync rollback": Command(Role.OPERATOR, answers(self._rollback)),
            "sync resume": Command(Role.OPERATOR, answers(self._resume)),
            "sync disconnect": Command(Role.OPERATOR, answers(self._disconnect)),
        }

    async def _status(self, _: Call) -> SyncStatus:
        return await asyncio.to_thread(self._service.status)

    async def _now(self, call: Call) -> AsyncGenerator[object, None]:
        """Progress as it comes, then the outcome."""
        loop, queue = asyncio.get_running_loop(), asyncio.Queue[Progress]()

        def tell(what: str, count: int) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, Progress(what, count))

        running = asyncio.create_task(self._syncing.now(bool(call.request.arguments.get("dry_run")), tell))
        while not running.done():
            following = asyncio.create_task(queue.get())
            await asyncio.wait((running, following), return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                yield {"progress": following.result()}
            else:
                following.cancel()
        yield {"outcome": await running}

    async def _diff(self, _: Call) -> HeldBack | None:
        return (await asyncio.to_thread(self._service.status)).quarantine

    async def _cards(self, call: Call) -> CardExplanation:
        person: Any = call.request.arguments.get("person")
        if not isinstance(person, str) or not person.strip():
            raise ControlError("expected a person: an id, userName or externalId of the directory")
        try:
            return await _act(call, lambda: self._service.explain_cards(person.strip()))
        except OutageError as error:
            raise ControlError(f"the directory cannot be read: {error}") from None

    async def _accept(self, call: Call) -> Done:
        token = _token(call)
        generation = await _act(call, lambda: self._service.accept(token, call.peer.user))
        return Done("accepted: the quarantined changes were applied", generation)

    async def _reject(self, call: Call) -> Done:
        token = _token(call)
        await _act(call, lambda: self._service.reject(token))
        words = "rejected: the quarantined changes were discarded; current data is kept"
        return Done(words, self._service.store.generation)

    async def _undo(self, call: Call) -> Done:
        generation = await _act(call, lambda: self._service.undo(call.peer.user))
        return Done(
            "undone: the people of the last mass deactivation are active again, and stay so until the directory "
            "says otherwise or you accept it",
            generation,
        )

    async def _rollback(self, call: Call) -> Done:
        generation = call.request.arguments.get("generation")
        if generation is None:
            earlier = await asyncio.to_thread(self._service.store.generations)
            generation = next((one.number for one in earlier if one.restorable), None)
        if not isinstance(generation, int):
            raise ControlError("there is no generation to go back to: latchctl sync status lists them")
        restored = await _act(call, lambda: self._service.rollback(generation, call.peer.user))
        return Done(
            f"generation {generation} is restored; syncing is on hold until `latchctl sync resume`", restored
        )

    async def _resume(self, call: Call) -> Done:
        await _act(call, self._service.resume)
        return Done("syncing continues", self._service.store.generation)

    async def _disconnect(self, call: Call) -> Done:
        reason = str(call.request.arguments.get("reason") or "")
        generation = await _act(call, lambda: self._service.disconnect(call.peer.user, reason))
        return Done("every SCIM access group is deleted; syncing is on hold", generation)


def _token(call: Call) -> str:
    token: Any = call.request.arguments.get("token")
    if not isinstance(token, str) or not token:
        raise ControlError("missing TOKEN: get it from `latchctl sync diff`")
    return token


async def _act(call: Call, function: Callable[[], T]) -> T:
    """Do it, and log who ordered it: this process writes no journal."""
    done = await asyncio.to_thread(function)
    log.info("operator %s: %s", call.peer.user, call.request.command)
    return done
