"""``latchctl``: the technician's command. Asks the running daemon, or reads the two databases when none runs.

Each command imports what it runs, so that the everyday ones answer soon also on a small controller.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import TypeAdapter

from daemon.cli.common import DEFAULT_CONFIG, json_option, print_json, printable_all, run, show, table
from daemon.cli.export import export
from daemon.cli.offline import recorded_events
from daemon.cli.reader import reader
from daemon.cli.render import doors_text, event_text, status_text
from daemon.cli.sync import sync
from daemon.cli.target import Target
from daemon.cli.why import access, why
from daemon.control.cache_status import read_cache
from daemon.control.client import ask_one, is_running
from daemon.control.reports import (
    DoorReport,
    JournalReport,
    StatusReport,
)
from daemon.doors.controller.orders import DoorAction

if TYPE_CHECKING:
    from daemon.config.site import Site

NEWEST, MOST_NEWEST = 50, 500
"""Events that are shown by default, and at most: they are in memory at once."""


CLEAR = "clear"
"""The word for ``DoorAction.RELEASE``, which does not release a lock; ``release`` is accepted too."""


class DoorActionWord(click.Choice[str]):
    """An action of ``latchctl door`` by its word; ``release`` is an older name of ``clear``."""

    def __init__(self) -> None:
        super().__init__([CLEAR if action is DoorAction.RELEASE else action.value for action in DoorAction])

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the action as the doors process knows it."""
        word = super().convert(CLEAR if value == DoorAction.RELEASE else value, param, ctx)
        return DoorAction.RELEASE.value if word == CLEAR else word


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="latchd", prog_name="latchctl")
@click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar="LATCHD_CONFIG",
    show_default=True,
    help="The site file, which names the sockets and databases.",
)
@click.option("--socket", type=click.Path(path_type=Path), help="The control socket of the doors process.")
@click.pass_context
def latchctl(context: click.Context, config: Path, socket: Path | None) -> None:
    """Inspect and operate the door controller of this machine."""
    context.obj = Target(config, socket)


@latchctl.command()
@json_option
@click.pass_obj
def status(target: Target, as_json: bool) -> None:
    """Show the state of doors, devices, cache and sync. Exit code 1: the doors process does not run."""
    socket = target.control()
    if is_running(socket):
        report = TypeAdapter(StatusReport).validate_python(ask_one(socket, "status"))
    else:
        with target.without_daemon() as site:
            report = _status_from_files(site)
    print_json(report) if as_json else show(status_text(report))
    if not report.running:
        raise SystemExit(1)


def _status_from_files(site: Site) -> StatusReport:
    from importlib.metadata import version

    from cache.directory.lookup import Lookup
    from cache.journal.reader import JournalReader
    from daemon.config.paths import Paths
    from daemon.doors import clock
    from daemon.doors.clock_quality import believed

    paths = Paths.of(site)
    with Lookup(paths.cache) as lookup, JournalReader(paths.journal) as journal:
        last = journal.last()
        now = believed(clock.now(), None if last is None else last.stamp.at.utc)
        cache, sync = read_cache(lookup, now)
        return StatusReport(
            site=site.name,
            version=version("latchd"),
            running=False,
            clock=now.quality.value,
            cache=cache,
            sync=sync,
            journal=JournalReport(last.sequence if last is not None else 0, None),
        )


@latchctl.command()
@click.option("--follow", "-f", is_flag=True, help="Continue as events happen.")
@click.option(
    "--count",
    "-n",
    type=click.IntRange(0, MOST_NEWEST),
    help=f"How many of the newest events, at most {MOST_NEWEST}.  [default: 50, or all with --since]",
)
@click.option("--after", type=click.IntRange(0), help="All events after this sequence number instead.")
@click.option("--name", "names", multiple=True, help="Only events of this name; may be repeated.")
@click.option("--door", help="Only events of this door.")
@click.option("--reader", help="Only events of this reader.")
@click.option("--person", help="Only events of this person (SCIM id).")
@click.option(
    "--since", help="Only events since this instant (2026-11-24T08:00:00+01:00), or since that long ago: `2h`."
)
@click.option("--until", help="Only events before this instant, or before so long ago.")
@click.option("--trace", is_flag=True, help="Show every rule of a decision and its answer.")
@json_option
@click.pass_obj
def events(
    target: Target, /, count: int | None, after: int | None, trace: bool, as_json: bool, **wanted: Any
) -> None:
    """List events, newest last; only durable events are listed."""
    if after is None and count is None and wanted["since"] is not None:
        after = 0
    arguments = {**wanted, "count": NEWEST if count is None else count, "after": after}
    for report in recorded_events(target, arguments):
        print_json(report) if as_json else show(event_text(report, trace))


@latchctl.command(short_help="Lock down, clear, unlock, lock, pulse or block a door.")
@click.argument("action", type=DoorActionWord())
@click.argument("door")
@click.option("--for", "length", help="For how long, such as 30m; else until it is cleared.")
@click.option("--until-edge", is_flag=True, help="Until the door's schedule changes next.")
@click.option("--reason", "--because", "because", default="", help="Why, for the record.")
@json_option
@click.pass_obj
def door(target: Target, /, action: str, door: str, length: str | None, as_json: bool, **options: Any) -> None:
    """Give an order for DOOR (a name, or `all`): lockdown, clear, unlock, lock, pulse or block.

    `clear` ends a lockdown, or else an override; `release` is its older name.
    """
    arguments = {"action": action, "door": door, "for": length, **options}
    reports = TypeAdapter(tuple[DoorReport, ...]).validate_python(ask_one(target.control(), "door", **arguments))
    print_json({"doors": reports}) if as_json else show(doors_text(reports))


@latchctl.command(short_help="Forget where a person is (anti-passback).")
@click.argument("person", required=False)
@click.option("--area", help="All people in this area, instead of one person.")
@click.pass_obj
def forgive(target: Target, person: str | None, area: str | None) -> None:
    """Forget where PERSON (SCIM id) is: the next entry is not an anti-passback violation."""
    if (person is None) is (area is None):
        raise click.UsageError("name a PERSON, or an area with --area")
    ask_one(target.control(), "forgive", person=person, area=area)
    click.echo(f"forgiven: {person if area is None else f'all people in {area}'}")


@latchctl.command()
@json_option
@click.pass_obj
def doctor(target: Target, as_json: bool) -> None:
    """Run all diagnostics. Exit code 1: at least one fault."""
    from daemon.cli.doctor import diagnose

    findings = tuple(diagnose(target))
    if as_json:
        print_json({"findings": findings})
    else:
        colours = {"ok": "green", "note": "yellow", "fault": "red"}
        rows = [[click.style(f.state, fg=colours[f.state]), f.check, f.text] for f in printable_all(findings)]
        show(table(rows))
    if any(finding.state == "fault" for finding in findings):
        raise SystemExit(1)


@latchctl.command(short_help="List the drivers that a site file may name.")
@json_option
def drivers(as_json: bool) -> None:
    """List the drivers that a site file may name, where each comes from, and whether it is usable."""
    from drivers.registry import check_drivers

    checks = check_drivers()
    if as_json:
        print_json({"drivers": checks})
        return
    good = {False: "usable", True: "usable with allow_simulation = true"}
    rows = [[c.entry.name, c.entry.origin, c.problem or good[c.simulated]] for c in checks]
    show(table(rows, ["DRIVER", "FROM", "STATE"]))


for command in (sync, why, access, reader, export):
    latchctl.add_command(command)


def main() -> None:
    """The entry point of ``latchctl``."""
    run("latchctl", latchctl)


if __name__ == "__main__":
    main()
