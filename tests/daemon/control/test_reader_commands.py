"""The life of a reader's key: a doors process, libosdp's reader on a paced bus, and ``latchctl reader``."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from daemon.cli.latchctl import latchctl
from daemon.control.client import ask_one, is_running
from daemon.doors.reader_keys import secret_path, unseal
from daemon.errors import ControlError
from tests.peers.osdp_bench import Peers

BAUDRATE = 115200
SITE_KEY = bytes(range(32))
PATIENCE = 30.0
SITE = """
[site]
name = "Bench"
timezone = "UTC"
key = "file:{here}/key"
[state]
directory = "{here}/state"
[control]
socket = "{here}/control.sock"
[bus.wire]
driver = "osdp"
port = "{here}/cp"
baudrate = {baudrate}
[reader.lobby-in]
bus = "wire"
address = 0
key = "sealed"
[reader.yard-in]
bus = "wire"
address = 9
key = "file:{here}/scbk"
[door.lobby]
entry = "lobby-in"
lock = "reader:lobby-in/out0"
[[access_level]]
name = "Nobody"
groups = ["Staff"]
doors = ["lobby"]
"""


class Controller:
    """A doors process on its own bus, and the command line to it."""

    def __init__(self, here: Path, peers: Peers) -> None:
        self.here = here
        self.peers = peers
        self.sealed = here / "state" / "doors" / "reader-keys.sealed"
        self.socket = here / "control.sock"
        for name, secret in (("key", SITE_KEY.hex()), ("scbk", bytes(range(1, 17)).hex())):
            (here / name).write_text(secret)
            (here / name).chmod(0o600)
        (here / "site.toml").write_text(SITE.format(here=here, baudrate=BAUDRATE))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "daemon.cli.latchd", "doors", "-c", str(self.here / "site.toml")],
            stderr=subprocess.DEVNULL,
        )
        self.until(lambda: is_running(self.socket))

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def until(self, happened: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not happened():
            assert time.monotonic() < deadline, self.status()
            time.sleep(0.05)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(latchctl, ["-c", str(self.here / "site.toml"), *words])

    def do(self, *words: str) -> str:
        result = self.run(*words)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    def refused(self, *words: str) -> str:
        result = self.run(*words)
        assert isinstance(result.exception, ControlError), result.output
        return str(result.exception)

    def status(self) -> dict[str, Any]:
        """How ``lobby-in`` is."""
        report = json.loads(self.do("status", "--json"))
        return next(one for one in report["devices"] if one["device"] == "lobby-in")

    def online(self) -> bool:
        return bool(self.status()["online"])

    def polls(self) -> int:
        (count,) = re.findall(r"(\d+) polls", self.status()["text"])
        return int(count)

    def key(self) -> dict[str, Any]:
        report = json.loads(self.do("reader", "keys", "--json"))
        assert report["trouble"] is None
        return next(one for one in report["readers"] if one["reader"] == "lobby-in")

    def holds_two_keys(self) -> bool:
        """Whether both the old and the new key are on the disk."""
        key = SITE_KEY + secret_path(self.sealed).read_bytes()
        return len(unseal(self.sealed.read_bytes(), key)["lobby-in"].candidates) == 2

    def events(self, name: str) -> list[dict[str, Any]]:
        lines = self.do("events", "--json", "-n", "200", "--name", name).splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[Controller]:
    """A controller with one reader on the default key at address 0; not started yet."""
    with contextlib.closing(Peers(tmp_path, BAUDRATE, 2, "--speeds")) as peers:
        running = Controller(tmp_path, peers)
        yield running
        running.kill()


def test_a_reader_is_enrolled_used_rotated_and_revoked(controller: Controller) -> None:
    pd = controller.peers.reader(0, None)
    controller.start()
    controller.until(lambda: "default key" in controller.status()["text"])
    controller.until(lambda: controller.events("input.fault"))
    assert "default key" in controller.events("input.fault")[0]["detail"]["what"]
    assert "no key of its own yet" in controller.refused("reader", "rotate", "lobby-in")
    assert controller.key()["state"] == "none"

    assert "proved its new key" in controller.do("reader", "enrol", "lobby-in")
    first = controller.key()
    assert first["state"] == "sealed"
    assert controller.online()
    assert "default key" not in controller.status()["text"]
    assert "already" in controller.refused("reader", "enrol", "lobby-in")
    assert pd.expect("keyset")

    controller.until(lambda: controller.polls() >= 10)  # what it held from before is gone
    pd.tell("card 10110011100011110000111110")
    controller.until(lambda: controller.events("access.denied"))
    assert "on its way" in controller.do("reader", "text", "lobby-in", "Good morning", "--seconds", "5")
    assert pd.expect("text")

    controller.do("reader", "rotate", "lobby-in")
    second = controller.key()
    assert second["fingerprint"] != first["fingerprint"]
    controller.until(lambda: len(controller.events("operator")) == 5)  # what the journal holds survives the kill
    controller.kill()
    controller.start()
    controller.until(controller.online)
    assert controller.key()["fingerprint"] == second["fingerprint"]

    controller.do("reader", "revoke", "lobby-in", "--yes")
    assert not controller.online()
    assert "latchctl reader enrol" in controller.status()["text"]
    assert "did not take" in controller.refused("reader", "enrol", "lobby-in")
    assert not controller.online()
    controller.until(lambda: len(controller.events("operator")) == 7)
    orders = [(one["reader"], one["detail"]["action"]) for one in controller.events("operator")]
    assert orders == [
        ("lobby-in", f"reader.{action}")
        for action in ("rotate", "enrol", "enrol", "text", "rotate", "revoke", "enrol")
    ]


@pytest.mark.parametrize("taken", [False, True])
def test_a_crash_between_store_and_switch_loses_no_reader(controller: Controller, taken: bool) -> None:
    """``taken``: the reader has switched, and the crash comes before that is on the disk."""
    controller.peers.reader(0, None)
    controller.start()
    controller.do("reader", "enrol", "lobby-in")
    old = controller.key()
    controller.peers.wire("cut cp")
    with ThreadPoolExecutor(1) as pool:
        rotating = pool.submit(ask_one, controller.socket, "reader rotate", PATIENCE, reader="lobby-in")
        controller.until(controller.holds_two_keys)
        new = controller.key()
        shutil.copy(controller.sealed, controller.here / "copy")
        if taken:
            controller.peers.wire("join cp")
            assert rotating.result()["fingerprint"] == new["fingerprint"]
        controller.kill()
        if not taken:
            with pytest.raises(ControlError):
                rotating.result()
    controller.peers.wire("join cp")
    shutil.copy(controller.here / "copy", controller.sealed)
    controller.start()
    controller.until(controller.online)
    controller.until(lambda: controller.key()["state"] == "sealed")
    assert controller.key()["fingerprint"] == (new if taken else old)["fingerprint"]
    controller.do("reader", "rotate", "lobby-in")
    assert controller.online()


def test_another_reader_with_another_key_is_no_substitute(controller: Controller) -> None:
    pd = controller.peers.reader(0, None)
    controller.start()
    controller.do("reader", "enrol", "lobby-in")
    pd.end()
    controller.peers.reader(0, bytes(range(2, 18)), "--serial=2")
    controller.until(lambda: "wrong key" in controller.status()["text"])
    assert not controller.online()
    assert "is offline" in controller.refused("reader", "rotate", "lobby-in")
    assert controller.key()["state"] == "sealed"


def test_a_swapped_reader_is_an_event_over_a_restart_too(controller: Controller) -> None:
    pd = controller.peers.reader(0, None)
    controller.start()
    controller.do("reader", "enrol", "lobby-in")
    controller.until(lambda: controller.events("operator"))  # what the journal holds survives the kill
    controller.do("reader", "revoke", "lobby-in", "--yes")
    pd.end()
    controller.kill()
    controller.peers.reader(0, None, "--serial=2")
    controller.start()
    controller.do("reader", "enrol", "lobby-in")
    controller.until(
        lambda: any("another device" in e["detail"]["what"] for e in controller.events("input.fault"))
    )


def test_a_damaged_store_is_kept_and_said(controller: Controller) -> None:
    controller.peers.reader(0, None)
    controller.sealed.parent.mkdir(parents=True)
    controller.sealed.write_bytes(b"rubbish")
    controller.start()
    result = controller.run("reader", "keys")
    assert result.exit_code == 1
    assert "no file of reader keys" in result.output
    assert "no file of reader keys" in controller.refused("reader", "enrol", "lobby-in")
    assert controller.sealed.read_bytes() == b"rubbish"


def test_what_cannot_be_meant_is_refused(controller: Controller) -> None:
    controller.start()
    assert 'did you mean "lobby-in"' in controller.refused("reader", "enrol", "loby-in")
    assert 'needs key = "sealed"' in controller.refused("reader", "enrol", "yard-in")
    assert "no key is stored" in controller.refused("reader", "revoke", "yard-in", "--yes")
    assert 'no bus "nowhere"' in controller.refused("reader", "scan", "nowhere")
    assert "speeds are" in controller.refused("reader", "scan", "wire", "--speed", "1200")
    assert "is offline" in controller.refused("reader", "move", "yard-in", "3", "9600")
    assert controller.run("reader", "scan", "wire", "--addresses", "x").exit_code != 0


def test_a_scan_finds_a_reader_at_another_speed_and_address(controller: Controller) -> None:
    controller.peers.reader(0, None)
    controller.start()
    controller.do("reader", "enrol", "lobby-in")
    controller.until(lambda: controller.events("operator"))
    before = [event for event in controller.events("reader.offline") if event["reader"] == "lobby-in"]
    controller.peers.reader(1, None, "--baud=9600", "--serial=7")
    words = ("--addresses", "0-1", "--speed", "9600", "--speed", str(BAUDRATE))
    (found,) = controller.do("reader", "scan", "wire", "--json", *words).splitlines()
    assert json.loads(found) == {
        "address": 1,
        "baudrate": 9600,
        "identity": "vendor 5C2623 model 1.1 serial 00000007 firmware 1.2.3",
        "default_key": True,
        "garbled": False,
    }
    assert "found 1 reader" in controller.do("reader", "scan", "wire", *words)
    assert controller.online()
    after = [event for event in controller.events("reader.offline") if event["reader"] == "lobby-in"]
    assert after == before, "the scan cost the reader in service nothing"
