"""What a reader's frames mean: a card, key presses, or a read error. Pure.

Keypads speak in three ways: each key as a frame of 4 bits, each as 8 bits (the key and before it its
complement), or the whole entry as the card number of an H10301 frame under a facility code of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from drivers.cards.formats import ParityError, built_in_formats, decode
from drivers.cards.layout import CardFormat
from drivers.events import CardRead, KeyPress, ReadError, ReadFault
from drivers.wiegand.frame import BadFrame, Frame

SHORTEST_CARD = 9
"""Frames of up to 8 bits are keys or noise: no card is so short, and a stray edge must not be looked up."""

_KEYS = "0123456789*#"
_ENTRY = built_in_formats().get_format("H10301")
_NS = 1_000_000_000


class Keypad(StrEnum):
    """How a keypad sends its keys."""

    BITS_4 = "4-bit"
    BITS_8 = "8-bit"
    BITS_26 = "26-bit"


@dataclass(frozen=True, slots=True)
class ReaderRules:
    """How to understand one reader.

    ``formats``: a frame of a length that they know must satisfy one of them. ``keypad_facility`` and
    ``keypad_digits`` belong to 26-bit keypads: entries under that facility code are keys, with leading
    zeros up to that many digits, which a number cannot carry. ``shortest_card`` is in bits.
    """

    formats: tuple[CardFormat, ...] = ()
    only_formats: bool = False
    """Refuse what is of none of these formats, whatever its length."""
    keypad: Keypad | None = None
    keypad_facility: int | None = None
    keypad_digits: int = 0
    shortest_card: int = SHORTEST_CARD


def interpret(reader: str, frame: Frame | BadFrame, rules: ReaderRules) -> CardRead | KeyPress | ReadError:
    """The event that a frame is. A frame that is not surely a card is a read error and keeps its bits."""
    at = frame.at_ns / _NS
    if isinstance(frame, BadFrame):
        return ReadError(reader, ReadFault.BAD_FRAME, at, frame.length, frame.value, frame.why)
    try:
        keys = _keys(frame, rules)
        if keys is not None:
            return KeyPress(reader, keys, at)
        if frame.length < rules.shortest_card:
            note = f"{frame.length} bits are no card: noise, or a keypad that is not configured"
            return ReadError(reader, ReadFault.BAD_FRAME, at, frame.length, frame.value, note)
        if rules.only_formats and all(frame.length != one.length for one in rules.formats):
            return ReadError(reader, ReadFault.BAD_FRAME, at, frame.length, frame.value, _expected(frame, rules))
        decode(frame.length, frame.value, rules.formats)
    except ParityError as error:
        return ReadError(reader, ReadFault.PARITY_ERROR, at, frame.length, frame.value, str(error))
    return CardRead(reader, frame.length, frame.value, at)


def _expected(frame: Frame, rules: ReaderRules) -> str:
    known = ", ".join(f"{one.name} has {one.length}" for one in rules.formats)
    return (
        f"{frame.length} bits arrived, and only_formats is set: {known}; a pulse may be lost, or two reads joined"
    )


def _keys(frame: Frame, rules: ReaderRules) -> str | None:
    """The keys that a frame is, or ``None`` when it is no key frame; raises ``ParityError`` for a wrong one."""
    match rules.keypad, frame.length:
        case Keypad.BITS_4, 4:
            return _key(frame.value)
        case Keypad.BITS_8, 8:
            if frame.value >> 4 != ~frame.value & 0xF:
                raise ParityError("8 bits arrived whose first half is not the complement of the second")
            return _key(frame.value & 0xF)
        case Keypad.BITS_26, _ENTRY.length:
            entry = _ENTRY.decode(frame.value)
            if entry is not None and entry.facility == rules.keypad_facility:
                return f"{entry.number:0{rules.keypad_digits}d}#"
    return None


def _key(code: int) -> str:
    """0 to 9, then 10 for ``*`` (or ESC) and 11 for ``#`` (or ENT)."""
    if code >= len(_KEYS):
        raise ParityError("a key code above 11 arrived; keypads send 0 to 9, 10 for * and 11 for #")
    return _KEYS[code]
