"""sidecar: replaced whole, and never a reason to think the cache fresher than it is."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache.directory.sync_state import (
    MAX_BYTES,
    TOLERANCE,
    SyncState,
    last_complete,
    read,
    read_sync_state,
    sync_state_path,
    write,
    write_sync_state,
)
from cache.errors import CacheError
from tests.cache.directories import NOW

times = st.none() | st.integers(-3000, 3000).map(lambda seconds: NOW + timedelta(seconds=seconds))
states = st.builds(SyncState, st.sampled_from(["this", "that"]), st.integers(3, 5), times)


@given(times, states)
def test_only_what_is_proved_is_believed(committed: datetime | None, state: SyncState) -> None:
    answer = last_complete(committed, "this", 4, state, NOW)
    mine = state.cache_id == "this" and state.generation == 4
    assert answer in (None, committed) or answer <= NOW + TOLERANCE
    assert answer in (None, committed, state.synced_at if mine else None)
    if not mine:
        assert answer == last_complete(committed, "this", 4, SyncState(), NOW)
    if committed is not None and committed <= NOW:
        assert answer is not None
        assert answer >= committed


words = st.text(max_size=5)
whole = st.builds(
    SyncState,
    words,
    st.integers(0, 9),
    times,
    times,
    words,
    words,
    words,
    st.integers(0, 9),
    st.lists(words).map(tuple),
)


@given(whole)
def test_a_state_comes_back(tmp_path_factory: pytest.TempPathFactory, state: SyncState) -> None:
    database = tmp_path_factory.mktemp("state") / "cache.db"
    write_sync_state(database, state)
    assert read_sync_state(database) == state


def test_nothing_is_left_of_a_draft_and_an_old_draft_is_no_obstacle(tmp_path: Path) -> None:
    path = tmp_path / "x.synced"
    path.with_name("x.synced.new").write_text("left by a power cut")
    write(path, {"a": 1})
    assert read(path) == {"a": 1}
    assert [one.name for one in tmp_path.iterdir()] == ["x.synced"]


def test_a_link_is_replaced_and_not_followed(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept")
    (tmp_path / "x.synced.new").symlink_to(victim)
    (tmp_path / "x.synced").symlink_to(victim)
    write(tmp_path / "x.synced", {"a": 1})
    assert victim.read_text() == "kept"
    assert not (tmp_path / "x.synced").is_symlink()


@pytest.mark.parametrize(
    "content", [b"[]", b"1", b"{", b"\xff", b'{"a":1}' + b" " * MAX_BYTES + b"x", b"[" * 100_000]
)
def test_what_is_no_small_object_is_nothing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.synced"
    path.write_bytes(content)
    assert read(path) in ({}, {"a": 1})
    assert read_sync_state(tmp_path / "x.db") == SyncState()


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CacheError, match=r"cache\.synced: No such file"):
        write_sync_state(tmp_path / "absent" / "cache.db", SyncState())
    assert sync_state_path(tmp_path / "cache.db").name == "cache.synced"
    assert os.listdir(tmp_path) == []


def test_what_is_no_regular_file_is_neither_read_nor_waited_for(tmp_path: Path) -> None:
    database = tmp_path / "cache.db"
    file = sync_state_path(database)
    write_sync_state(database, SyncState("this", 4))
    real = file.rename(tmp_path / "real")
    file.symlink_to(real)
    assert read_sync_state(database) == SyncState(), "a link"
    file.unlink()
    os.mkfifo(file)
    assert read_sync_state(database) == SyncState(), "a pipe that nobody writes to"
    file.unlink()
    file.mkdir()
    assert read_sync_state(database) == SyncState(), "a folder"
    file.rmdir()
    real.rename(file)
    assert read_sync_state(database) == SyncState("this", 4)
