"""When the next sync is: delays, and the loop against a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.directory.store import Store
from daemon.sync.outcome import SyncOutcome, SyncResult
from daemon.sync.scheduler import CEILING, FIRST_DELAY, JITTER, SyncLoop, delay_after
from tests.peers.scim_server import running_scim_server
from tests.peers.scim_site import sync_service

chances = st.floats(-1, 1)


@given(chances, st.integers(0, 10_000), st.floats(10, 86400))
def test_delays_grow_to_a_ceiling(chance: float, failures: int, interval: float) -> None:
    outage = SyncOutcome(SyncResult.OUTAGE, "")
    delay = delay_after(outage, failures, interval, chance)
    assert FIRST_DELAY * (1 - JITTER) <= delay <= max(CEILING, interval) * (1 + JITTER)
    assert delay <= delay_after(outage, failures + 1, interval, chance)


@given(chances, st.floats(10, 86400))
def test_a_complete_sync_comes_back_on_the_interval(chance: float, interval: float) -> None:
    delay = delay_after(SyncOutcome(SyncResult.UNCHANGED, ""), 0, interval, chance)
    assert interval * 0.9 <= delay <= interval * 1.1


@pytest.mark.parametrize("outcome", [SyncResult.OUTAGE, SyncResult.UNAUTHORIZED])
def test_retry_after_is_a_lower_bound(outcome: SyncResult) -> None:
    assert delay_after(SyncOutcome(outcome, "", retry_after=5000.0), 1, 300.0, -1.0) == 5000.0


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  # a thread sets what is waited for
            await asyncio.sleep(0.02)


def test_the_loop_syncs_at_once_and_when_asked(tmp_path: Path) -> None:
    async def play(store: Store, url: str) -> None:
        service = sync_service(store, url)
        loop = SyncLoop(service)
        task = asyncio.create_task(loop.serve())
        await until(lambda: store.generation == 1 and not service.running and service.status().last is not None)
        seen: list[str] = []
        outcome = await loop.now(progress=lambda what, count: seen.append(what))
        assert outcome.outcome is SyncResult.UNCHANGED
        assert "Users" in seen
        assert (await loop.now(dry_run=True)).outcome is SyncResult.DRY_RUN
        both = await asyncio.gather(loop.now(), loop.now())
        assert {one.outcome for one in both} <= {SyncResult.UNCHANGED, SyncResult.BUSY}
        assert service.next_at is not None
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    with running_scim_server() as server, server.client() as client, Store(tmp_path / "cache.db") as store:
        client.create_group("Staff", [client.create_user("ada")])
        asyncio.run(play(store, server.url))
