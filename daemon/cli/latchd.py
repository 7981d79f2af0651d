"""``latchd``: the processes of the controller, and the check of a site file.

Each command imports what it runs: the process that opens doors does not even load an HTTP library, and a
controller is back sooner after a restart.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from daemon.cli.common import config_option, counted, json_option, print_json, run, start_logging
from daemon.cli.replay import replay
from daemon.config.brake import OLDER_LIMITS
from daemon.config.load import Scope, load_site
from daemon.config.secrets import read_secret
from daemon.config.site import unattended_locks
from daemon.control.protocol import plain
from daemon.processes.supervise import supervise


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="latchd", prog_name="latchd")
@click.option("--verbose", "-v", is_flag=True, help="Log every detail.")
def latchd(verbose: bool) -> None:
    """The door controller: decides badges on the controller itself, with or without a network."""
    start_logging(verbose)


@latchd.command("check-config", short_help="Check a site file; no device is opened.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--without-secrets", is_flag=True, help="Do not look for the secrets that the file refers to.")
def check_config(file: Path, without_secrets: bool) -> None:
    """Check a site file as start-up does: every fault with its line; no device is opened."""
    site = load_site(file, None if without_secrets else read_secret)
    click.echo(
        f"{file} is good: {counted(len(site.tables.door), 'door')}, "
        f"{counted(len(site.devices.readers), 'reader')}, {counted(len(site.levels), 'access level')}"
    )
    if site.tables.scim is not None and site.tables.scim.limits is not None:
        click.echo(f"note: {OLDER_LIMITS}")
    for door, why in unattended_locks(site):
        click.echo(f"note: door.{door}: if the daemon is killed during a strike: {why}")


@latchd.command(short_help="Run the process that opens doors.")
@config_option
def doors(config: Path) -> None:
    """Run the process that opens doors; it never uses the network."""
    from daemon.processes.doors import serve_doors

    asyncio.run(serve_doors(load_site(config, scope=Scope.DOORS)))


@latchd.command(short_help="Run the process that reads people from the SCIM server.")
@config_option
@click.option("--once", is_flag=True, help="Sync once, print the result and exit with its code.")
@click.option("--dry-run", is_flag=True, help="With --once: print what would change, and change nothing.")
@json_option
def sync(config: Path, once: bool, dry_run: bool, as_json: bool) -> None:
    """Run the process that reads people and groups from the SCIM server; it never uses a device."""
    from daemon.cli.sync import outcome_lines, show_progress
    from daemon.processes.sync import serve_sync, sync_service

    site = load_site(config, scope=Scope.SYNC)
    if (dry_run or as_json) and not once:
        raise click.UsageError("--dry-run and --json go with --once; ask a running sync with latchctl sync")
    with sync_service(site) as service:
        if not once:
            asyncio.run(serve_sync(site, service))
            return
        outcome = service.run_once(dry_run, None if as_json else show_progress)
    print_json(outcome) if as_json else click.echo("\n".join(outcome_lines(plain(outcome))))
    raise SystemExit(outcome.exit_code)


@latchd.command("run", short_help="Run both together, for a bench or a demo.")
@config_option
def run_both(config: Path) -> None:
    """Run doors and sync together, for a bench or a demo; on a controller each is a systemd unit of its own.

    A site without [scim] has no sync.
    """
    site = load_site(config)  # before the children do, so that a wrong file is reported once
    raise SystemExit(supervise(["doors", "sync"] if site.tables.scim is not None else ["doors"], config))


@latchd.command("simulate")
@click.argument("files", type=click.Path(path_type=Path, dir_okay=False), nargs=-1, required=True)
@click.option("--trace", is_flag=True, help="Print the events.")
@json_option
def simulate_files(files: tuple[Path, ...], trace: bool, as_json: bool) -> None:
    """Play scenario FILES. Exit code 0: every expectation held; 1: one did not; 2: a file is wrong."""
    from daemon.cli.simulate import simulate_all

    raise SystemExit(simulate_all(files, as_json, trace))


latchd.add_command(replay)


def main() -> None:
    """The entry point of ``latchd``."""
    run("latchd", latchd)


if __name__ == "__main__":
    main()
