"""The head of the journal: whole or the old one, and believed only under its key."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cache.journal.head import (
    SEAL,
    Head,
    edition_of,
    guarded,
    head_key,
    head_path,
    is_sealed,
    read_head,
    seal,
    write_head,
)

KEY = head_key(bytes(32))
HEAD = Head(10, b"chain", datetime(2026, 3, 2, 8, tzinfo=UTC), 3, {"mode.lobby": "{}"})


def test_what_is_written_is_read(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    assert read_head(journal, KEY) is None
    for head in (HEAD, replace(HEAD, sequence=11), Head()):
        write_head(journal, head, KEY)
        assert read_head(journal, KEY) == head
    assert [file.name for file in tmp_path.iterdir()] == ["journal.head"]


def test_a_draft_that_a_crash_left_behind_is_in_no_ones_way(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "journal.head.new").symlink_to(tmp_path / "precious")
    write_head(tmp_path / "journal.db", HEAD, KEY)
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.parametrize("old", [b'"sequence":10', b"lobby", b'"edition":3'])
def test_a_change_of_any_part_is_seen_with_the_key_alone(old: bytes, tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    write_head(journal, HEAD, KEY)
    content = head_path(journal).read_bytes()
    assert old in content
    head_path(journal).write_bytes(content.replace(old, old[:-1] + b"7" if old[-1:].isdigit() else b"lobbi"))
    with pytest.raises(ValueError, match="changed"):
        read_head(journal, KEY)
    assert read_head(journal, None) is not None, "who may not read the key can still compare"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"{}", b"[" * 100_000, b"\xff", b'{"sequence": "x"}'])
def test_what_is_no_head_is_an_error_in_words(content: bytes, tmp_path: Path) -> None:
    head_path(tmp_path / "journal.db").write_bytes(content)
    with pytest.raises(ValueError, match="is not what the doors process wrote"):
        read_head(tmp_path / "journal.db", KEY)


def test_a_seal_is_of_the_guarded_rows_and_their_edition() -> None:
    state = {"mode.lobby": "{}", "position.ada": "1"}
    state[SEAL] = seal(KEY, 4, state)
    assert (edition_of(state), is_sealed(KEY, state)) == (4, True)
    assert guarded(state) == {"mode.lobby": "{}"}
    assert is_sealed(KEY, {**state, "position.ada": "2"})
    assert not is_sealed(KEY, {**state, "mode.yard": "{}"})
    assert not is_sealed(bytes(32), state)
    assert (edition_of({}), edition_of({SEAL: "[" * 100_000}), is_sealed(KEY, {})) == (0, 0, False)
