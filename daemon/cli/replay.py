"""``latchd replay``: a recorded bus through the machine of its driver, without the bus."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from daemon.cli.common import json_option, print_json
from daemon.cli.frames import driver_of, frames_of, print_frames, write_pcap
from daemon.config.secrets import read_secret
from daemon.errors import ConfigError
from drivers import recording as form
from drivers.cards.formats import built_in_formats
from drivers.cards.layout import CardError, LayoutError
from drivers.cards.tables import CardFormatTable
from drivers.driver import Context, DriverUsageError, SecretReference
from drivers.recording import Recording, RecordingError, Replayed, comparable, event_words

Secret = Callable[[SecretReference], bytes]


@click.command("replay", short_help="Feed recordings of a bus through its driver.")
@click.argument("files", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, required=True)
@click.option("--key", "keys", metavar="READER=REFERENCE", multiple=True, help="Where an OSDP reader's key is.")
@click.option("--show-cards", is_flag=True, help="Print card numbers and keys too; with --pcap, write them.")
@click.option("--decode", is_flag=True, help="Print the frames of an OSDP bus in words instead, without secrets.")
@click.option(
    "--pcap",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="OUT",
    help="Write the frames for Wireshark.",
)
@json_option
def replay(
    files: tuple[Path, ...],
    keys: tuple[str, ...],
    show_cards: bool,
    decode: bool,
    pcap: Path | None,
    as_json: bool,
) -> None:
    """Feed recordings, the oldest of its FILES first, through their driver and print the events.

    Exit code 0: what came out is what latchd made of it then. 1: it is something else. With --decode or --pcap
    nothing is replayed, and no key is needed.
    """
    recording = read(files)
    if decode or pcap is not None:
        if decode and show_cards and pcap is None:
            raise click.UsageError("--decode never shows cards; to see them, use --show-cards without it")
        support = frames_of(recording, files[-1])
        if pcap is not None:
            write_pcap(support, recording, pcap, shown=show_cards)
        if decode:
            print_frames(support, recording, as_json=as_json)
        return
    _compare(recording, files, keys, show_cards=show_cards, as_json=as_json)


def _compare(
    recording: Recording, files: tuple[Path, ...], keys: tuple[str, ...], *, show_cards: bool, as_json: bool
) -> None:
    replayed: list[str] = []
    try:
        for each in events_of(recording, dict(_pair(key) for key in keys), read_secret):
            words = event_words(each.event, shown=show_cards)
            replayed.append(comparable(words))
            print_json({"at": each.line.at, "event": words}) if as_json else click.echo(
                f"{each.line.at:.3f} {words}"
            )
    except (RecordingError, DriverUsageError, CardError, LayoutError) as error:
        raise ConfigError(f"{files[-1]}: {error}") from None
    then = [comparable(words) for words in recording.events]
    if replayed != then:
        at = next(
            (n for n, pair in enumerate(zip(replayed, then, strict=False)) if pair[0] != pair[1]), len(replayed)
        )
        was = then[at] if at < len(then) else "nothing more"
        click.echo(f"event {at + 1}: originally recorded: {was}", err=True)
        raise SystemExit(1)


def read(files: tuple[Path, ...]) -> Recording:
    """Read and parse. Raises ``ConfigError``."""
    try:
        return form.parse(file.read_text(encoding="utf-8") for file in files)
    except (OSError, UnicodeDecodeError, RecordingError) as error:
        raise ConfigError(f"{', '.join(map(str, files))} cannot be replayed: {error}") from None


def events_of(recording: Recording, keys: dict[str, str], secret: Secret) -> Iterator[Replayed]:
    """Replay a recording. ``keys`` stand in for the references in its settings. Raises ``RecordingError``."""
    kind = driver_of(recording)
    assert kind.recording is not None
    bus = None if kind.bus_settings is None else form.restore(kind.bus_settings, recording.bus)
    reader, board = kind.reader_settings or kind.board_settings, kind.board_settings or kind.reader_settings
    assert reader is not None
    assert board is not None
    texts = _with_keys(recording.devices, keys)
    if kind.bus_settings is None and len(texts) != 1:
        raise RecordingError(f"the recording has {len(texts)} devices; a {kind.name} recording has one")
    devices = {
        name: form.restore(board if name in recording.boards else reader, text) for name, text in texts.items()
    }
    tables = {name: form.restore(CardFormatTable, text) for name, text in recording.formats.items()}
    formats = built_in_formats().extended(tables)
    context = Context(lambda event: None, time.monotonic, secret, formats)
    return kind.recording.replay(recording, bus, devices, context)


def _with_keys(devices: Mapping[str, str], keys: Mapping[str, str]) -> dict[str, str]:
    """The settings of the devices, as JSON, with other references to their keys."""
    texts = dict(devices)
    for name, reference in keys.items():
        settings = form.settings_of(texts[name]) if name in texts else {}
        if "key" not in settings:
            raise RecordingError(f'the recording has no reader "{name}" with a key')
        texts[name] = json.dumps({**settings, "key": reference})
    return texts


def _pair(text: str) -> tuple[str, str]:
    name, equals, reference = text.partition("=")
    if not equals or not name or not reference:
        raise click.UsageError("--key is READER=REFERENCE, such as lobby-in=file:/root/lobby-in.key")
    return name, reference
