"""The keys that the doors process makes for its readers, sealed in one file of the state directory.

The file is encrypted and authenticated (AES-256-GCM) under a key derived (HKDF-SHA-256) from the site key and from
a random secret that only the doors process can read, in a file of its own: sync has the site key, and a memory
card that was stolen has the secret. It is only ever replaced as a whole. A key is durable before its reader hears
of it, and is stored with the old one until the reader has proved which of the two it holds: so no crash in between
can lose a reader.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import secrets
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from daemon.errors import ConfigError

log = logging.getLogger(__name__)

KEY_BYTES = 16
"""An OSDP secure channel base key: AES-128."""
_MAGIC = b"latchd reader keys 2\n"
_FIRST_MAGIC = b"latchd reader keys 1\n"
"""Of files sealed under the site key alone, which sync has too: they are sealed again when they are found."""
SECRET_BYTES = 32
_NONCE_BYTES = 12
_FINGERPRINT_BYTES = 6
MAX_FILE = 4 * 1024 * 1024
"""Bytes; 126 readers on each of 100 buses need about half of it."""


@dataclass(frozen=True, slots=True)
class ReaderKey:
    """What is stored for one reader. ``pending`` is a key that it may have taken, or may take yet."""

    key: bytes | None = None
    since: datetime | None = None
    pending: bytes | None = None

    def __repr__(self) -> str:
        """Keys never reach a log by accident."""
        return f"ReaderKey(since={self.since})"

    @property
    def candidates(self) -> tuple[bytes, ...]:
        """All keys that the reader may hold, the newest first."""
        return tuple(key for key in (self.pending, self.key) if key is not None)


Entries = Mapping[str, ReaderKey]


def fingerprint(key: bytes) -> str:
    """What people compare: it tells keys apart and tells nothing about them."""
    return hashlib.sha256(b"latchd reader key" + key).hexdigest()[: 2 * _FINGERPRINT_BYTES]


def seal(entries: Entries, key: bytes) -> bytes:
    """The content of the file."""
    plain = {
        reader: {
            "key": entry.key.hex() if entry.key else None,
            "since": entry.since.isoformat() if entry.since else None,
            "pending": entry.pending.hex() if entry.pending else None,
        }
        for reader, entry in entries.items()
    }
    nonce = secrets.token_bytes(_NONCE_BYTES)
    text = json.dumps(plain, separators=(",", ":")).encode()
    return _MAGIC + nonce + _cipher(key, _MAGIC).encrypt(nonce, text, _MAGIC)


def unseal(content: bytes, key: bytes, magic: bytes = _MAGIC) -> dict[str, ReaderKey]:
    """The entries of a file's content. ``ConfigError`` when a single bit of it, or the key, is another."""
    if not content.startswith(magic):
        raise ConfigError("it is no file of reader keys that this version of latchd knows")
    nonce, sealed = content[len(magic) :][:_NONCE_BYTES], content[len(magic) + _NONCE_BYTES :]
    try:
        plain = json.loads(_cipher(key, magic).decrypt(nonce, sealed, magic))
    except (InvalidTag, ValueError):
        raise ConfigError(
            "it was damaged or changed, or sealed under another site key or another reader-keys.secret"
        ) from None
    return {
        reader: ReaderKey(
            bytes.fromhex(entry["key"]) if entry["key"] else None,
            datetime.fromisoformat(entry["since"]) if entry["since"] else None,
            bytes.fromhex(entry["pending"]) if entry["pending"] else None,
        )
        for reader, entry in plain.items()
    }


def _cipher(key: bytes, magic: bytes) -> AESGCM:
    info = b"latchd reader keys" if magic == _FIRST_MAGIC else magic.rstrip()
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=info).derive(key))


