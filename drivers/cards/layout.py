"""One card format: where its fields stand, which bits check which, encode and its exact inverse decode. Pure.

Bits are numbered from 0, the first one received, which is the most significant bit of the raw value. Every
bit of a format is exactly one of: part of a field, a parity bit, or fixed; so that fields and raw bits
determine each other completely. No message ever holds a card number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from drivers.events import MAX_CARD_BITS


class LayoutError(ValueError):
    """A card format is not well defined; the message names the bit and what is wrong with it."""


class CardError(ValueError):
    """A card does not fit its format, or is written wrongly; the message says what was expected."""


class Parity(StrEnum):
    """Whether the ones of the covered bits and of the parity bit together are even or odd in number."""

    EVEN = "even"
    ODD = "odd"


@dataclass(frozen=True, slots=True)
class Check:
    """A parity bit and the bits it covers (itself not among them)."""

    bit: int
    parity: Parity
    over: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Card:
    """What the bits mean to people. ``facility`` and ``issue`` are ``None`` where the format has no such field."""

    format: str
    number: int
    facility: int | None = None
    issue: int | None = None

    def __repr__(self) -> str:
        """A card number never reaches a log by accident."""
        return f"Card(format={self.format!r})"

    def text(self) -> str:
        """``FORMAT:facility:number[:issue]`` as ``parse_card`` reads it: for the eyes of a technician only."""
        parts = [self.format, self.facility, self.number, self.issue]
        return ":".join(str(part) for part in parts if part is not None)


@dataclass(frozen=True, slots=True)
class CardFormat:
    """A card format. Raises ``LayoutError`` unless every bit has exactly one meaning.

    A check covers fields, fixed bits, and parity bits of checks listed before it, so that encoding in the
    order of the list is right.
    """

    name: str
    length: int
    number: tuple[int, ...]
    facility: tuple[int, ...] = ()
    issue: tuple[int, ...] = ()
    checks: tuple[Check, ...] = ()
    fixed: tuple[tuple[int, bool], ...] = ()
    title: str = ""
    _parity: tuple[tuple[int, int, bool], ...] = field(init=False, repr=False, compare=False)
    _fixed_mask: int = field(init=False, repr=False, compare=False)
    _fixed_value: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Refuse what is not well defined, and make the masks that the fast path uses."""
        _validate(self)
        put = object.__setattr__  # the dataclass is frozen
        put(
            self,
            "_parity",
            tuple((self._mask(c.over), self._mask((c.bit,)), c.parity is Parity.ODD) for c in self.checks),
        )
        put(self, "_fixed_mask", self._mask(tuple(bit for bit, _ in self.fixed)))
        put(self, "_fixed_value", self._mask(tuple(bit for bit, one in self.fixed if one)))

    @property
    def evidence(self) -> int:
        """How many bits must be right by themselves: random bits pass with a chance of 1 in 2**evidence."""
        return len(self.checks) + len(self.fixed)

    @property
    def covered(self) -> frozenset[int]:
        """The bits of which a single wrong one is always found."""
        checked = {bit for check in self.checks for bit in (check.bit, *check.over)}
        return frozenset(checked | {bit for bit, _ in self.fixed})

    def encode(self, facility: int | None, number: int, issue: int | None = None) -> int:
        """The raw value of a card. Raises ``CardError`` for what is missing, too much, or out of range.

        ``issue`` may be left out where the format has an issue level; it is then 0.
        """
        issue = 0 if issue is None and self.issue else issue
        value = self._fixed_value
        for what, bits, given in (
            ("facility code", self.facility, facility),
            ("card number", self.number, number),
            ("issue level", self.issue, issue),
        ):
            value |= self._place(what, bits, given)
        for over, bit, odd in self._parity:
            if (value & over).bit_count() & 1 != odd:
                value |= bit
        return value

    def matches(self, value: int) -> bool:
        """Whether all parity and fixed bits of a raw value of this format's length are right."""
        if value & self._fixed_mask != self._fixed_value:
            return False
        return all((value & (over | bit)).bit_count() & 1 == odd for over, bit, odd in self._parity)

    def decode(self, value: int) -> Card | None:
        """The card that a raw value of this length means; ``None`` when a parity or fixed bit is wrong."""
        if not self.matches(value):
            return None
        return Card(
            self.name,
            self._take(self.number, value),
            self._take(self.facility, value) if self.facility else None,
            self._take(self.issue, value) if self.issue else None,
        )

    def _mask(self, bits: tuple[int, ...]) -> int:
        return sum(1 << (self.length - 1 - bit) for bit in set(bits))

    def _place(self, what: str, bits: tuple[int, ...], given: int | None) -> int:
        if not bits:
            if given is not None:
                raise CardError(f"the card format {self.name} has no {what}; leave it out")
            return 0
        if given is None:
            raise CardError(f"the card format {self.name} needs a {what}")
        if not 0 <= given < 1 << len(bits):
            raise CardError(f"the {what} does not fit: {self.name} has room for 0 to {(1 << len(bits)) - 1}")
        last = len(bits) - 1
        return self._mask(tuple(bit for index, bit in enumerate(bits) if given >> (last - index) & 1))

    def _take(self, bits: tuple[int, ...], value: int) -> int:
        result = 0
        for bit in bits:
            result = result << 1 | value >> (self.length - 1 - bit) & 1
        return result


