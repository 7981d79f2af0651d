"""A whole cabinet on this machine: SCIM server, OSDP reader and relay board as processes of their own, and latchd.

Shared by the demo and by the tests that need everything at once. All of it lives below one directory and on
loopback; ``close`` ends every process that was started here, by its pid.
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from zoneinfo import ZoneInfo

import psutil

from daemon.control.client import ask_one, is_running
from daemon.errors import ControlError
from drivers.cards.formats import built_in_formats
from tests.demo.peer import PATIENCE, Peer, UnexpectedError
from tests.demo.wire import BOARD_BAUD, READER_BAUD
from tests.peers.scim_server import ScimClient, ScimServer, start_scim_server

ROOT = Path(__file__).resolve().parents[2]
PEERS = ROOT / "tests" / "peers"
EXAMPLE = ROOT / "docs" / "examples" / "site.toml"
BIN = Path(sys.executable).parent

FACILITY = 57
SETTLED = 1.0
"""Seconds after which a reader that came online has said that its queue is empty, many times over."""


@dataclass
class Cabinet:
    """Everything of one site. ``directory`` is empty at first and belongs to it; ``more`` goes into ``[scim]``."""

    directory: Path
    strike_time: float = 5.0
    more: str = ""
    peers: dict[str, Peer] = field(default_factory=dict)
    scim: ScimServer | None = None
    people: dict[str, str] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    daemon: subprocess.Popen[bytes] | None = None

    # -------------------------------------------------------------- start and stop

    def __enter__(self) -> Self:
        """Start the peers; latchd is started by ``start_latchd``."""
        try:
            self._start_peers()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything."""
        self.close()

    def _start_peers(self) -> None:
        here = self.directory
        for name in ("readers", "io"):
            (here / name).mkdir(parents=True)
        self._write_secrets()
        self.scim = start_scim_server(token=self.secret("scim-token"))
        self._bus("readers", READER_BAUD, "cp", "pd")
        self._bus("io", BOARD_BAUD, "cp", "board")
        self.peers["reader"] = Peer.start(
            sys.executable, PEERS / "osdp_reader.py", "--port", here / "readers" / "pd", "--address", "0",
            "--key", self.secret("scbk-lobby-in"), "--baud", str(READER_BAUD),
        )  # fmt: skip
        self.peers["board"] = Peer.start(
            sys.executable, PEERS / "modbus_board.py", "--port", here / "io" / "board",
            "--unit", "1", "--kind", "waveshare-8ch", "--baud", str(BOARD_BAUD),
        )  # fmt: skip
        for name in ("reader", "board"):
            self.peers[name].wait_for(f"the {name}", lambda line: line.get("event") == "ready")
        self.contact(closed=True)
        self._write_site()

    def _bus(self, name: str, baud: int, *nodes: str) -> None:
        here = self.directory / name
        links = [part for node in nodes for part in ("--link", here / node)]
        bus = Peer.start(
            sys.executable, PEERS / "rs485bus.py", "--baud", str(baud), *links,
            "--tap", here / "tap", "--ctl", here / "ctl",
        )  # fmt: skip
        self.peers[f"bus {name}"] = bus
        bus.wait_for(f"the bus {name}", lambda line: line.get("event") == "ready")

    def close(self) -> None:
        """End every process that was started here."""
        self.stop_latchd()
        for peer in reversed(self.peers.values()):
            peer.stop()
        self.peers.clear()
        if self.scim is not None:
            self.scim.stop()

    # -------------------------------------------------------------- the site file

    def _write_secrets(self) -> None:
        values = {
            "site-key": secrets.token_hex(32),
            "scim-token": secrets.token_hex(16),
            "scbk-lobby-in": secrets.token_hex(16),
        }
        for name, value in values.items():
            with open(
                self.directory / name, "w", opener=lambda p, f: os.open(p, f, 0o600), encoding="ascii"
            ) as file:
                file.write(value)

    def secret(self, name: str) -> str:
        """A secret of this cabinet."""
        return (self.directory / name).read_text(encoding="ascii")

    def _write_site(self) -> None:
        """The example of the docs, with this cabinet's ports, address, folders and time of day."""
        assert self.scim is not None
        here = self.directory
        values = {
            '"https://directory.example.com/scim/v2"': f'"{self.scim.url}"',
            '"Europe/Berlin"': f'"{zone_where_it_is_noon()}"',
            '"/dev/ttyRS485-1"': f'"{here / "readers" / "cp"}"',
            '"/dev/ttyRS485-0"': f'"{here / "io" / "cp"}"',
            '"credential:latchd-site-key"': f'"file:{here / "site-key"}"',
            '"credential:scim-token"': f'"file:{here / "scim-token"}"',
            '"credential:scbk-lobby-in"': f'"file:{here / "scbk-lobby-in"}"',
            'strike_time = "5s"': f'strike_time = "{self.strike_time:g}s"',
            "[scim]\n": f"[scim]\n{self.more}\n",
        }
        text = EXAMPLE.read_text(encoding="utf-8")
        for old, new in values.items():
            assert old in text, f"the example has no {old}"
            text = text.replace(old, new)
        text += f'\n[state]\ndirectory = "{here / "state"}"\n'
        text += f'\n[control]\nsocket = "{here / "control.sock"}"\nsync_socket = "{here / "sync.sock"}"\n'
        self.site_file.write_text(text, encoding="utf-8")

    @property
    def site_file(self) -> Path:
        """The site file that latchd is started with."""
        return self.directory / "site.toml"

    # -------------------------------------------------------------- latchd

    def start_latchd(self, command: str = "run") -> None:
        """Start ``latchd run`` (or ``doors``) and wait until its control socket answers."""
        self.log = (self.directory / "latchd.log").open("ab")
        with self.log:
            self.daemon = subprocess.Popen(
                [BIN / "latchd", command, "--config", self.site_file], stdout=self.log, stderr=self.log
            )
        self.wait_until("latchd", self.answers)

    def answers(self) -> bool:
        """Whether the doors process answers at its socket. ``UnexpectedError`` when latchd has ended."""
        if self.daemon is not None and (code := self.daemon.poll()) is not None:
            last = (self.directory / "latchd.log").read_text(encoding="utf-8").strip().splitlines()[-1:]
            raise UnexpectedError(f"latchd ended with exit code {code}: {''.join(last)}")
        return is_running(self.directory / "control.sock")

    def daemon_pid(self, command: str) -> int:
        """The process id of ``latchd doors`` or ``latchd sync``."""
        assert self.daemon is not None
        for child in psutil.Process(self.daemon.pid).children():
            with suppress(psutil.Error):
                if command in child.cmdline():
                    return child.pid
        raise UnexpectedError(f"latchd {command} does not run")

    def kill_latchd(self) -> None:
        """``kill -9`` for the whole of it, as a power cut would end it."""
        assert self.daemon is not None
        self.daemon.send_signal(signal.SIGSTOP)
        children = psutil.Process(self.daemon.pid).children()
        for child in children:
            child.kill()
        self.daemon.kill()
        self.daemon.wait()
        psutil.wait_procs(children, PATIENCE)  # one that is in fsync dies late, and its socket with it
        self.daemon = None

    def stop_latchd(self) -> None:
        """End it as systemd would."""
        if self.daemon is None:
            return
        self.daemon.terminate()
        try:
            self.daemon.wait(15)
        except subprocess.TimeoutExpired:
            self.kill_latchd()
        self.daemon = None

    def latchctl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``latchctl``."""
        command = [BIN / "latchctl", "--config", self.site_file, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    def status(self) -> dict[str, Any]:
        """What ``latchctl status --json`` prints, without a process for each look."""
        answer: dict[str, Any] = ask_one(self.directory / "control.sock", "status", PATIENCE)
        return answer

    def wait_for_devices(self) -> None:
        """Wait until reader and board answer, and until cards are not refused as possibly queued any more."""
        self.wait_until("devices online", lambda: all(device["online"] for device in self.status()["devices"]))
        time.sleep(SETTLED)

    def follow(self) -> Peer:
        """``latchctl events --follow --json`` from the first event on; one at a time."""
        if "follower" in self.peers:
            self.peers["follower"].stop()
        self.peers["follower"] = Peer.start(
            BIN / "latchctl", "--config", self.site_file, "events", "--after", "0", "--follow", "--json",
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        return self.peers["follower"]

    def wait_until(self, what: str, holds: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Ask until it holds; ``UnexpectedError`` when it does not in time."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            with suppress(ControlError):  # the daemon may be between two lives
                if holds():
                    return
            time.sleep(0.05)
        raise UnexpectedError(f"{what}: not within {patience:.0f} s")

    # -------------------------------------------------------------- people and things

    def client(self) -> ScimClient:
        """What the identity provider uses to write into the SCIM server."""
        assert self.scim is not None
        return self.scim.client()

    def provision(self, groups: dict[str, dict[str, int]]) -> None:
        """Provision people as an identity provider does: group name -> person -> card number."""
        with self.client() as client:
            for group, people in groups.items():
                for name, number in people.items():
                    cards = f"H10301:{FACILITY}:{number}"
                    self.people[name] = client.create_user(name.lower(), name, cards=cards)
                self.groups[group] = client.create_group(group, [self.people[name] for name in people])

    def badge(self, number: int) -> float:
        """Present a card at the reader; when, in seconds of the monotonic clock."""
        length, value = card_bits(number)
        at = time.monotonic()
        self.peers["reader"].tell(f"card {value:0{length}b}")
        return at

    def contact(self, closed: bool) -> None:
        """Open or close the door: its contact is normally closed."""
        self.peers["board"].tell(f"input 1 {'on' if closed else 'off'}")

    def relay(self) -> bool:
        """Whether the lock's relay is on, as the board itself has it."""
        moves = [
            line for line in self.peers["board"].lines if line.get("event") == "output" and line["output"] == 1
        ]
        return bool(moves) and bool(moves[-1]["on"])

    def bus(self, name: str, line: str) -> None:
        """A control line to a bus: ``cut cp``, ``loss 0.01``."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as control:
            control.sendto(line.encode(), str(self.directory / name / "ctl"))


def card_bits(number: int) -> tuple[int, int]:
    """The raw read of a card of this site."""
    return built_in_formats().encode("H10301", FACILITY, number)


def zone_where_it_is_noon() -> str:
    """A time zone in which it is now about noon, so that the day's story can be told at any time of day."""
    now = datetime.now(UTC)
    zones = [f"Etc/GMT{hours:+d}" for hours in range(-14, 13)]
    return min(zones, key=lambda zone: abs(now.astimezone(ZoneInfo(zone)).hour - 12))
