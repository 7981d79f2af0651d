"""The demo is a test: its story goes to the end, and tells no secret."""

import subprocess
import sys
from pathlib import Path

import pytest

DAY = Path(__file__).with_name("day.py")


@pytest.mark.timeout(150)
def test_the_day_goes_as_told(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    command = [sys.executable, DAY, "--directory", directory]
    done = subprocess.run(command, capture_output=True, text=True, timeout=140, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "went as told" in done.stdout
    log = (directory / "latchd.log").read_text(encoding="utf-8")
    assert "Traceback" not in log, log
    for secret in ("site-key", "scim-token", "scbk-lobby-in"):
        assert (directory / secret).read_text(encoding="ascii") not in log + done.stdout
