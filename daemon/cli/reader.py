"""``latchctl reader …``: keys of readers, and what else is on their bus."""

from __future__ import annotations

from typing import Any

import click

from daemon.cli.common import json_option, print_json, printable, printable_all, show, table
from daemon.cli.target import Target
from daemon.control.client import ask, ask_one

BAUDRATES = (9600, 19200, 38400, 57600, 115200, 230400)
ALL_ADDRESSES = "0-126"
SLOW = 60.0
"""Seconds that a reader may take for a new key, and a scan for a look at many silent addresses."""


@click.group(short_help="Keys of readers, and other readers on a bus.")
def reader() -> None:
    """Keys of readers: enrol, rotate, revoke; and readers on a bus that the site file does not know."""


@reader.command()
@json_option
@click.pass_obj
def keys(target: Target, as_json: bool) -> None:
    """Which readers have a key of their own, and since when. Exit code 1: the sealed keys cannot be used."""
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
    """Give READER, which answers to the default key, a random key of its own."""
    _order(target, "reader enrol", reader=reader)


@reader.command(short_help="Change a reader's key for another random one.")
@click.argument("reader")
@click.pass_obj
def rotate(target: Target, reader: str) -> None:
    """Change the key of READER, which is in service, for another random one."""
    _order(target, "reader rotate", reader=reader)


@reader.command(short_help="Forget a reader's key: it is offline at once.")
@click.argument("reader")
@click.confirmation_option(prompt="The reader must be reset by hand before it can be enrolled again. Go on?")
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
@click.option("--seconds", type=click.IntRange(1, 255), help="For how long; else until something else is shown.")
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
    """Look for readers on BUS that the site file does not know. Doors are served meanwhile."""
    asked = {"bus": bus, "addresses": parse_addresses(addresses), "baudrates": list(speeds or BAUDRATES)}
    count = 0
    # A silent place takes half a second with the turns of the readers in service, so silence can be long.
    for found in ask(target.control(), "reader scan", None, **asked):
        count += 1
        print_json(found) if as_json else show(_found_line(printable_all(found)))
    if not as_json:
        click.echo(f"{count} found that the site file does not know")


def _found_line(found: dict[str, Any]) -> str:
    says = "answers arrive garbled" if found["garbled"] else found["identity"] or "does not say who it is"
    key = "default key" if found["default_key"] else "not on the default key"
    return f"address {found['address']} at {found['baudrate']} baud: {says}; {key}"


def parse_addresses(text: str) -> list[int]:
    """``0-7,12`` as numbers. ``click.BadParameter``: it is no such list."""
    numbers: list[int] = []
    try:
        for part in text.split(","):
            first, _, last = part.partition("-")
            numbers += range(int(first), int(last or first) + 1)
    except ValueError:
        raise click.BadParameter(f'expected addresses such as 0-7 or 0,3,12, not "{text}"') from None
    return numbers
