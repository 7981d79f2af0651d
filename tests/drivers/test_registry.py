"""The registry: lazy, tolerant of broken drivers until one is chosen, and strict about who owns a name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from drivers import registry
from drivers.driver import DriverType

Install = Callable[..., None]

GOOD = """
from drivers.driver import DriverType
DRIVER = DriverType("{name}", None, None, None, lambda settings: (frozenset(), frozenset()), lambda *parts: None)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Puts a distribution with entry points where importlib.metadata finds it, as pip would."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def _install(distribution: str, entry_points: dict[str, str], **modules: str) -> None:
        info = tmp_path / f"{distribution.replace('-', '_')}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n")
        points = "".join(f"{name} = {target}\n" for name, target in entry_points.items())
        (info / "entry_points.txt").write_text(f"[latchd.drivers]\n{points}")
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
            monkeypatch.delitem(sys.modules, name, raising=False)

    return _install


def test_built_in_names_are_all_listed_with_their_origin() -> None:
    listed = registry.driver_types()
    assert {"gpio", "modbus-rtu", "modbus-tcp", "osdp", "sim", "wiegand"} <= set(listed)
    assert listed["sim"].origin == "latchd"
    assert list(listed) == sorted(listed)


def test_listing_imports_no_driver() -> None:
    script = (
        "import sys; from drivers import registry; registry.driver_types();"
        "print([m for m in sys.modules if m.startswith('drivers.') and m.count('.') > 1]);"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert "gpio" not in done.stdout
    assert "osdp" not in done.stdout
    assert "modbus" not in done.stdout
    assert ".sim" not in done.stdout


def test_an_entry_point_is_loaded_by_name(install: Install) -> None:
    install("acme-locks", {"acme": "acme_driver:DRIVER"}, acme_driver=GOOD.format(name="acme"))
    assert registry.driver_types()["acme"].origin == "acme-locks 1.2"
    driver = registry.load("acme")
    assert isinstance(driver, DriverType)
    assert driver.name == "acme"


def test_a_broken_driver_harms_only_who_chooses_it(install: Install) -> None:
    install("acme-locks", {"acme": "acme_broken:DRIVER"}, acme_broken="raise RuntimeError('no such chip')\n")
    assert "acme" in registry.driver_types()
    assert registry.load("sim").name == "sim"
    checks = {check.entry.name: check for check in registry.check_drivers()}
    assert checks["sim"].problem == ""
    assert checks["sim"].simulated
    assert "RuntimeError: no such chip" in checks["acme"].problem
    with pytest.raises(registry.BrokenDriverError, match=r"acme-locks 1\.2.*no such chip"):
        registry.load("acme")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "has no attribute"),
        ("DRIVER = 7\n", "is a int, not a"),
        (GOOD.format(name="other"), 'calls itself "other"'),
    ],
)
def test_what_is_no_driver_type_of_that_name_is_refused(install: Install, source: str, message: str) -> None:
    install("acme-locks", {"acme": "acme_odd:DRIVER"}, acme_odd=source)
    with pytest.raises(registry.BrokenDriverError, match=message):
        registry.load("acme")


def test_a_built_in_name_cannot_be_taken_over(install: Install) -> None:
    install("evil-locks", {"sim": "evil_driver:DRIVER"}, evil_driver=GOOD.format(name="sim"))
    assert registry.load("sim").board_settings is not None
    refused = [check for check in registry.check_drivers() if check.entry.origin == "evil-locks 1.2"]
    assert "cannot be replaced" in refused[0].problem
    assert registry.driver_types()["sim"].origin == "latchd"


def test_a_name_that_two_distributions_claim_is_refused(install: Install) -> None:
    install("acme-locks", {"acme": "acme_a:DRIVER"}, acme_a=GOOD.format(name="acme"))
    install("acme-doors", {"acme": "acme_b:DRIVER"}, acme_b=GOOD.format(name="acme"))
    with pytest.raises(registry.BrokenDriverError, match=r"acme-doors 1\.2 and acme-locks 1\.2"):
        registry.load("acme")


@pytest.mark.parametrize(
    ("name", "near"), [("modbus-rut", "modbus-rtu"), ("Sim", "sim"), ("odsp", "osdp"), ("weigand", "wiegand")]
)
def test_an_unknown_name_gives_the_nearest(name: str, near: str) -> None:
    with pytest.raises(registry.UnknownDriverError, match=f'did you mean "{near}"'):
        registry.load(name)


def test_a_name_like_no_other_gives_the_list() -> None:
    with pytest.raises(registry.UnknownDriverError, match="there are: gpio, modbus-rtu"):
        registry.load("zzzz")
