"""The file of reader keys: sealed, whole or refused, and never without a key that a reader may hold."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from daemon.doors.reader_keys import ReaderKey, ReaderKeys, fingerprint, seal, secret_path, unseal
from daemon.errors import ConfigError

SITE_KEY = bytes(range(32))
OLD, NEW = bytes(range(16)), bytes(range(16, 32))
ENTRIES = {"lobby": ReaderKey(OLD, datetime(2026, 3, 2, tzinfo=UTC), NEW), "yard": ReaderKey(None, None, NEW)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "reader-keys.sealed"


@pytest.fixture
def keys(file: Path) -> Iterator[ReaderKeys]:
    with ReaderKeys(file, SITE_KEY) as ring:
        yield ring


def again(file: Path) -> ReaderKeys:
    """What the next process finds."""
    ring = ReaderKeys(file, SITE_KEY)
    ring.close()
    return ring


# ------------------------------------------------------------------ the content


def test_what_is_sealed_is_unsealed_and_shows_no_key() -> None:
    content = seal(ENTRIES, SITE_KEY)
    assert unseal(content, SITE_KEY) == ENTRIES
    for shown in (content, repr(ENTRIES).encode(), seal(ENTRIES, SITE_KEY)):
        for key in (OLD, NEW, SITE_KEY):
            assert key not in shown
            assert key.hex().encode() not in shown
    assert content != seal(ENTRIES, SITE_KEY), "each time under another nonce"


def test_one_changed_bit_or_another_site_key_is_refused() -> None:
    content = seal(ENTRIES, SITE_KEY)
    for at in range(len(content)):
        damaged = bytearray(content)
        damaged[at] ^= 1 << at % 8
        with pytest.raises(ConfigError):
            unseal(bytes(damaged), SITE_KEY)
    for cut in (0, 1, 25, 40, len(content) - 1):
        with pytest.raises(ConfigError):
            unseal(content[:cut], SITE_KEY)
    with pytest.raises(ConfigError, match="another site key"):
        unseal(content, bytes(32))


def test_a_fingerprint_tells_keys_apart() -> None:
    assert fingerprint(OLD) == fingerprint(bytes(range(16))) != fingerprint(NEW)
    assert len(fingerprint(OLD)) == 12


# ------------------------------------------------------------------ the life of a key


def test_a_new_key_is_durable_before_anybody_hears_of_it(keys: ReaderKeys, file: Path) -> None:
    asyncio.run(keys.propose("lobby"))
    (fresh,) = keys.keys("lobby")
    assert again(file).keys("lobby") == (fresh,)
    assert file.stat().st_mode & 0o777 == 0o600


def test_the_old_key_stays_until_the_reader_has_proved_one(keys: ReaderKeys, file: Path) -> None:
    asyncio.run(keys.propose("lobby"))
    (first,) = keys.keys("lobby")
    keys.proved("lobby", first)
    asyncio.run(keys.propose("lobby"))
    second, old = keys.keys("lobby")
    assert old == first != second
    assert again(file).keys("lobby") == (second, first)
    asyncio.run(keys.propose("lobby"))
    assert keys.keys("lobby") == (second, first), "one that is in doubt is not replaced: the reader may hold it"
    keys.proved("lobby", second)
    keys.close()
    assert again(file).entries["lobby"].candidates == (second,)


def test_a_reader_that_kept_its_old_key_keeps_its_date_too(keys: ReaderKeys) -> None:
    asyncio.run(keys.propose("lobby"))
    keys.proved("lobby", keys.keys("lobby")[0])
    entry = keys.entries["lobby"]
    asyncio.run(keys.propose("lobby"))
    assert entry.key is not None
    keys.proved("lobby", entry.key)
    assert keys.entries["lobby"] == entry


def test_a_key_that_is_not_ours_settles_nothing(keys: ReaderKeys) -> None:
    asyncio.run(keys.propose("lobby"))
    before = keys.entries["lobby"]
    keys.proved("lobby", OLD)
    keys.proved("yard", OLD)
    assert dict(keys.entries) == {"lobby": before}


def test_a_forgotten_key_is_gone_from_the_disk(keys: ReaderKeys, file: Path) -> None:
    asyncio.run(keys.propose("lobby"))
    asyncio.run(keys.forget("lobby"))
    assert keys.keys("lobby") == ()
    assert not again(file).entries


# ------------------------------------------------------------------ a bad disk


def test_without_a_durable_copy_there_is_no_new_key(tmp_path: Path) -> None:
    with ReaderKeys(tmp_path / "missing" / "reader-keys.sealed", SITE_KEY) as keys:
        with pytest.raises(ConfigError, match="cannot be written"):
            asyncio.run(keys.propose("lobby"))
        assert keys.keys("lobby") == ()


@pytest.mark.parametrize("content", [b"", b"rubbish", seal(ENTRIES, bytes(32))])
def test_a_file_that_is_not_understood_is_kept_and_said(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with ReaderKeys(file, SITE_KEY) as keys:
        assert str(file) in str(keys.trouble)
        assert not keys.entries
        for change in (keys.propose("lobby"), keys.forget("lobby")):
            with pytest.raises(ConfigError, match="enrol its readers again"):
                asyncio.run(change)
    assert file.read_bytes() == content


def test_a_file_that_cannot_be_read_is_said(file: Path) -> None:
    file.mkdir()
    with ReaderKeys(file, SITE_KEY) as keys:
        assert "cannot be read" in str(keys.trouble)


# ------------------------------------------------------------------ who can make such a file

FIRST_FILE = bytes.fromhex("6c617463686420726561646572206b65797320310a000102030405060708090a0b")
"""The head of a file of the first kind, with a fixed nonce; ``sealed_at_first`` makes the rest."""


def sealed_at_first(entries: str) -> bytes:
    """A file as earlier versions sealed it, and as sync could: under the site key alone."""
    key = HKDF(SHA256(), 32, salt=None, info=b"latchd reader keys").derive(SITE_KEY)
    magic, nonce = FIRST_FILE[:-12], FIRST_FILE[-12:]
    return FIRST_FILE + AESGCM(key).encrypt(nonce, entries.encode(), magic)


def test_a_file_of_an_earlier_version_is_read_and_sealed_again(file: Path) -> None:
    text = json.dumps({"lobby": {"key": OLD.hex(), "since": None, "pending": None}})
    file.write_bytes(sealed_at_first(text))
    assert again(file).keys("lobby") == (OLD,)
    assert not file.read_bytes().startswith(FIRST_FILE[:-12])
    assert again(file).keys("lobby") == (OLD,)


def test_the_site_key_alone_seals_nothing_that_is_believed(file: Path, keys: ReaderKeys) -> None:
    """sync has the site key; the secret beside the file is for the doors process alone."""
    asyncio.run(keys.propose("lobby"))
    assert stat.S_IMODE(secret_path(file).stat().st_mode) == 0o600
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    for forged in (seal({"lobby": ReaderKey(NEW)}, SITE_KEY), seal({}, SITE_KEY + bytes(32))):
        file.write_bytes(forged)
        assert "reader-keys.secret" in str(again(file).trouble)


@pytest.mark.parametrize("content", [None, b"", b"short"])
def test_a_secret_that_is_lost_is_said_and_nothing_is_overwritten(
    file: Path, keys: ReaderKeys, content: bytes | None
) -> None:
    asyncio.run(keys.propose("lobby"))
    sealed = file.read_bytes()
    secret_path(file).unlink()
    if content is not None:
        secret_path(file).write_bytes(content)
    found = again(file)
    assert found.trouble is not None
    assert "reader-keys.secret" in found.trouble
    with pytest.raises(ConfigError):
        asyncio.run(found.propose("yard"))
    assert file.read_bytes() == sealed


def test_a_link_in_the_way_of_the_new_file_is_not_followed(file: Path, tmp_path: Path, keys: ReaderKeys) -> None:
    precious = tmp_path / "precious"
    precious.write_text("journal")
    for name in ("reader-keys.sealed.new", "reader-keys.secret.new"):
        (tmp_path / name).symlink_to(precious)
    asyncio.run(keys.propose("lobby"))
    assert precious.read_text() == "journal"
    assert again(file).keys("lobby")


@pytest.mark.parametrize("what", ["link", "pipe"])
def test_what_is_no_regular_file_is_not_opened(file: Path, tmp_path: Path, what: str) -> None:
    os.mkfifo(file) if what == "pipe" else file.symlink_to(tmp_path / "other")
    assert "reader-keys.sealed" in str(again(file).trouble)
