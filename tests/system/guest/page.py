"""Does what docs/install.md says, as a reader of it would: the commands of a section, typed at a terminal."""

from __future__ import annotations

import os
import pty
import re
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent


class PageError(Exception):
    """A command of the page failed; the message ends with what it printed."""


def blocks(section: str) -> list[str]:
    """The blocks of commands under the heading that begins so."""
    page = (HERE / "install.md").read_text(encoding="utf-8")
    text = re.split(rf"^## {re.escape(section)}.*$", page, maxsplit=1, flags=re.MULTILINE)[1]
    return re.findall(r"```sh\n(.*?)```", text.split("\n## ", 1)[0], re.DOTALL)


def type_in(commands: str, answers: Mapping[str, str] | None = None) -> str:
    """Run commands at a terminal of their own, answer its questions; what was printed, or ``PageError``."""
    process, terminal = pty.fork()
    if not process:
        os.chdir(HERE)
        os.execvp("sh", ["sh", "-euc", commands])
    printed, open_questions = "", dict(answers or {})
    while True:
        try:
            piece = os.read(terminal, 4096)
        except OSError:  # the other side is closed
            break
        printed += piece.decode(errors="replace")
        for question in [question for question in open_questions if question in printed]:
            os.write(terminal, f"{open_questions.pop(question)}\n".encode())
    os.close(terminal)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    if code:
        raise PageError(f"{commands.strip()}: exit code {code}: {printed[-600:]}")
    return printed
