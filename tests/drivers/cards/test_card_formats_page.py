"""docs/card-formats.md says of every format what the data file says."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from drivers.cards.formats import built_in_formats
from drivers.cards.layout import CardError, CardFormat
from drivers.cards.tables import CardFormatTable

PAGE = (Path(__file__).parents[3] / "docs" / "card-formats.md").read_text()
FORMATS = built_in_formats()


def line(layout: CardFormat) -> str:
    """One line of the page's table."""

    def room(bits: tuple[int, ...]) -> str:
        return f"0–{(1 << len(bits)) - 1}" if bits else "–"

    parts = [
        f"`{layout.name}`",
        layout.title,
        str(layout.length),
        room(layout.facility),
        room(layout.number),
        room(layout.issue),
        str(len(layout.checks)),
        str(len(layout.fixed)),
    ]
    return f"| {' | '.join(parts)} |"


def test_the_table_is_that_of_the_data_file() -> None:
    written = [row for row in PAGE.splitlines() if row.startswith("| `")]
    wanted = [line(layout) for layout in FORMATS.values()]
    assert written == wanted, "the table should be:\n" + "\n".join(wanted)


def test_the_formats_that_share_a_length_are_named() -> None:
    lengths: dict[int, list[str]] = {}
    for layout in FORMATS.values():
        lengths.setdefault(layout.length, []).append(layout.name)
    wanted = [
        f"- {length} bits: {', '.join(names)}" for length, names in sorted(lengths.items()) if len(names) > 1
    ]
    written = [row for row in PAGE.splitlines() if re.match(r"- \d+ bits: ", row)]
    assert written == wanted, "the list should be:\n" + "\n".join(wanted)


def test_the_format_of_ones_own_is_accepted() -> None:
    (block,) = re.findall(r"```toml\n(\[card_format\..*?)```", PAGE, re.DOTALL)
    (name, raw), *others = tomllib.loads(block)["card_format"].items()
    assert not others
    formats = FORMATS.extended({name: TypeAdapter(CardFormatTable).validate_python(raw, strict=False)})
    assert formats.parse_card(f"{name}:5:9")[0] == raw["length"]


def examples() -> list[str]:
    (block,) = re.findall(r"```cards\n(.*?)```", PAGE, re.DOTALL)
    return [row.split("#")[0].strip() for row in block.splitlines()]


@pytest.mark.parametrize("card", examples())
def test_the_cards_written_on_the_page_can_be_read(card: str) -> None:
    try:
        FORMATS.parse_card(card)
    except CardError as error:
        pytest.fail(f"{card}: {error}")
