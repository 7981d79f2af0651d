"""What is remembered of a directory: it survives its row, and a row that cannot be read is an empty memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import daemon.scim.memory as memory_module
from daemon.scim.memory import Memory, digest, unpack

counts = st.dictionaries(st.text(max_size=8), st.integers(0, 9), max_size=3)
memories = st.builds(
    Memory,
    issuer=st.text(),
    members=st.sampled_from(["", "id", "userName"]),
    former=st.lists(st.text(), max_size=3).map(tuple),
    said_active=st.booleans(),
    sizes=counts,
    user_attributes=st.booleans(),
    single_users=st.booleans(),
    single_groups=st.booleans(),
    contradicted=counts,
    gone_since=st.none() | st.floats(0, 2e9),
)


@given(memories)
def test_a_memory_survives_its_row(memory: Memory) -> None:
    assert unpack(memory.pack()) == memory


@pytest.mark.parametrize("row", [None, b"", b"\xff", b"[]", b'"x"', b'{"former": 5}', b'{"sizes": {"Users": []}}'])
def test_a_row_that_cannot_be_read_is_an_empty_memory(row: bytes | None) -> None:
    assert unpack(row) == Memory()


def test_former_ids_are_short_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "MAX_FORMER", 2)
    memory = Memory().with_former({"a"}).with_former({"b", "c"})
    assert memory.former == (digest("b"), digest("c"))
    assert memory.with_former({"c"}) is memory
    assert len(digest("x" * 1000)) == 16
