"""Which key a reader has to prove, and what is known of it at every moment of a change."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.osdp.handshake import Handshake, KeyChange
from drivers.osdp.messages import NakCode, Reply
from drivers.osdp.secure import SCBK_D, Scs, SessionKeys
from tests.drivers.osdp.panel import entropy

OLD, NEW, OTHER = (bytes([number]) * 16 for number in (1, 2, 3))


class Held:
    """A reader as the handshake meets it: it holds one key, and takes another by KEYSET."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def meets(self, handshake: Handshake) -> bool:
        """One handshake, as the session does it; whether a channel stands."""
        while True:
            random, block = handshake.challenge()
            assert block[0] == Scs.CHALLENGE
            keys = SessionKeys(self.key, random)
            mine = bytes(range(8))
            if handshake.proved(Reply.CCRYPT, bytes(8) + mine + keys.reader_cryptogram(random, mine)):
                break
            if not handshake.another_key():
                return False
        proof, block = handshake.cryptogram()
        assert proof == keys.panel_cryptogram(random, mine)
        assert block[0] == Scs.CRYPTOGRAM
        return handshake.established(Reply.RMAC_I, keys.first_mac(proof)) is not None

    def takes(self, keyset: bytes) -> None:
        assert keyset[:2] == bytes([1, 16])
        self.key = keyset[2:]


def handshake(keys: Sequence[bytes], **more: bool) -> tuple[Handshake, list[bytes]]:
    told: list[bytes] = []
    return Handshake(keys, entropy(), proved=told.append, **more), told


def test_each_proof_has_a_random_number_of_its_own() -> None:
    one, _ = handshake([OLD])
    assert one.challenge()[0] != one.challenge()[0]


@pytest.mark.parametrize(
    "answer", [(Reply.NAK, b"\x06"), (Reply.CCRYPT, b""), (Reply.CCRYPT, bytes(32)), (Reply.ACK, b"")]
)
def test_anything_but_the_right_proof_is_none(answer: tuple[Reply, bytes]) -> None:
    one, _ = handshake([OLD])
    one.challenge()
    assert not one.proved(*answer)
    assert one.established(Reply.RMAC_I, bytes(16)) is None


def test_a_certain_key_is_no_news() -> None:
    one, told = handshake([OLD])
    assert Held(OLD).meets(one)
    assert not Held(OTHER).meets(one)
    assert told == []


@given(st.lists(st.sampled_from(["taken", "not heard", "answer lost", "refused", "meets"]), max_size=12))
@settings(max_examples=100, deadline=None)
def test_no_course_of_a_change_loses_the_reader(course: list[str]) -> None:
    """Whatever becomes of KEYSET and its answer, the reader can prove itself afterwards."""
    one, told = handshake([OLD])
    reader = Held(OLD)
    assert reader.meets(one)
    for step in course:
        if step != "meets":
            one.propose(NEW if reader.key == OLD else OLD)
            keyset = one.keyset()
            assert not one.keyset_due
            if step in ("taken", "answer lost"):
                reader.takes(keyset)
            elif step == "refused":
                one.refused()
        assert reader.meets(one)
        assert one.change is not KeyChange.WAITING
    assert told == [] or told[-1] == reader.key


def test_how_a_change_ended_is_known() -> None:
    one, told = handshake([OLD])
    reader = Held(OLD)
    reader.meets(one)
    one.propose(NEW)
    assert (one.change, one.keyset_due) == (KeyChange.WAITING, True)
    reader.takes(one.keyset())
    reader.meets(one)
    assert (one.change, told) == (KeyChange.DONE, [NEW])
    one.propose(OTHER)
    one.keyset()
    reader.meets(one)
    assert (one.change, told) == (KeyChange.FAILED, [NEW, NEW])


def test_the_default_key_is_only_tried_by_who_enrols() -> None:
    one, _ = handshake([OLD])
    assert not Held(SCBK_D).meets(one)
    one.enrol(NEW)
    reader = Held(SCBK_D)
    assert reader.meets(one)
    assert one.on_default_key
    assert one.change is KeyChange.WAITING
    reader.takes(one.keyset())
    one.on_default_key = False
    assert reader.meets(one)
    assert one.change is KeyChange.DONE
    assert not Held(SCBK_D).meets(one)


def test_who_installs_brings_the_key_whenever_the_default_key_is_met() -> None:
    one, _ = handshake([OLD], installs=True)
    for _ in range(2):
        reader = Held(SCBK_D)
        assert reader.meets(one)
        assert one.on_default_key
        reader.takes(one.keyset())
        one.on_default_key = False
        assert reader.meets(one)
        assert reader.key == OLD


def test_other_keys_end_every_doubt() -> None:
    one, _ = handshake([NEW, OLD])
    one.replace([OTHER])
    assert not Held(OLD).meets(one)
    assert Held(OTHER).meets(one)
    one.replace([])
    assert not one.has_key


def test_a_refusal_of_the_channel_is_a_wrong_key() -> None:
    one, _ = handshake([NEW, OLD])
    one.challenge()
    assert not one.proved(Reply.NAK, bytes([NakCode.SECURITY_NOT_MET]))
    assert one.another_key()
    assert not one.another_key()
