"""What went over the wires of the cabinet, from the taps of its paced buses."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

READER_BAUD, BOARD_BAUD = 9600, 19200


def frames(tap: Path, sender: str, gap: float) -> Iterator[tuple[float, float, bytes]]:
    """The frames of a sender on a tapped bus: start of the first byte's delivery, of the last, and the bytes."""
    begin = end = 0.0
    content = b""
    for line in tap.read_text(encoding="ascii").splitlines():
        parts = line.split()
        if len(parts) != 3 or parts[1] != sender:
            continue
        at = float(parts[0])
        if content and at - end > gap:
            yield begin, end, content
            content = b""
        if not content:
            begin = at
        end = at
        content += bytes.fromhex(parts[2])
    if content:
        yield begin, end, content


def read_to_relay(directory: Path, since: float) -> float | None:
    """Seconds from the end of the reader's card report to the start of the relay's frame, both on the wire.

    A card report in the secure channel is longer than any acknowledgement; the relay's pulse is Modbus
    function 05 at 0x0200.
    """
    reports = [
        end
        for _, end, content in frames(directory / "readers" / "tap", "pd", 0.004)
        if len(content) > 20 and end > since
    ]
    pulses = [
        begin for begin, _, content in frames(directory / "io" / "tap", "cp", 0.003)
        if content[1:3] == b"\x05\x02" and begin > since
    ]  # fmt: skip
    if not reports or not pulses:
        return None
    character = 10 / BOARD_BAUD
    return pulses[0] - character - max(end for end in reports if end < pulses[0])
