"""``latchctl drivers``: what can be used, where it comes from, and why something cannot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from daemon.cli.latchctl import latchctl
from drivers.registry import BUILT_IN


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a driver that cannot be imported, and one that takes a built-in name."""
    info = tmp_path / "acme_locks-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-locks\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text(
        "[latchd.drivers]\nacme = acme_absent:DRIVER\nosdp = acme_absent:MINE\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_each_driver_has_its_line_and_a_broken_one_says_why() -> None:
    result = CliRunner().invoke(latchctl, ["drivers"])
    assert result.exit_code == 0
    rows = [line.split(maxsplit=1) for line in result.output.splitlines()[1:] if line[:1].strip()]
    usable = {name: rest.split() for name, rest in rows if rest.split() == ["latchd", "usable"]}
    assert set(usable) == set(BUILT_IN) - {"sim"}
    words = " ".join(result.output.split())
    assert "sim latchd usable with allow_simulation = true" in words
    assert "acme acme-locks 1.2" in words
    assert "No module named 'acme_absent'" in words
    assert '"osdp" is a built-in driver and cannot be replaced' in words


def test_as_json_with_the_simulated_one_marked() -> None:
    found = json.loads(CliRunner().invoke(latchctl, ["drivers", "--json"]).output)["drivers"]
    assert {each["entry"]["name"] for each in found if each["simulated"]} == {"sim"}
    assert {each["entry"]["name"] for each in found if each["problem"]} == {"acme", "osdp"}
