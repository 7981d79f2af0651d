"""Where secrets come from: systemd credentials, files that no other user may read, the environment.

The site file holds only references (``credential:NAME``, ``file:PATH``, ``env:NAME``). No function here
puts a secret, or a part of one, into a message.
"""

from __future__ import annotations

import base64
import binascii
import os
import stat
from collections.abc import Mapping
from pathlib import Path

from daemon.errors import ConfigError
from drivers.driver import SecretReference

MAX_SECRET = 64 * 1024
"""Bytes; more than any token or PEM chain, so that a wrong path is not read whole."""

SITE_KEY_BYTES = 32


def read_secret(reference: SecretReference, environment: Mapping[str, str] = os.environ) -> bytes:
    """The secret that ``reference`` names, a text without its last newline. ``ConfigError`` says what to do."""
    kind, colon, name = reference.partition(":")
    if not colon or not name or kind not in ("credential", "file", "env"):
        raise ConfigError('expected a reference to a secret: "credential:NAME", "file:PATH" or "env:NAME"')
    if kind == "env":
        value = environment.get(name)
        if not value:
            raise ConfigError(f"the environment variable {name} is not set")
        return value.encode()
    return _read_file(_credential(name, environment) if kind == "credential" else Path(name), kind)


def _credential(name: str, environment: Mapping[str, str]) -> Path:
    directory = environment.get("CREDENTIALS_DIRECTORY")
    if directory is None:
        raise ConfigError(
            f'the systemd credential "{name}" can be read only inside the service '
            "(CREDENTIALS_DIRECTORY is not set); outside use file: or env:, or set CREDENTIALS_DIRECTORY"
        )
    if "/" in name or name in (".", ".."):
        raise ConfigError(f'"{name}" is not a valid name of a systemd credential')
    return Path(directory, name)


def _read_file(path: Path, kind: str) -> bytes:
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            if kind == "file" and stat.S_IMODE(mode) & (stat.S_IRWXO | stat.S_IWGRP):
                raise ConfigError(f"{path} holds a secret but others may read or change it: chmod 0600 {path}")
            content = file.read(MAX_SECRET + 1)
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > MAX_SECRET:
        raise ConfigError(f"{path} is larger than any secret ({MAX_SECRET} bytes at most)")
    return content if _is_raw(content) else content.removesuffix(b"\n").removesuffix(b"\r")


def _is_raw(content: bytes) -> bool:
    """Whether it is no text: then its last byte may well be that of a newline, and belongs to it."""
    try:
        content.decode()
    except UnicodeDecodeError:
        return True
    return False


def decode_key(content: bytes, length: int) -> bytes:
    """A key of ``length`` bytes, given raw, in hexadecimal or in base64; a newline may follow."""
    for raw in (content, content.removesuffix(b"\n"), content.removesuffix(b"\r\n")):
        if len(raw) == length:
            return raw
    text = content.strip()
    for decode in (bytes.fromhex, _base64):
        try:
            key = decode(text.decode("ascii"))
        except (ValueError, UnicodeDecodeError):
            continue
        if len(key) == length:
            return key
    raise ConfigError(
        f"expected a key of {length} bytes: raw, or as {2 * length} hexadecimal digits, or as base64"
    )


def _base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None
