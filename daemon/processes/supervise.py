"""``latchd run``: both processes as children of one, each started again when it ends, as systemd would."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from daemon.errors import ConfigError

log = logging.getLogger(__name__)

RESTART_DELAY = 0.5
"""Seconds, as RestartSec= of the units."""

STOP_TIMEOUT = 10.0
"""Seconds until a child that does not stop is killed, as TimeoutStopSec= of the units."""

_PR_SET_PDEATHSIG = 1


def supervise(commands: list[str], config: Path) -> int:
    """Run ``latchd COMMAND`` for each until SIGTERM or SIGINT; the exit code is 0, or a child's usage error."""
    signals = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    children = {command: _start(command, config) for command in commands}
    try:
        while signal.sigwait(signals) == signal.SIGCHLD:
            for command, child in children.items():
                code = child.poll()
                if code is None:
                    continue
                if code == ConfigError.exit_code:
                    return code
                log.error("latchd %s ended (%s); starting it again", command, _how(code))
                time.sleep(RESTART_DELAY)
                children[command] = _start(command, config)
        return 0
    finally:
        _stop(list(children.values()))


def _start(command: str, config: Path) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, "-m", "daemon.cli.latchd", command, "--config", str(config)]
    return subprocess.Popen(arguments, preexec_fn=_die_with_parent)  # noqa: PLW1509, S603 - no thread runs here


def _die_with_parent() -> None:
    """A child outlives neither its parent nor the parent's blocked signals."""
    signal.pthread_sigmask(signal.SIG_SETMASK, set())
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)


def _stop(children: list[subprocess.Popen[bytes]]) -> None:
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _how(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
