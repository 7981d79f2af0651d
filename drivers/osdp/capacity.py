"""What an OSDP bus can serve, in numbers: how long a round takes, and what is too long for its readers. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from drivers.osdp.profiles import Profile, profile_named
from drivers.osdp.settings import BAUDRATES, OsdpBus, OsdpReader

CHARACTER_BITS = 10
"""8N1 on the wire: start bit, eight data bits, stop bit (5.2)."""
SECURE_POLL, CLEAR_POLL = 28, 16
"""Characters of a poll and an answer without news, under the secure channel and in clear text."""
TURN_ROUND_CHARACTERS = 2
READER_TURN = 0.005
"""Seconds that an ordinary reader takes to begin its answer; the readers that were measured take 2 to 8 ms."""
HANDSHAKE_SHARE = 1.25
"""What a round takes while another reader comes up, in times of a calm one."""


def round_time(baudrate: int, readers: Mapping[str, OsdpReader]) -> float:
    """Seconds until each reader was polled once, when none has news."""
    return sum(_exchange(baudrate, reader) for reader in readers.values())


def _exchange(baudrate: int, reader: OsdpReader) -> float:
    characters = (CLEAR_POLL if reader.secure_channel == "off" else SECURE_POLL) + TURN_ROUND_CHARACTERS
    slow = max(reader.reply_time, profile_named(reader.profile).reply_time)
    turn = slow if slow > Profile().reply_time else READER_TURN
    return characters * CHARACTER_BITS / baudrate + turn


def refusals(bus: OsdpBus, readers: Mapping[str, OsdpReader]) -> Iterator[str]:
    """Why these readers cannot be served on this bus, with the numbers."""
    takes = round_time(bus.baudrate, readers)
    text = f"a round of {len(readers)} readers at {bus.baudrate} baud takes {takes:.2f} s"
    limits = {name: reader.queued_limit for name, reader in readers.items()}
    if limits and takes > min(limits.values()):
        name = min(limits, key=lambda reader: limits[reader])
        most = int(len(readers) * limits[name] / takes)
        yield (
            f"{text}, and reads are refused after {limits[name]:g} s (queued_limit of {name}): about"
            f" {most} readers fit; {_advice(bus, readers, limits[name])}"
        )
    channels = {name: profile_named(reader.profile).poll_within for name, reader in readers.items()}
    if channels and takes * HANDSHAKE_SHARE > min(channels.values()):
        name = min(channels, key=lambda reader: channels[reader])
        yield (
            f"{text}, a quarter more while a reader comes up, and {name} drops its secure channel after"
            f" {channels[name]:g} s without a poll (profile {readers[name].profile});"
            f" {_advice(bus, readers, channels[name] / HANDSHAKE_SHARE)}"
        )


def _advice(bus: OsdpBus, readers: Mapping[str, OsdpReader], limit: float) -> str:
    enough = [speed for speed in BAUDRATES if speed > bus.baudrate and round_time(speed, readers) <= limit]
    return f"set all to {enough[0]} baud, or use a second bus" if enough else "use a second bus"
