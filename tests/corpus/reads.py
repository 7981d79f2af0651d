"""What a reader sends before anything is decided, and a cache that cannot be read: answers by hand."""

from __future__ import annotations

from tests.corpus.layout import Tables, file, level, site

ANNA = "00011100100000000000000010"
"""H10301, facility code 57, card number 1: even parity, 8 and 16 bits, odd parity."""

READ_PEOPLE: Tables = {
    "anna": {"groups": ["g1"], "cards": [{"bits": ANNA}]},
    "ben": {"groups": ["g1"], "cards": [{"bits": "0" + ANNA}]},
    "carla": {"groups": ["g1"], "cards": [{"bits": "111111111"}]},
}

READS = f"""
    note: a whole frame of a known length whose parity is right is looked up
    2026-03-02T09:00 granted bits={ANNA} person=anna
    2026-03-02T09:00 unknown_credential bits=00011100100000000000000100
    note: a wrong parity is a read error and never a lookup, wherever the wrong bit is
    2026-03-02T09:00 parity_error bits=10011100100000000000000010
    2026-03-02T09:00 parity_error bits=00011100100000000000000011
    2026-03-02T09:00 parity_error bits=00111100100000000000000010
    2026-03-02T09:00 parity_error bits=11111111111111111111111110
    note: the bits and how many they are make the card; of a length without a format no parity is known
    2026-03-02T09:00 granted bits=0{ANNA} person=ben
    2026-03-02T09:00 unknown_credential bits={ANNA}0
    2026-03-02T09:00 granted bits=111111111 person=carla
    note: fewer than nine bits are no card
    2026-03-02T09:00 bad_frame bits=11111111
    2026-03-02T09:00 bad_frame bits=0
    2026-03-02T09:00 bad_frame bits=1010
    note: a cache that cannot be read is a denial
    2026-03-02T09:00 cache_unreadable bits={ANNA} cache=broken
    2026-03-02T09:00 cache_unreadable bits=00011100100000000000000100 cache=broken
    2026-03-02T09:00 parity_error bits=10011100100000000000000010 cache=broken
    note: and whatever else fails inside
    2026-03-02T09:00 internal_error bits={ANNA} cache=failing
    2026-03-02T09:00 internal_error bits=00011100100000000000000100 cache=failing
"""


def files() -> dict[str, Tables]:
    """Every file of this module by its name."""
    table = file("Raw reads", site(access_level=[level("Staff always")]), READS, "read", READ_PEOPLE)
    return {"reads": {**table, "formats": ["H10301"]}}
