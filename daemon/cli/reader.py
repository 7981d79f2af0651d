"""``latchctl reader …``: keys of readers, and readers on a bus that the site file does not name."""

from __future__ import annotations

from typing import Any

import click

from daemon.cli.common import counted, json_option, print_json, printable_all, show, table
from daemon.cli.target import Target
from daemon.control.client import ask, ask_one
from daemon.printable import printable

BAUDRATES = (9600, 19200, 38400, 57600, 115200, 230400)
ALL_ADDRESSES = "0-126"
SLOW = 60.0
"""Seconds that a reader may take for a new key, and a scan for many silent addresses."""


@click.group(short_help="Manage reader keys, and scan a bus for readers.")
def reader() -> None:
    """Manage reader keys, and find readers on a bus that are not in the site file."""


@reader.command()
@json_option
@click.pass_obj
def keys(target: Target, as_json: bool) -> None:
    """List the readers that have a key of their own, and since when. Exit code 1: the sealed keys are unusable."""
    report = ask_one(target.control(), "reader keys")
    if as_json:
        print_json(report)
    else:
        rows = [
            [one["reader"], one["state"], one["since"] or "-", one["fingerprint"] or "-"]
            for one in report["readers"]
        ]
        show(table(rows, ["READER", "KEY", "SINCE", "FINGERPRINT"]))
        if report["trouble"]:
            click.secho(report["trouble"], fg="red", err=True)
    if report["trouble"]:
        raise SystemExit(1)


@reader.command(short_help="Give a reader on the default key one of its own.")
@click.argument("reader")
@click.pass_obj
def enrol(target: Target, reader: str) -> None:
    """Give READER, which still has the default key, a random key of its own."""
    _order(target, "reader enrol", reader=reader)


@reader.command(short_help="Replace a reader's key by another random one.")
@click.argument("reader")
@click.pass_obj
def rotate(target: Target, reader: str) -> None:
    """Replace the key of READER, which is in service, by another random one."""
    _order(target, "reader rotate", reader=reader)


@reader.command(short_help="Forget a reader's key: it is offline at once.")
@click.argument("reader")
@click.confirmation_option(prompt="The reader must be reset by hand before it can be enrolled again. Continue?")
@click.pass_obj
def revoke(target: Target, reader: str) -> None:
    """Forget the key of READER: it is offline at once, until it was reset and enrolled again."""
    _order(target, "reader revoke", reader=reader)


@reader.command(short_help="Give a reader another address and speed.")
@click.argument("reader")
@click.argument("address", type=click.IntRange(0, 126))
@click.argument("baudrate", type=click.Choice([str(speed) for speed in BAUDRATES]))
@click.pass_obj
def move(target: Target, reader: str, address: int, baudrate: str) -> None:
    """Give READER, which is in service, another ADDRESS and BAUDRATE; then change the site file."""
    _order(target, "reader move", reader=reader, address=address, baudrate=int(baudrate))


@reader.command("text")
@click.argument("reader")
@click.argument("text")
@click.option("--seconds", type=click.IntRange(1, 255), help="For how long; else until another text is shown.")
@click.pass_obj
def show_text(target: Target, reader: str, text: str, seconds: int | None) -> None:
    """Show TEXT (32 ASCII characters at most) on READER."""
    _order(target, "reader text", reader=reader, text=text, seconds=seconds)


def _order(target: Target, command: str, **arguments: Any) -> None:
    done = ask_one(target.control(), command, SLOW, **arguments)
    key = f" (fingerprint {done['fingerprint']})" if done["fingerprint"] else ""
    show(printable(f"{done['reader']}: {done['text']}{key}"))


@reader.command()
@click.argument("bus")
@click.option("--addresses", default=ALL_ADDRESSES, show_default=True, help="Such as 0-7 or 0,3,12.")
@click.option("--speed", "speeds", type=int, multiple=True, help="Only this speed; may be repeated. Else all.")
@json_option
@click.pass_obj
def scan(target: Target, bus: str, addresses: str, speeds: tuple[int, ...], as_json: bool) -> None:
    """Scan BUS for readers that are not in the site file. Doors stay in service meanwhile."""
    asked = {"bus": bus, "addresses": parse_addresses(addresses), "baudrates": list(speeds or BAUDRATES)}
    count = 0
    # A silent address takes half a second between the turns of the readers in service: no time-out here.
    for found in ask(target.control(), "reader scan", None, **asked):
        count += 1
        print_json(found) if as_json else show(_found_line(printable_all(found)))
    if not as_json:
        click.echo(f"found {counted(count, 'reader')} not in the site file")


def _found_line(found: dict[str, Any]) -> str:
    identity = "answers arrive garbled" if found["garbled"] else found["identity"] or "does not identify itself"
    key = "default key" if found["default_key"] else "not on the default key"
    return f"address {found['address']} at {found['baudrate']} baud: {identity}; {key}"


def parse_addresses(text: str) -> list[int]:
    """Return ``0-7,12`` as numbers. Raise ``click.BadParameter`` for anything else."""
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        raise click.BadParameter(f'expected addresses such as 0-7 or 0,3,12, not "{text}"') from None
    return numbers
