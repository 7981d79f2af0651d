"""Text of a directory or a device for a terminal and for a log: control characters are shown, not obeyed. Pure."""

from __future__ import annotations


def printable(text: str) -> str:
    """Escape what does not print: control characters, line breaks, marks that turn the direction of writing."""
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def printable_lines(text: str, indent: str = "") -> str:
    """The same for a text of several lines; each after the first begins with ``indent``: none is forged."""
    return f"\n{indent}".join(printable(line) for line in text.split("\n"))


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape", "surrogatepass").decode()
