"""``latchd simulate``: plays scenario files against the real rules, without hardware and without waiting."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from daemon.cli.common import print_json
from daemon.cli.render import event_text
from daemon.errors import ConfigError
from daemon.simulate.runner import Player
from daemon.simulate.scenario import parse


def simulate(file: Path, as_json: bool, trace: bool) -> bool:
    """Play one file, and say how it went; whether every expectation held. Raises ``ScenarioError``."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}") from None
    steps = parse(text, str(file))
    with tempfile.TemporaryDirectory(prefix="latchd-") as directory:
        player = Player(file, Path(directory))
        failure = player.play(steps)
    if as_json:
        for report in player.trace:
            print_json(report)
    elif trace:
        for report in player.trace:
            click.echo(event_text(report))
    if failure is None:
        click.echo(f"{file}: every expectation held ({len(steps)} steps)", err=as_json)
        return True
    click.echo(f"{file}:{failure.step.line}: {failure.step.text}\n  {failure.text}", err=True)
    return False
