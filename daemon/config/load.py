"""The site file, read and checked as a whole: refused with every fault in one report, or accepted.

``load_site`` is what start-up, ``latchd check-config`` and the scenario runner all call; it opens no device.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from pathlib import Path as FilePath
from typing import Any, get_type_hints

from daemon.config.checks import check
from daemon.config.devices import Devices, read_devices
from daemon.config.faults import Fault, parse
from daemon.config.gpio import gpio_boards
from daemon.config.lines import Path, key_lines, nearest_line
from daemon.config.secrets import SITE_KEY_BYTES, decode_key, read_secret
from daemon.config.site import Site, build_site
from daemon.config.tables import SiteTables
from daemon.errors import ConfigError
from drivers.driver import SEALED, SecretReference

MAX_SITE_FILE = 4 * 1024 * 1024
"""Bytes; a site of 1,000 doors needs about a tenth of it."""

_NAMED_TABLES = ("door", "schedule", "special_days", "area")
_LISTS = (("access_level",), ("door_schedule",), ("door_exception",), ("interlock",))
_DEVICE_TABLES = ("bus", "board", "reader")

Secrets = Callable[[SecretReference], bytes]


class Scope(Enum):
    """Which process asks: each is given its own secrets only, and checks only those."""

    DOORS = ("bus", "board", "reader")
    SYNC = ("scim",)
    ALL = (*DOORS, *SYNC)


class SiteFileError(ConfigError):
    """A site file is refused; the message lists every fault with file, line and key."""

    def __init__(self, file: str, faults: Iterable[tuple[int, Fault]]) -> None:
        self.faults = tuple(sorted(faults, key=lambda f: (f[0], f[1].key)))
        count = f"{len(self.faults)} fault" + "s" * (len(self.faults) != 1)
        lines = [f"{file}:{line}: {fault.key}: {fault.text}" for line, fault in self.faults]
        super().__init__("\n".join([f"{file} is refused, {count}; no device was opened", *lines]))


def load_site(file: FilePath, secrets: Secrets | None = read_secret, scope: Scope = Scope.ALL) -> Site:
    """Read and check a site file; ``SiteFileError`` lists all that is wrong.

    ``secrets`` is asked for the site key and for every secret in ``scope``, so that a missing one is found now;
    ``None`` leaves them unread (``latchd check-config --without-secrets``, the scenario runner).
    """
    return read_site(_text(file), str(file), secrets, scope)


def read_site(text: str, file: str, secrets: Secrets | None, scope: Scope = Scope.ALL) -> Site:
    """``load_site`` for a text already read; ``file`` is the name for messages."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{file} is not valid TOML: {error}; no device was opened") from None
    except RecursionError:
        raise ConfigError(f"{file} nests lists or tables too deeply; no device was opened") from None
    lines = key_lines(text)
    device_tables = {kind: raw.pop(kind, {}) for kind in _DEVICE_TABLES}
    faults = [
        Fault((kind,), "expected tables such as [%s.NAME]" % kind)  # noqa: UP031
        for kind, tables in device_tables.items()
        if not isinstance(tables, dict)
    ]
    parsed = parse(SiteTables, raw)
    readable = parsed.value or _readable(raw, parsed.faults)
    buses, boards, readers = (tables if isinstance(tables, dict) else {} for tables in device_tables.values())
    devices, device_faults = read_devices(buses, {**boards, **gpio_boards(readable)}, readers)
    faults += [*parsed.faults, *device_faults]
    if readable is not None:
        faults += check(readable, devices, whole=parsed.value is not None)
        if secrets is not None:
            faults += _secret_faults(readable, devices, secrets, scope)
    if faults or parsed.value is None:
        raise SiteFileError(file, ((nearest_line(lines, fault.path), fault) for fault in faults))
    return build_site(parsed.value, devices)


def _readable(raw: dict[str, Any], faults: Iterable[Fault]) -> SiteTables | None:
    """The tables without the keys at fault, so that the checks between tables are reported in the same go.

    ``None`` where a whole named table would have to go: what refers to it would then look wrong too.
    """
    remaining = copy.deepcopy(raw)
    for fault in faults:
        keys = fault.path
        while keys and isinstance(keys[-1], int):
            keys = keys[:-1]
        if len(keys) < 2 and keys not in _LISTS:
            return None
        if len(keys) == 2 and keys[0] in _NAMED_TABLES:
            return None
        _remove(remaining, keys)
    return parse(SiteTables, remaining).value


def _remove(table: Any, keys: Path) -> None:
    inner = table
    for key in keys[:-1]:
        try:
            inner = inner[key]
        except (KeyError, IndexError, TypeError):
            return
    if isinstance(inner, dict):
        inner.pop(keys[-1], None)


def _text(file: FilePath) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_SITE_FILE + 1)
        if len(content) > MAX_SITE_FILE:
            raise ConfigError(f"{file} is larger than {MAX_SITE_FILE} bytes; not a valid site file")
        return content.decode("utf-8")
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start})") from None


# ------------------------------------------------------------------ secrets


def _secret_faults(tables: SiteTables, devices: Devices, secrets: Secrets, scope: Scope) -> Iterator[Fault]:
    for path, reference in _references(tables, devices):
        if path != ("site", "key") and path[0] not in scope.value:
            continue
        try:
            content = secrets(reference)
            if path == ("site", "key"):
                decode_key(content, SITE_KEY_BYTES)
        except ConfigError as error:
            yield Fault(path, str(error))


def _references(tables: SiteTables, devices: Devices) -> Iterator[tuple[Path, SecretReference]]:
    yield ("site", "key"), tables.site.key
    if tables.scim is not None:
        yield from _secret_fields(tables.scim, ("scim",))
    for bus in devices.buses:
        for name, settings in bus.devices.items():
            section = "reader" if name in devices.readers else "board"
            for path, reference in _secret_fields(settings, (section, name)):
                if reference != SEALED:  # not a secret of this file: the daemon makes it and keeps it
                    yield path, reference


def _secret_fields(settings: Any, path: Path) -> Iterator[tuple[Path, SecretReference]]:
    """The fields of a settings object, and of those inside it, that refer to a secret."""
    for name, hint in get_type_hints(type(settings)).items():
        value = getattr(settings, name, None)
        if value is None:
            continue
        if hint in (SecretReference, SecretReference | None):
            yield (*path, name), value
        elif hasattr(type(value), "__pydantic_fields__"):
            yield from _secret_fields(value, (*path, name))
