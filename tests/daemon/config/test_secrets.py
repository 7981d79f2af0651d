"""Secrets come from where the reference says, are refused if others may read them, and are never shown."""

import base64
from pathlib import Path

import pytest

from daemon.config.secrets import decode_key, read_secret
from daemon.errors import ConfigError
from drivers.driver import SecretReference


def test_a_private_file_is_read_without_its_newline(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    file.chmod(0o600)
    assert read_secret(SecretReference(f"file:{file}")) == b"s3cret"


def test_a_file_that_others_may_read_is_refused_with_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret")
    file.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 0600") as refused:
        read_secret(SecretReference(f"file:{file}"))
    assert "s3cret" not in str(refused.value)


def test_a_systemd_credential_is_read_from_its_directory(tmp_path: Path) -> None:
    (tmp_path / "site-key").write_bytes(b"k" * 32)
    environment = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert read_secret(SecretReference("credential:site-key"), environment) == b"k" * 32
    with pytest.raises(ConfigError, match="not a valid name of a systemd credential"):
        read_secret(SecretReference("credential:../shadow"), environment)
    with pytest.raises(ConfigError, match="only inside the service"):
        read_secret(SecretReference("credential:site-key"), {})


def test_the_environment_and_what_is_no_reference() -> None:
    assert read_secret(SecretReference("env:TOKEN"), {"TOKEN": "x"}) == b"x"
    with pytest.raises(ConfigError, match="TOKEN is not set"):
        read_secret(SecretReference("env:TOKEN"), {})
    for wrong in ("hunter2", "env:", "vault:x"):
        with pytest.raises(ConfigError, match="expected a reference"):
            read_secret(SecretReference(wrong), {})


@pytest.mark.parametrize("encode", [bytes, lambda key: key.hex().encode(), base64.b64encode])
def test_a_key_is_raw_hexadecimal_or_base64(encode: object) -> None:
    key = bytes(range(32))
    assert decode_key(encode(key), 32) == key  # type: ignore[operator]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r", b" ", b"\n\n"])
@pytest.mark.parametrize("newline", [b"", b"\n", b"\r\n"])
def test_a_raw_key_may_end_with_any_byte(tmp_path: Path, end: bytes, newline: bytes) -> None:
    """One random key in 256 ends with the byte of a newline, and is a key all the same."""
    key = bytes([0xFE] * (32 - len(end))) + end
    file = tmp_path / "site.key"
    file.write_bytes(key + newline)
    file.chmod(0o600)
    assert decode_key(read_secret(SecretReference(f"file:{file}")), 32) == key


def test_a_key_of_another_length_is_refused_without_showing_it() -> None:
    with pytest.raises(ConfigError, match="32 bytes") as refused:
        decode_key(b"too short", 32)
    assert "too short" not in str(refused.value)
