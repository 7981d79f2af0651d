"""``latchd simulate``: plays scenario files against the real rules, without hardware and without waiting."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from daemon.cli.common import print_json
from daemon.control.reports import event_report
from daemon.errors import ConfigError
from daemon.simulate.expectations import event_line
from daemon.simulate.runner import Player
from daemon.simulate.scenario import parse

HELD, UNMET, WRONG = 0, 1, ConfigError.exit_code


def simulate_all(files: tuple[Path, ...], as_json: bool, trace: bool) -> int:
    """Play every file, also after one that is wrong; the exit code, the worst of all."""
    return max(_simulate(file, as_json, trace) for file in files)


def _simulate(file: Path, as_json: bool, trace: bool) -> int:
    try:
        return HELD if simulate(file, as_json, trace) else UNMET
    except ConfigError as error:
        click.echo(str(error), err=True)
        return WRONG


def simulate(file: Path, as_json: bool, trace: bool) -> bool:
    """Play one file, and say how it went; whether every expectation held. Raises ``ConfigError``."""
    try:
        text = file.read_text(encoding="utf-8-sig")  # as editors on Windows write it
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{file} is not UTF-8 text (byte {error.start})") from None
    steps = parse(text, str(file))
    with tempfile.TemporaryDirectory(prefix="latchd-") as directory:
        player = Player(file, Path(directory))
        failure = player.play(steps)
    for note in player.notes:
        click.echo(note, err=True)
    if as_json:
        for report in map(event_report, player.records):
            print_json(report)
    elif trace:
        for record in player.records:
            click.echo(event_line(record.stamp, record.event, player.site.zone))
    if failure is None:
        click.echo(f"{file}: every expectation held ({len(steps)} steps)", err=as_json)
        return True
    click.echo(f"{file}:{failure.step.line}: {failure.step.text}\n  {failure.text}", err=True)
    for remark in player.remarks:
        click.echo(f"  of the directory: {remark}", err=True)
    return False
