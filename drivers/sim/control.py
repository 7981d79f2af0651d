"""The words by which a bench or a person plays with simulated devices, one line each. Pure.

``badge READER bits:0110…`` · ``keys READER 1234#`` · ``input DEVICE.LINE on|off|short|open`` ·
``tamper DEVICE on|off`` · ``offline DEVICE [WHY…]`` · ``online DEVICE`` · ``outputs``

The answer is ``ok``, or the outputs as ``DEVICE.LINE on|off`` with blanks between, or ``error: `` and why.
"""

from __future__ import annotations

from drivers.driver import DriverUsageError
from drivers.events import DeviceEvent, InputState, Point
from drivers.simulated import SimulatedDevices

_SWITCH = {"on": True, "off": False}
_INPUT = {state.value: state for state in InputState}


def obey(bench: SimulatedDevices, line: str, now: float) -> tuple[tuple[DeviceEvent, ...], str]:
    """Carry out one line: the events that come of it, and the answer."""
    try:
        return _obey(bench, line.split(), now)
    except DriverUsageError as error:
        return (), f"error: {error}"


def _obey(bench: SimulatedDevices, words: list[str], now: float) -> tuple[tuple[DeviceEvent, ...], str]:
    match words:
        case ["badge", reader, card]:
            return bench.badge(reader, *_bits(card), now), "ok"
        case ["keys", reader, keys]:
            return bench.keys(reader, keys, now), "ok"
        case ["input", point, state] if state in _INPUT:
            return bench.set_input(_point(point), _INPUT[state], now), "ok"
        case ["tamper", device, state] if state in _SWITCH:
            return bench.tamper(device, _SWITCH[state], now), "ok"
        case ["offline", device, *why]:
            return bench.offline(device, now, " ".join(why) or "no reply"), "ok"
        case ["online", device]:
            return bench.online(device, now), "ok"
        case ["outputs"]:
            return (), " ".join(f"{point} {'on' if on else 'off'}" for point, on in bench.outputs().items())
    raise DriverUsageError(
        "expected badge READER bits:…, keys READER KEYS, input DEVICE.LINE on|off|short|open, "
        "tamper DEVICE on|off, offline DEVICE, online DEVICE, or outputs"
    )


def _point(text: str) -> Point:
    device, _, line = text.rpartition(".")
    return Point(device, line)


def _bits(text: str) -> tuple[int, int]:
    """Length and value of ``bits:0110…``; formats are for those who know them, a simulated reader sees bits."""
    prefix, _, digits = text.partition(":")
    if prefix != "bits" or not digits or set(digits) - {"0", "1"}:
        raise DriverUsageError("expected the card as bits: and then its bits as 0 and 1, first bit first")
    return len(digits), int(digits, 2)
