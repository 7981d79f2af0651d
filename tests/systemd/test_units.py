"""The units are valid, confined as the design says, and latchd can live inside them.

`systemd-analyze` works on files, without a booted systemd; .ci/run installs it.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UNITS = ROOT / "systemd"
THRESHOLD = {"doors": 1.0, "sync": 1.2}
"""The highest exposure allowed, of 10; each restriction that is lost costs 0.1 to 0.5."""

MODBUS_TCP = UNITS / "drop-ins" / "modbus-tcp.conf"


def settings(path: Path) -> dict[str, list[str]]:
    """The [Service] section: each key with its values in order, words split as systemd does."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def installed(unit: str, folder: Path, *drop_ins: Path) -> Path:
    """The unit as it is on a controller, but with a program that exists on this machine."""
    copy = folder / f"latchd-{unit}.service"
    program = Path(sys.executable).with_name("latchd")
    copy.write_text((UNITS / copy.name).read_text().replace("/opt/latchd/venv/bin/latchd", str(program)))
    for drop_in in drop_ins:
        target = folder / f"{copy.name}.d"
        target.mkdir(exist_ok=True)
        shutil.copy(drop_in, target)
    return copy


def analyze(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat", "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, env=environment, timeout=50
    )


@pytest.mark.parametrize("unit", ["doors", "sync"])
@pytest.mark.parametrize(
    "dropped", [(), (UNITS / "drop-ins" / "reader-keys.conf", MODBUS_TCP)], ids=["bare", "drop-ins"]
)
def test_systemd_accepts_the_unit_without_a_word(unit: str, dropped: tuple[Path, ...], tmp_path: Path) -> None:
    answer = analyze("verify", installed(unit, tmp_path, *dropped))
    assert (answer.returncode, answer.stdout, answer.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", ["doors", "sync"])
def test_the_unit_is_confined(unit: str, tmp_path: Path) -> None:
    path = installed(unit, tmp_path)
    answer = analyze("security", "--offline=true", f"--threshold={THRESHOLD[unit] * 10:.0f}", path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    exposure = re.search(r"Overall exposure level for \S+: (\d+\.\d)", answer.stdout)
    assert exposure
    assert float(exposure[1]) <= THRESHOLD[unit]


def test_the_threshold_would_notice_a_lost_restriction(tmp_path: Path) -> None:
    path = installed("doors", tmp_path)
    path.write_text(path.read_text().replace("PrivateNetwork=yes\n", ""))
    answer = analyze("security", "--offline=true", f"--threshold={THRESHOLD['doors'] * 10:.0f}", path)
    assert answer.returncode != 0


def test_doors_has_devices_and_no_network() -> None:
    doors = settings(UNITS / "latchd-doors.service")
    assert doors["RestrictAddressFamilies"] == ["AF_UNIX"]
    assert doors["IPAddressDeny"] == ["any"]
    assert doors["PrivateNetwork"] == ["yes"]
    assert doors["DevicePolicy"] == ["closed"]
    assert doors["DeviceAllow"] == [
        f"char-{kind} rw" for kind in ("ttyS", "ttyUSB", "ttyAMA", "ttyACM", "gpiochip")
    ]
    assert "PrivateDevices" not in doors, "it would hide the ports"


def test_sync_has_network_and_no_device() -> None:
    sync = settings(UNITS / "latchd-sync.service")
    assert sync["RestrictAddressFamilies"] == ["AF_UNIX AF_INET AF_INET6"]
    assert sync["PrivateDevices"] == ["yes"]
    assert "DeviceAllow" not in sync
    assert "SupplementaryGroups" not in sync


@pytest.mark.parametrize("unit", ["doors", "sync"])
def test_a_hung_or_dead_process_is_started_again_for_ever(unit: str) -> None:
    service = settings(UNITS / f"latchd-{unit}.service")
    assert service["Type"] == ["notify"]
    assert service["Restart"] == ["always"]
    assert "RestartPreventExitStatus" not in service
    assert service.keys() >= {"WatchdogSec", "RestartSec"}
    assert "StartLimitIntervalSec=0" in (UNITS / f"latchd-{unit}.service").read_text()


def test_the_two_share_a_group_to_read_by_and_each_writes_in_its_own_folders() -> None:
    doors, sync = (settings(UNITS / f"latchd-{unit}.service") for unit in ("doors", "sync"))
    assert doors["User"] != sync["User"]
    assert doors["Group"] == sync["Group"] == ["latchd"]
    for unit, service in (("doors", doors), ("sync", sync)):
        assert service["UMask"] == ["0027"]
        assert service["ReadWritePaths"] == [f"/var/lib/latchd/{unit} /run/latchd/{unit}"]
        assert service["ReadOnlyPaths"] == ["/run /dev/shm"]  # what ProtectSystem=strict leaves writable
        assert service["PrivateMounts"] == ["yes"]
        assert service["MemoryMax"]
        assert service["TasksMax"]
        assert "RequiresMountsFor=/var/lib/latchd" in (UNITS / f"latchd-{unit}.service").read_text()
    assert "latchd-site-key" in doors["LoadCredentialEncrypted"]
    assert {"latchd-site-key", "scim-token"} <= set(sync["LoadCredentialEncrypted"])
    assert "scim-token" not in doors["LoadCredentialEncrypted"]
    assert sync["ProtectClock"] == ["yes"]


def test_modbus_tcp_opens_the_network_to_named_boards_only() -> None:
    dropped = settings(MODBUS_TCP)
    assert dropped["PrivateNetwork"] == ["no"]
    assert dropped["RestrictAddressFamilies"] == ["AF_INET"]
    assert dropped["IPAddressAllow"]
    assert "IPAddressDeny" not in dropped, "the unit's own stays in force"


# ------------------------------------------------------------------ users and folders, made for real in a folder


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A file system tree with Debian's groups that the units count on, and nothing else."""
    for folder in ("etc", "run", "var/lib"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc" / "group").write_text("root:x:0:\ndialout:x:20:\n")
    (tmp_path / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    return tmp_path


@pytest.fixture
def users(tree: Path) -> dict[str, list[str]]:
    """Groups and their members after systemd-sysusers."""
    command = ["systemd-sysusers", f"--root={tree}", UNITS / "sysusers.d" / "latchd.conf"]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    lines = (line.split(":") for line in (tree / "etc" / "group").read_text().splitlines())
    return {fields[0]: [member for member in fields[3].split(",") if member] for fields in lines}


def test_sysusers_makes_every_name_that_the_units_use(users: dict[str, list[str]], tree: Path) -> None:
    passwd = {line.split(":")[0] for line in (tree / "etc" / "passwd").read_text().splitlines()}
    for unit in ("doors", "sync"):
        service = settings(UNITS / f"latchd-{unit}.service")
        assert service["User"][0] in passwd
        named = [*service["Group"], *" ".join(service.get("SupplementaryGroups", [])).split()]
        assert set(named) <= users.keys()
    assert users["latchd"] == ["latchd-doors", "latchd-sync"]
    assert "latchd-operators" in users
    assert "latchd-viewers" in users


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd-tmpfiles changes owners, which root alone may")
@pytest.mark.usefixtures("users")
def test_tmpfiles_makes_a_folder_for_each_process_that_the_other_only_reads(tree: Path) -> None:
    command = ["systemd-tmpfiles", f"--root={tree}", "--create", UNITS / "tmpfiles.d" / "latchd.conf"]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    groups = dict(line.split(":")[0:3:2] for line in (tree / "etc" / "group").read_text().splitlines())
    users = dict(line.split(":")[0:3:2] for line in (tree / "etc" / "passwd").read_text().splitlines())
    shared = int(groups["latchd"])
    expected = {
        "etc/latchd": (0o750, 0, shared),
        "var/lib/latchd": (0o750, 0, shared),
        "run/latchd": (0o755, 0, 0),
    }
    for unit in ("doors", "sync"):
        owner = int(users[f"latchd-{unit}"])
        expected |= {
            f"var/lib/latchd/{unit}": (0o2750, owner, shared),
            f"run/latchd/{unit}": (0o755, owner, shared),
        }
        writable = settings(UNITS / f"latchd-{unit}.service")["ReadWritePaths"][0].split()
        assert [path for path in writable if path.lstrip("/") not in expected] == []
    for folder, (mode, owner, group) in expected.items():
        status = (tree / folder).stat()
        assert (status.st_mode & 0o7777, status.st_uid, status.st_gid) == (mode, owner, group), folder


# ------------------------------------------------------------------ MemoryDenyWriteExecute=

UNDER_MDWE = """
import ctypes, mmap, struct, sys

numbers = {"x86_64": (0xC000003E, 9, 10, 329), "aarch64": (0xC00000B7, 222, 226, 288)}
architecture, nr_mmap, nr_mprotect, nr_pkey_mprotect = numbers[sys.argv[1]]

LOAD, EQUAL, AND, RETURN = 0x20, 0x15, 0x54, 0x06
ALLOW, DENY = 0x7FFF0000, 0x00050001  # SECCOMP_RET_ALLOW, SECCOMP_RET_ERRNO with EPERM
WRITE_AND_EXECUTE, EXECUTE = 6, 4
program = [  # operation, jump if true, jump if false, operand
    (LOAD, 0, 0, 4), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, ALLOW),
    (LOAD, 0, 0, 0), (EQUAL, 3, 0, nr_mmap), (EQUAL, 6, 0, nr_mprotect), (EQUAL, 5, 0, nr_pkey_mprotect),
    (RETURN, 0, 0, ALLOW),
    (LOAD, 0, 0, 32), (AND, 0, 0, WRITE_AND_EXECUTE), (EQUAL, 4, 0, WRITE_AND_EXECUTE), (RETURN, 0, 0, ALLOW),
    (LOAD, 0, 0, 32), (AND, 0, 0, EXECUTE), (EQUAL, 0, 1, EXECUTE), (RETURN, 0, 0, DENY), (RETURN, 0, 0, ALLOW),
]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in program))
header = struct.pack("HxxxxxxQ", len(program), ctypes.addressof(code))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # PR_SET_NO_NEW_PRIVS
assert libc.prctl(22, 2, header) == 0  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER

try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    print("enforced")

import importlib, pkgutil
for house in ("cache", "drivers", "daemon"):
    package = importlib.import_module(house)
    for module in pkgutil.walk_packages(package.__path__, house + "."):
        importlib.import_module(module.name)

import gpiod, pydantic, pymodbus.client, requests, serial, sqlite3, ssl
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
encryptor = Cipher(algorithms.AES(bytes(16)), modes.CBC(bytes(16))).encryptor()
assert encryptor.update(bytes(16)).hex() == "66e94bd4ef8a2c3b884cfa59ca342b2e"
ssl.create_default_context()
connection = sqlite3.connect(":memory:")
connection.create_function("twice", 1, lambda value: 2 * value)
assert connection.execute("SELECT twice(21)").fetchone() == (42,)
from daemon.doors.clock import kernel_synchronised
kernel_synchronised()
print("lives")
"""


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="the filter needs this machine's numbers"
)
def test_latchd_lives_without_memory_that_is_writable_and_executable() -> None:
    """The filter is what MemoryDenyWriteExecute= installs; cffi and ctypes might have needed such memory."""
    run = subprocess.run(
        [sys.executable, "-c", UNDER_MDWE, platform.machine()],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert run.stdout.split() == ["enforced", "lives"], run.stderr
