"""The frames of a recording, for ``latchd replay``: in words, or as a file for Wireshark."""

from __future__ import annotations

import os
from pathlib import Path

import click

from daemon.cli.common import print_json
from daemon.errors import ConfigError
from drivers.driver import DriverType
from drivers.recording import Recording, RecordingError, RecordingSupport
from drivers.registry import BrokenDriverError, UnknownDriverError, load

MODE = 0o600


def driver_of(recording: Recording) -> DriverType:
    """Return the driver that can replay the recording. Raises ``RecordingError``."""
    try:
        kind = load(recording.driver)
    except (UnknownDriverError, BrokenDriverError) as error:
        raise RecordingError(str(error)) from None
    if kind.recording is None:
        raise RecordingError(f'the driver "{kind.name}" cannot replay')
    return kind


def frames_of(recording: Recording, file: Path) -> RecordingSupport:
    """Return what the recording's driver brings to decode it. Raises ``ConfigError`` where it brings nothing."""
    try:
        support = driver_of(recording).recording
    except RecordingError as error:
        raise ConfigError(f"{file}: {error}") from None
    if support is None or support.decode is None or support.capture is None:
        raise ConfigError(
            f'{file}: the driver "{recording.driver}" has no frames to decode, only "osdp" has; '
            "use latchd replay without --decode and --pcap"
        )
    return support


def print_frames(support: RecordingSupport, recording: Recording, *, as_json: bool) -> None:
    """Print a line for each frame."""
    assert support.decode is not None
    for at, words in support.decode(recording):
        print_json({"at": at, "frame": words}) if as_json else click.echo(f"{at:.6f} {words}")


def write_pcap(support: RecordingSupport, recording: Recording, file: Path, *, shown: bool) -> None:
    """Write a new file for Wireshark, with secrets only if they are to be ``shown``, and report which it is."""
    assert support.capture is not None
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    except FileExistsError:
        raise click.ClickException(f"{file} already exists: choose another name, or move it away") from None
    except OSError as error:
        raise click.ClickException(f"{file} cannot be created: {error.strerror}") from None
    try:
        with os.fdopen(descriptor, "wb") as out:
            out.writelines(support.capture(recording, shown))
    except OSError as error:
        file.unlink(missing_ok=True)
        raise click.ClickException(f"{file} cannot be written: {error.strerror}") from None
    holds = (
        "card numbers and keys may stand in it in clear: delete it when it has served"
        if shown
        else "what may be a card, a PIN or a key is blanked; --show-cards writes it"
    )
    click.echo(f"{file}: {holds}", err=True)
