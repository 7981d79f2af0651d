"""Card formats as data: the form of ``formats.json`` and of ``[card_format.NAME]`` in the site file. Pure."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from drivers.cards.layout import CardFormat, Check, Parity, parse_bits
from drivers.events import MAX_CARD_BITS
from drivers.settings import STRICT


def _check_bits(text: str) -> str:
    parse_bits(text)
    return text


Bits = Annotated[str, AfterValidator(_check_bits)]
"""Bit positions such as ``1-8`` or ``0-1,13,12``; bit 0 is the first one received."""

Position = Annotated[int, Field(ge=0, lt=MAX_CARD_BITS)]
BitNumber = Annotated[str, Field(pattern=r"^[0-9]{1,3}$")]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class CardFields:
    """Where the fields stand, most significant bit first."""

    card_number: Bits
    facility_code: Bits | None = None
    issue_level: Bits | None = None


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class CardCheck:
    """A parity bit, its sense, and the bits it covers."""

    bit: Position
    parity: Literal["even", "odd"]
    over: Bits


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class CardFormatTable:
    """``[card_format.NAME]``: every bit is part of a field, a parity bit, or fixed (``fixed = { "1" = 0 }``)."""

    length: Annotated[int, Field(ge=1, le=MAX_CARD_BITS)]
    fields: CardFields
    title: str = ""
    checks: tuple[CardCheck, ...] = ()
    fixed: dict[BitNumber, Literal[0, 1]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _well_defined(self) -> CardFormatTable:
        self.layout("")
        return self

    def layout(self, name: str) -> CardFormat:
        """The format under its name."""
        fields = self.fields
        return CardFormat(
            name=name,
            length=self.length,
            number=parse_bits(fields.card_number),
            facility=parse_bits(fields.facility_code) if fields.facility_code else (),
            issue=parse_bits(fields.issue_level) if fields.issue_level else (),
            checks=tuple(Check(check.bit, Parity(check.parity), parse_bits(check.over)) for check in self.checks),
            fixed=tuple((int(bit), bool(one)) for bit, one in self.fixed.items()),
            title=self.title,
        )


def table_of(layout: CardFormat) -> dict[str, Any]:
    """A format as the table that makes it: what ``CardFormatTable`` reads."""
    fields = {"facility_code": layout.facility, "card_number": layout.number, "issue_level": layout.issue}
    return {
        "title": layout.title,
        "length": layout.length,
        "fields": {name: _bits_text(bits) for name, bits in fields.items() if bits},
        "checks": [
            {"bit": check.bit, "parity": check.parity.value, "over": _bits_text(check.over)}
            for check in layout.checks
        ],
        "fixed": {str(bit): int(one) for bit, one in layout.fixed},
    }


def _bits_text(bits: tuple[int, ...]) -> str:
    return ",".join(map(str, bits))
