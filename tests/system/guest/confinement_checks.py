"""What the units forbid holds: shown on the running processes, and by a program that tries it in their place."""

from __future__ import annotations

import json
import re
from pathlib import Path

from controller import DOORS, HERE, SYNC, command, main_process
from report import check

PLACE = Path("/run/systemd/system")
REPORT = Path("/run/confinement.json")
PYTHON = "/opt/latchd/venv/bin/python"

BOTH = {
    "inet6": "ok", "packet": "EAFNOSUPPORT", "netlink": "EAFNOSUPPORT", "null": "ok", "write state": "EROFS",
    "write lock": "EROFS", "write shared memory": "EROFS",
    "write etc": "EROFS", "write program": "EROFS", "home": "EACCES", "site file": "ok",
    "sealed secrets": "EACCES", "set clock": "EPERM", "user namespace": "EPERM",
    "writable code": "EPERM", "other processes": "ENOENT",
}  # fmt: skip
# The serial port: the device is allowed, and the unit that runs holds it for itself alone.
EXPECTED = {
    DOORS: {**BOTH, "connect": "EAFNOSUPPORT", "inet6": "EAFNOSUPPORT", "gpiochip": "ok", "serial port": "EBUSY",
            "disk": "EPERM", "read clock state": "ok", "write doors": "ok", "write doors' run": "ok",
            "write sync": "EROFS", "write sync's run": "EROFS"},
    SYNC: {**BOTH, "connect": "ECONNREFUSED", "gpiochip": "ENOENT", "serial port": "ENOENT", "disk": "ENOENT",
           "read clock state": "EPERM", "write doors": "EROFS", "write doors' run": "EROFS",
           "write sync": "ok", "write sync's run": "ok"},
}  # fmt: skip


def processes() -> None:
    """Of the processes that run: doors has a network of its own without a way out, neither has a privilege."""
    networks = {unit: Path(f"/proc/{main_process(unit)}/ns/net").readlink() for unit in (DOORS, SYNC)}
    machine = Path("/proc/1/ns/net").readlink()
    interfaces = Path(f"/proc/{main_process(DOORS)}/net/dev").read_text().splitlines()[2:]
    alone = networks[DOORS] != machine and [line.split(":")[0].strip() for line in interfaces] == ["lo"]
    check("doors is in a network of its own, without a way out", alone and networks[SYNC] == machine)
    sockets = [Path(f"/proc/{main_process(DOORS)}/net/{name}") for name in ("tcp", "tcp6", "udp", "udp6", "raw")]
    check("doors has no network socket", all(len(path.read_text().splitlines()) == 1 for path in sockets))
    for unit in (DOORS, SYNC):
        text = Path(f"/proc/{main_process(unit)}/status").read_text()
        found = {name: re.search(rf"^{name}:\s*(\S+)", text, re.MULTILINE) for name in ("CapEff", "CapBnd")}
        none = all(match and int(match[1], 16) == 0 for match in found.values())
        confined = none and "NoNewPrivs:\t1" in text and "Seccomp:\t2" in text
        check(f"{unit} has no privilege and cannot gain one", confined)


def with_attempts(unit: str) -> str:
    """The text of a unit whose program is confinement.py, and which is done when that ends."""
    kept = [line for line in unit.splitlines() if not line.startswith(("ExecStart=", "Type=", "Restart="))]
    program = f"Type=oneshot\nExecStart={PYTHON} {HERE}/confinement.py\nStandardOutput=truncate:{REPORT}"
    return "\n".join(f"{line}\n{program}" if line == "[Service]" else line for line in kept) + "\n"


def attempts() -> None:
    """The unit with another program: every attempt ends as it should."""
    disk = Path("/dev/vda")
    disk.chmod(0o666)  # so that the unit alone stands in the way
    PLACE.mkdir(exist_ok=True)
    for unit in (DOORS, SYNC):
        (PLACE / f"confined-{unit}").write_text(with_attempts(Path("/etc/systemd/system", unit).read_text()))
    command("systemctl", "daemon-reload")
    for unit in (DOORS, SYNC):
        said = command("systemctl", "start", f"confined-{unit}").stdout
        found = json.loads(REPORT.read_text() or "{}")
        wrong = {name: found.get(name) for name, outcome in EXPECTED[unit].items() if found.get(name) != outcome}
        told = f"{len(found)} attempts" if not wrong else f"{wrong} {said}"
        check(
            f"{unit} may do what it needs and nothing else",
            not wrong and found.keys() == EXPECTED[unit].keys(),
            told,
        )
    disk.chmod(0o660)
