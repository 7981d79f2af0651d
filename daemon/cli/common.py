"""What both commands share: errors and exit codes, logging, how values are printed."""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import re
import shutil
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TypeVar, cast

import click

from cache.errors import LatchdError
from daemon.control.protocol import plain
from daemon.errors import ControlError
from daemon.names import check_names
from daemon.printable import printable, printable_lines

DEFAULT_CONFIG = Path("/etc/latchd/site.toml")
INTERNAL_ERROR = LatchdError.exit_code
USAGE_ERROR = 2
INTERRUPTED = 130

LEAST_WIDTH = 40
"""Columns below which a terminal wraps lines by itself."""

T = TypeVar("T")

log = logging.getLogger(__name__)

config_option = click.option(
    "--config",
    "-c",
    type=click.Path(path_type=Path, dir_okay=False),
    default=DEFAULT_CONFIG,
    envvar="LATCHD_CONFIG",
    show_default=True,
    help="The site file.",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def run(name: str, command: click.Group) -> NoReturn:
    """Run a command line. Every error becomes a message on standard error and an exit code."""
    stdout = sys.stdout
    try:
        check_names()
        sys.exit(command.main(prog_name=name, standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE_ERROR)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(INTERRUPTED)
    except LatchdError as error:
        # The faults of a site file are lines of our own; what a daemon says may hold names of a directory.
        words = printable(str(error)) if isinstance(error, ControlError) else printable_lines(str(error))
        click.echo(f"{name}: {words}", err=True)
        sys.exit(error.exit_code)
    except SystemExit:
        if sys.stdout is not stdout:  # click puts another in its place when the reader hung up, as `| head` does
            sys.exit(0)
        raise
    except Exception as error:
        if os.environ.get("LATCHD_DEBUG"):
            logging.getLogger(__name__).exception("internal error")
        click.echo(
            f"{name}: internal error ({type(error).__name__}: {printable(str(error))}). Please report it; "
            "LATCHD_DEBUG=1 shows where it happened.",
            err=True,
        )
        sys.exit(INTERNAL_ERROR)


def start_logging(verbose: bool = False) -> None:
    """Log to standard error; under systemd each line carries its priority instead of a time."""
    if "JOURNAL_STREAM" in os.environ:
        handler: logging.Handler = logging.StreamHandler()
        handler.setFormatter(_JournalFormatter("%(name)s: %(message)s"))
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(PrintableFormatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for noisy in ("urllib3", "apscheduler", "pymodbus", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class PrintableFormatter(logging.Formatter):
    """A log may hold names of a directory: they are shown and not obeyed, and forge no line of their own."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - the name is logging's
        """The line, with its message ``printable``."""
        record.message = printable_lines(record.message, "  ")
        return super().formatMessage(record)

    def formatException(self, ei: Any) -> str:  # noqa: N802 - the name is logging's
        """The stack, whose last line may quote a name."""
        return printable_lines(super().formatException(ei), "  ")


class _JournalFormatter(PrintableFormatter):
    """sd-daemon(3): ``<3>`` is an error, ``<4>`` a warning, ``<6>`` information, ``<7>`` detail."""

    def format(self, record: logging.LogRecord) -> str:
        """One line with its priority."""
        level = 3 if record.levelno >= logging.ERROR else 4 if record.levelno >= logging.WARNING else 6
        return f"<{7 if record.levelno < logging.INFO else level}>{super().format(record)}"


def print_json(value: object) -> None:
    """Print one line of JSON. What does not print is escaped, also where JSON would not ask for it."""
    line = json.dumps(plain(value), ensure_ascii=False)
    click.echo("".join(letter if letter.isprintable() else json.dumps(letter)[1:-1] for letter in line))


def table(rows: list[list[str]], header: list[str] | None = None) -> str:
    """Return columns that line up, for a terminal."""
    lines = ([header] if header else []) + rows
    if not lines:
        return ""
    widths = [max(len(click.unstyle(line[column])) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(map(_padded, line, widths)).rstrip() for line in lines)


def _padded(cell: str, width: int) -> str:
    return cell + " " * (width - len(click.unstyle(cell)))


def show(text: str) -> None:
    """Print text; on a terminal, wrap long lines to its width."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    click.echo(fold(text, width) if width >= LEAST_WIDTH else text)


def fold(text: str, width: int) -> str:
    """Wrap at words; continuation lines align with the last column starting in the left half, else indent 4."""
    return "\n".join(_folded(line, width) for line in text.split("\n"))


def _folded(line: str, width: int) -> str:
    left = click.unstyle(line)
    if len(left) <= width:
        return line
    columns = [gap.end() for gap in re.finditer(r"  +", left[: width // 2])]
    indent = columns[-1] if columns else 4
    folded, used = "", 0
    for word in re.split(r"( +)", line):
        length = len(click.unstyle(word))
        if used + length > width and used > indent:
            if word.isspace():
                continue
            folded, used = f"{folded.rstrip(' ')}\n{' ' * indent}", indent
        folded, used = folded + word, used + length
    return folded


def printable_all(value: T) -> T:
    """Return a report with every text in it ``printable``, at any depth."""
    made: Any = value
    if isinstance(value, str):
        made = printable(value)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner = {field.name: printable_all(getattr(value, field.name)) for field in dataclasses.fields(value)}
        made = dataclasses.replace(value, **inner)
    elif isinstance(value, dict):
        made = {printable_all(key): printable_all(inner) for key, inner in value.items()}
    elif isinstance(value, list | tuple):
        made = type(value)(map(printable_all, value))
    return cast(T, made)


def local_time(at: str) -> str:
    """Return an instant in the local time of the terminal, with its offset."""
    return datetime.fromisoformat(at).astimezone().isoformat(" ", "seconds")


def counted(number: int, what: str) -> str:
    """Return ``1 door``, ``2 doors``."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