class ReaderKeys:
    """The key ring of the drivers (``KeyRing`` of drivers/driver.py). Belongs to the loop; a thread writes.

    A file that cannot be read or understood is never overwritten: ``trouble`` says what is wrong with it, the
    readers have no keys, and the rest of the controller works.
    """

    def __init__(self, file: Path, site_key: bytes) -> None:
        self._file = file
        self._site_key = site_key
        self._secret: bytes | None = None
        self._entries: dict[str, ReaderKey] = {}
        self._thread = ThreadPoolExecutor(1, "reader-keys")
        self.trouble: str | None = None
        try:
            self._secret = _read_secret(secret_path(file))
            self._entries, sealed_again = _read(file, site_key, self._secret)
            if not sealed_again:
                self._thread.submit(self._write_or_log, dict(self._entries))
        except ConfigError as error:
            self.trouble = str(error)
        if self.trouble is not None:
            log.error("%s; readers with a key in it stay offline", self.trouble)

    def __enter__(self) -> Self:
        """Use as a context: what is on its way to the disk is written at its end."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def close(self) -> None:
        """Write what still waits."""
        self._thread.shutdown()

    @property
    def entries(self) -> Entries:
        """Every reader for which something is stored."""
        return self._entries

    def keys(self, device: str) -> tuple[bytes, ...]:
        """All keys that the device may hold, the newest first."""
        return self._entries.get(device, ReaderKey()).candidates

    def proved(self, device: str, key: bytes) -> None:
        """The device holds this key: every other one is void. Written behind the caller's back."""
        entry = self._entries.get(device, ReaderKey())
        if entry.pending is None or key not in entry.candidates:
            return
        since = entry.since if key == entry.key else datetime.now(UTC)
        self._entries[device] = ReaderKey(key, since)
        self._thread.submit(self._write_or_log, dict(self._entries))

    async def propose(self, device: str) -> None:
        """A new random key for the device, durable when this returns; one that is still in doubt stays.

        Raises ``ConfigError`` when it cannot be written; then there is none.
        """
        entry = self._entries.get(device, ReaderKey())
        if entry.pending is None:
            fresh = ReaderKey(entry.key, entry.since, secrets.token_bytes(KEY_BYTES))
            await self._change(device, fresh)

    async def forget(self, device: str) -> None:
        """No key of the device any more; durable when this returns. Raises ``ConfigError``."""
        await self._change(device, None)

    async def _change(self, device: str, entry: ReaderKey | None) -> None:
        if self.trouble is not None:
            raise ConfigError(self.trouble)
        before = self._entries.get(device)
        self._put(device, entry)
        writing = asyncio.get_running_loop().run_in_executor(self._thread, self._write, dict(self._entries))
        try:
            await asyncio.shield(writing)
        except OSError as error:
            self._put(device, before)
            raise ConfigError(f"{self._file} cannot be written: {error.strerror}; nothing was changed") from None

    def _put(self, device: str, entry: ReaderKey | None) -> None:
        if entry is None:
            self._entries.pop(device, None)
        else:
            self._entries[device] = entry

    def _write_or_log(self, entries: Entries) -> None:
        """Both keys are in the file as it is: without this write the next start asks the reader again."""
        try:
            self._write(entries)
        except OSError as error:
            log.warning("%s cannot be written: %s", self._file, error.strerror)

    def _write(self, entries: Entries) -> None:
        """Replace the file; after a crash at any instant there is the old one or the new one, whole."""
        if self._secret is None:
            fresh = secrets.token_bytes(SECRET_BYTES)
            _replace(secret_path(self._file), fresh)
            self._secret = fresh
        _replace(self._file, seal(entries, self._site_key + self._secret))


def secret_path(file: Path) -> Path:
    """Where the secret of the doors process is, in the folder of the file of keys."""
    return file.with_suffix(".secret")


def _replace(path: Path, content: bytes) -> None:
    """Replace a file that no one else may read; a link in the way of the new one is not followed."""
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    fresh.replace(path)
    directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _read(file: Path, site_key: bytes, secret: bytes | None) -> tuple[dict[str, ReaderKey], bool]:
    """The entries, and whether they are sealed as they should be."""
    content = _content(file)
    if content is None:
        return {}, True
    try:
        if content.startswith(_FIRST_MAGIC):
            return unseal(content, site_key, _FIRST_MAGIC), False
        return unseal(content, site_key + (secret or b"")), True
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}; restore it, or remove it and enrol its readers again") from None


def _read_secret(path: Path) -> bytes | None:
    content = _content(path)
    if content is not None and len(content) != SECRET_BYTES:
        raise ConfigError(f"{path}: it has {len(content)} bytes and not {SECRET_BYTES}; restore it")
    return content


def _content(file: Path) -> bytes | None:
    """What is in a regular file; none where there is no file."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ConfigError(f"{file} cannot be read: it is not a regular file")
            with open(descriptor, "rb", closefd=False) as stream:
                return stream.read(MAX_FILE)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