def parse_bits(text: str) -> tuple[int, ...]:
    """Bit positions from ``9-24`` or ``0-1,13,12``, in the order of the field, most significant first."""
    bits: list[int] = []
    for part in text.split(","):
        first, dash, last = (piece.strip() for piece in part.partition("-"))
        if not _is_position(first) or (dash and not _is_position(last)):
            raise LayoutError('expected bit positions such as "1-8" or "0-1,13,12", the first bit is 0')
        if dash and int(last) < int(first):
            raise LayoutError(f'the range "{part.strip()}" runs backwards; list such bits one by one')
        bits.extend(range(int(first), int(last or first) + 1))
    return tuple(bits)


def _is_position(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3


def _validate(layout: CardFormat) -> None:
    if not 1 <= layout.length <= MAX_CARD_BITS:
        raise LayoutError(f"a card format has 1 to {MAX_CARD_BITS} bits, not {layout.length}")
    if not layout.number:
        raise LayoutError("a card format needs a card_number field")
    meanings: dict[int, str] = {}
    for what, bits in (
        ("facility_code", layout.facility),
        ("card_number", layout.number),
        ("issue_level", layout.issue),
        ("a parity bit", tuple(check.bit for check in layout.checks)),
        ("a fixed bit", tuple(bit for bit, _ in layout.fixed)),
    ):
        for bit in bits:
            _inside(layout, bit)
            if bit in meanings:
                raise LayoutError(f"bit {bit} is {meanings[bit]} and {what}; it can be only one of them")
            meanings[bit] = what
    missing = sorted(set(range(layout.length)) - set(meanings))
    if missing:
        raise LayoutError(f"bits {', '.join(map(str, missing))} belong to no field, check or fixed value")
    _validate_checks(layout)


def _validate_checks(layout: CardFormat) -> None:
    later = {check.bit for check in layout.checks}
    for check in layout.checks:
        for bit in check.over:
            _inside(layout, bit)
            if bit in later:
                raise LayoutError(
                    f"the parity bit {check.bit} covers bit {bit}, a parity bit that is not listed before it"
                )
        if not check.over or len(set(check.over)) != len(check.over):
            raise LayoutError(f"the parity bit {check.bit} must cover at least one bit, and each only once")
        later.discard(check.bit)


def _inside(layout: CardFormat, bit: int) -> None:
    if not 0 <= bit < layout.length:
        raise LayoutError(
            f"bit {bit} is outside; a format of {layout.length} bits has bits 0 to {layout.length - 1}"
        )
