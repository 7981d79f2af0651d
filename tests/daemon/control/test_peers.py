"""Whose connection it is: asked outside the loop, remembered, and what happens while the user database is slow."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Iterator

import pytest

from daemon.control import peers
from daemon.control.peers import Peers
from daemon.control.permissions import Peer, Permissions, Role
from daemon.errors import ControlError

USER = 54_321


class Slow(Permissions):
    """A user database on a server that may not answer."""

    answers = threading.Event()
    role_now = Role.OPERATOR
    asked = 0

    def peer(self, uid: int, gid: int) -> Peer:
        """Wait for the server."""
        Slow.asked += 1
        assert self.answers.wait(20)
        return Peer("anna", Slow.role_now, uid)


@pytest.fixture
def slow() -> Iterator[Slow]:
    """One that answers; its answers are waited for at the end."""
    Slow.answers, Slow.role_now, Slow.asked = threading.Event(), Role.OPERATOR, 0
    Slow.answers.set()
    yield Slow((), ())
    Slow.answers.set()


def test_one_question_for_all_connections_of_a_user_and_none_for_a_while(slow: Slow) -> None:
    async def scenario() -> None:
        users = Peers(slow)
        found = await asyncio.gather(*(users.find(USER, 1) for _ in range(50)))
        assert {peer.user for peer in found} == {"anna"}
        assert users.fresh(USER, 1) == found[0]
        await users.find(USER, 1)
        assert Slow.asked == 1
        users.close()

    asyncio.run(scenario())


def test_the_loop_turns_while_the_user_database_is_waited_for(slow: Slow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "WAIT", 0.2)
    Slow.answers.clear()

    async def scenario() -> int:
        users, turns = Peers(slow), 0
        asking = asyncio.create_task(users.find(USER, 1))
        while not asking.done():
            turns += 1
            await asyncio.sleep(0.001)
        with pytest.raises(ControlError, match="did not answer within"):
            await asking
        Slow.answers.set()
        users.close()
        return turns

    assert asyncio.run(scenario()) > 10


def test_a_right_that_is_known_is_not_lost_while_the_user_database_is_silent(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "FRESH", 0.0)
    monkeypatch.setattr(peers, "WAIT_KNOWN", 0.05)

    async def scenario() -> None:
        users = Peers(slow)
        assert (await users.find(USER, 1)).role is Role.OPERATOR
        Slow.answers.clear()
        begin = time.monotonic()
        assert (await users.find(USER, 1)).role is Role.OPERATOR
        assert time.monotonic() - begin < 5
        assert (await users.find(0, 0)).role is Role.OPERATOR, "root waits for no one"
        Slow.role_now = Role.NONE
        Slow.answers.set()
        for _ in range(2):  # the first may still be the answer from before
            last = await users.find(USER, 1)
        assert last.role is Role.NONE
        assert users.trusted(USER, 1) is None, "a right that was taken away is gone"
        users.close()

    asyncio.run(asyncio.wait_for(scenario(), 20))


def test_users_without_a_right_do_not_push_out_those_who_have_one(
    slow: Slow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peers, "REMEMBERED", 4)

    async def scenario() -> None:
        users = Peers(slow)
        await users.find(USER, 1)
        Slow.role_now = Role.NONE
        for uid in range(60_000, 60_020):
            await users.find(uid, 1)
        assert users.fresh(USER, 1) is not None
        assert users.fresh(60_000, 1) is None
        assert users.trusted(os.getuid(), 1) is not None
        users.close()

    asyncio.run(scenario())
