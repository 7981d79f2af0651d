"""What both commands share: how errors leave the program, where things are, how values are printed."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from cache.errors import LatchdError
from daemon.control.protocol import plain
from daemon.names import check_names

DEFAULT_CONFIG = Path("/etc/latchd/site.toml")
INTERNAL_ERROR = LatchdError.exit_code
USAGE_ERROR = 2
INTERRUPTED = 130

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
    """Run a command line; whatever happens, a person reads words and a program an exit code."""
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
        click.echo(f"{name}: {error}", err=True)
        sys.exit(error.exit_code)
    except SystemExit:
        if sys.stdout is not stdout:  # click puts another in its place when the reader hung up, as `| head` does
            sys.exit(0)
        raise
    except Exception as error:
        if os.environ.get("LATCHD_DEBUG"):
            logging.getLogger(__name__).exception("internal error")
        click.echo(
            f"{name}: internal error ({type(error).__name__}: {error}). Please report it; "
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
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if verbose else logging.INFO, handlers=[handler], force=True)
    for noisy in ("urllib3", "apscheduler", "pymodbus", "asyncio"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


class _JournalFormatter(logging.Formatter):
    """sd-daemon(3): ``<3>`` is an error, ``<4>`` a warning, ``<6>`` information, ``<7>`` detail."""

    def format(self, record: logging.LogRecord) -> str:
        """One line with its priority."""
        level = 3 if record.levelno >= logging.ERROR else 4 if record.levelno >= logging.WARNING else 6
        return f"<{7 if record.levelno < logging.INFO else level}>{super().format(record)}"


def print_json(value: object) -> None:
    """One line of JSON on standard output."""
    click.echo(json.dumps(plain(value), ensure_ascii=False))


def table(rows: list[list[str]], header: list[str] | None = None) -> str:
    """Columns that line up, for a terminal."""
    lines = ([header] if header else []) + rows
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    return "\n".join("  ".join(map(_padded, line, widths)).rstrip() for line in lines)


def _padded(cell: str, width: int) -> str:
    return cell.ljust(width)


def printable(text: str) -> str:
    """Text of a directory or a device for a terminal: control characters are shown, not obeyed."""
    return "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in text)


def duration(seconds: float | None) -> str:
    """``3 min``, ``2 h 10 min``, ``5 d 3 h``; ``never`` for none."""
    if seconds is None:
        return "never"
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86400)
    if minutes < 1:
        return f"{seconds:.0f} s"
    if hours < 1:
        return f"{minutes} min"
    if days < 1:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"
