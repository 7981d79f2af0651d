"""The conformance suite on a paced RS-485 bus and on TCP, with the board in its own process."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.drivers.conformance import DriverConformance, Rig
from tests.drivers.modbus.rigs import rtu_rig, tcp_rig


class TestRtu(DriverConformance):
    has = frozenset({"output", "input"})

    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        with rtu_rig(directory) as (rig, _):
            yield rig


class TestTcp(DriverConformance):
    has = frozenset({"output", "input"})

    @contextlib.contextmanager
    def build(self, directory: Path) -> Iterator[Rig]:
        with tcp_rig() as rig:
            yield rig
