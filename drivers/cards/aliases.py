"""Words of the trade for card formats, as they stand on boxes and in directories. Pure."""

from __future__ import annotations

ALIASES = {
    "H10301": ("HID 26-bit", "26-bit", "26 bit Wiegand", "Wiegand 26", "W26", "Standard 26-bit", "SIA 26-bit"),
    "H10302": ("HID 37-bit without facility code", "37-bit H10302"),
    "H10304": ("HID 37-bit with facility code", "37-bit H10304"),
    "H10306": ("HID 34-bit",),
    "C1k35s": (
        "C1000-35",
        "Corporate 1000",
        "Corporate 1000 35-bit",
        "HID Corporate 1000",
        "HID Corporate 1000 35-bit",
    ),
    "C1k48s": ("C1000-48", "Corporate 1000 48-bit", "HID Corporate 1000 48-bit"),
    "Avig56": ("Avigilon",),
}
"""Other names of a format. "HID 37-bit" alone is in none: it may be H10302 or H10304."""


def plain(name: str) -> str:
    """Return a name without case, blanks and punctuation, as aliases are compared."""
    return "".join(letter for letter in name.casefold() if letter.isalnum())
