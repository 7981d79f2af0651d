"""All card formats of a site, and cards as people write them. Pure.

The built-in formats stand in ``formats.json``; a site adds its own with ``[card_format.NAME]`` in the same
form. Formats that share a length (26 bits: H10301 and ind26) cannot be distinguished by the bits: which one a
reader means is a matter of its ``formats`` key, and without that only ``candidates`` are given.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources

from pydantic import TypeAdapter

from drivers.cards.aliases import ALIASES, plain
from drivers.cards.layout import Card, CardError, CardFormat, LayoutError
from drivers.cards.tables import CardFormatTable
from drivers.events import MAX_CARD_BITS
from drivers.settings import nearest

MAX_TEXT = 200
"""Characters of a card as text: ``bits:`` and 128 bits fit, nothing that takes long to parse does."""


class UnknownFormatError(CardError):
    """No card format has this name; the message gives the nearest one that exists."""


class ParityError(CardError):
    """The length is that of a configured format and none accepts the bits: a read error, never a lookup."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """What an unknown card may be: the card, and how many of its bits confirm the format."""

    card: Card
    evidence: int


class CardFormats(Mapping[str, CardFormat]):
    """The formats that exist, by name. Names are compared without regard to case."""

    def __init__(self, formats: Iterable[CardFormat]) -> None:
        self._by_key: dict[str, CardFormat] = {}
        self._aliases: dict[str, CardFormat | None] = {}
        for layout in formats:
            if self._by_key.setdefault(layout.name.casefold(), layout) is not layout:
                raise LayoutError(f"there is a card format {self[layout.name].name} already; choose another name")
            for alias in {plain(word) for word in (layout.name, layout.title, *ALIASES.get(layout.name, ()))}:
                known = self._aliases.setdefault(alias, layout)
                if known is not layout:
                    self._aliases[alias] = None  # two formats of one alias: it means neither

    def __getitem__(self, name: str) -> CardFormat:
        """The format called ``name``; raises ``KeyError`` as mappings do (``get_format`` explains)."""
        return self._by_key[name.casefold()]

    def __iter__(self) -> Iterator[str]:
        return (layout.name for layout in self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def find(self, name: str) -> CardFormat | None:
        """Return the format of this name, or of this alias such as "HID 26-bit"; ``None`` if there is none."""
        return self._by_key.get(name.casefold()) or self._aliases.get(plain(name))

    def get_format(self, name: str) -> CardFormat:
        """Return the format of this name or alias; raise ``UnknownFormatError`` with the nearest name."""
        layout = self.find(name)
        if layout is None:
            raise UnknownFormatError(f'there is no card format "{name[:40]}"; {self._nearest(name)}')
        return layout

    def select(self, names: Iterable[str]) -> tuple[CardFormat, ...]:
        """The formats of a reader's ``formats`` key, in its order; raises ``UnknownFormatError``."""
        return tuple(self.get_format(name) for name in names)

    def extended(self, tables: Mapping[str, CardFormatTable]) -> CardFormats:
        """These and a site's own; raises ``LayoutError`` when a name is taken."""
        return CardFormats([*self.values(), *(table.layout(name) for name, table in tables.items())])

    def encode(self, name: str, facility: int | None, number: int, issue: int | None = None) -> tuple[int, int]:
        """Length and raw value of a card; raises ``CardError`` when it does not fit the format."""
        layout = self.get_format(name)
        return layout.length, layout.encode(facility, number, issue)

    def candidates(self, length: int, value: int) -> tuple[Candidate, ...]:
        """Every format that accepts these bits, the one that could least be chance first."""
        found = [
            Candidate(card, layout.evidence)
            for layout in self.values()
            if layout.length == length and (card := layout.decode(value)) is not None
        ]
        return tuple(sorted(found, key=lambda candidate: -candidate.evidence))

    def parse_card(self, text: str) -> tuple[int, int]:
        """Length and raw value of a card as people write it; raises ``CardError``, which never quotes the card.

        ``H10301:57:1234`` or with an issue level ``Kastle:57:1234:3``; ``H10302:1234`` for a format without
        a facility code; ``bits:0110…``; ``RAW26:1A2B3C`` with the value in hexadecimal.
        """
        if len(text) > MAX_TEXT:
            raise CardError(f"a card is written in at most {MAX_TEXT} characters")
        name, *parts = text.strip().split(":")
        if name.casefold() == "bits":
            return _parse_bits(parts)
        if name[:3].casefold() == "raw" and name[3:].isascii() and name[3:].isdigit():
            return _parse_raw(int(name[3:]), parts)
        layout = self.find(name)
        if layout is None:  # what stands in its place may be a number: it is not quoted
            raise UnknownFormatError(f"expected FORMAT:facility:number, bits:… or RAW26:…; {self._nearest(name)}")
        return self._parse_fields(layout, parts)

    def _parse_fields(self, layout: CardFormat, parts: Sequence[str]) -> tuple[int, int]:
        wanted = ["facility", "number"] if layout.facility else ["number"]
        optional = ["issue"] if layout.issue else []
        if not len(wanted) <= len(parts) <= len(wanted) + len(optional):
            form = ":".join([layout.name, *wanted]) + "".join(f"[:{part}]" for part in optional)
            raise CardError(f"expected a card of this format as {form}")
        if not all(part.isascii() and part.isdigit() for part in parts):
            raise CardError(f"the parts of a {layout.name} card are decimal numbers")
        given = dict(zip(wanted + optional, map(int, parts), strict=False))
        return layout.length, layout.encode(given.get("facility"), given["number"], given.get("issue"))

    def _nearest(self, name: str) -> str:
        near = nearest(name[:40], (layout.name for layout in self._by_key.values()))
        return f'did you mean the format "{near}"?' if near else "docs/card-formats.md has them"


@functools.cache
def built_in_formats() -> CardFormats:
    """The formats that latchd brings with it."""
    data = resources.files("drivers.cards").joinpath("formats.json").read_bytes()
    tables = TypeAdapter(dict[str, CardFormatTable]).validate_json(data)
    return CardFormats(table.layout(name) for name, table in tables.items())


def decode(length: int, value: int, formats: Iterable[CardFormat]) -> Card | None:
    """The card that a raw read means in the first of ``formats`` that accepts it, in their order.

    ``None`` when no format has this length. Raises ``ParityError`` when some have it and none accepts.
    """
    fitting = [layout for layout in formats if layout.length == length]
    for layout in fitting:
        card = layout.decode(value)
        if card is not None:
            return card
    if fitting:
        names = ", ".join(layout.name for layout in fitting)
        raise ParityError(f"{length} bits arrived whose parity or fixed bits are wrong for {names}")
    return None


def _parse_bits(parts: Sequence[str]) -> tuple[int, int]:
    digits = parts[0] if len(parts) == 1 else ""
    if not digits or set(digits) - {"0", "1"} or len(digits) > MAX_CARD_BITS:
        raise CardError(f"expected bits: and then 1 to {MAX_CARD_BITS} bits as 0 and 1, first bit first")
    return len(digits), int(digits, 2)


def _parse_raw(length: int, parts: Sequence[str]) -> tuple[int, int]:
    digits = parts[0] if len(parts) == 1 else ""
    if not 1 <= length <= MAX_CARD_BITS or not digits or set(digits) - set("0123456789abcdefABCDEF"):
        raise CardError(
            f"expected RAW and the number of bits (1 to {MAX_CARD_BITS}), a colon, and hexadecimal digits"
        )
    value = int(digits, 16)
    if value >> length:
        raise CardError(f"the hexadecimal value has more than the {length} bits that were announced")
    return length, value
