"""Credentials, PINs, two people, anti-passback, occupancy and interlock: answers by hand."""

from __future__ import annotations

from tests.corpus.layout import Tables, file, level, site

CREDENTIAL_PEOPLE: Tables = {
    "suspended": {"groups": ["g1"], "cards": [{"card": "s", "state": "suspended"}]},
    "lost": {"groups": ["g1"], "cards": [{"card": "l", "state": "lost"}, {"card": "new"}]},
    "expired": {"groups": ["g1"], "cards": [{"card": "x", "state": "expired"}]},
    "visitor": {
        "groups": ["g1"],
        "cards": [
            {"card": "v", "valid_from": "2026-03-02T08:00:00+01:00", "valid_until": "2026-03-06T18:00:00+01:00"}
        ],
    },
    "left": {
        "active": False,
        "groups": ["g1"],
        "cards": [{"card": "old"}, {"card": "again"}, {"card": "gone", "state": "lost"}],
    },
    "new": {"groups": ["g1"], "cards": [{"card": "again"}]},
    "twin1": {"groups": ["g1"], "cards": [{"card": "twin"}, {"card": "own"}]},
    "twin2": {"groups": ["g1"], "cards": [{"card": "twin"}]},
    "twin3": {"groups": [], "cards": [{"card": "half", "state": "lost"}]},
    "twin4": {"groups": ["g1"], "cards": [{"card": "half"}]},
    "monday": {"groups": ["g1"], "cards": [{"card": "day", "valid_until": "2026-03-03T00:00:00+01:00"}]},
    "tuesday": {"groups": ["g1"], "cards": [{"card": "day", "valid_from": "2026-03-03T00:00:00+01:00"}]},
    "from": {"groups": ["g1"], "cards": [{"card": "f", "valid_from": "2026-03-05T00:00:00Z"}]},
    "nobody": {"groups": ["g2"], "cards": [{"card": "n", "state": "suspended"}]},
}


def credentials() -> Tables:
    return file(
        "Credentials and people",
        site(access_level=[level("Staff always")]),
        """
        note: nobody holds it
        2026-03-02T09:00 unknown_credential card=unheard-of
        note: states
        2026-03-02T09:00 credential_inactive card=s person=suspended
        2026-03-02T09:00 credential_inactive card=l person=lost
        2026-03-02T09:00 granted card=new person=lost
        2026-03-02T09:00 credential_expired card=x person=expired
        note: validity, the end exclusive
        2026-03-02T07:59:59.999999 credential_not_yet_valid card=v
        2026-03-02T08:00 granted card=v
        2026-03-06T17:59:59.999999 granted card=v
        2026-03-06T18:00 credential_expired card=v
        2027-01-01T00:00 credential_expired card=v
        2026-03-04T23:59:59+00:00 credential_not_yet_valid card=f
        2026-03-05T00:00:00+00:00 granted card=f
        note: people
        2026-03-02T09:00 person_inactive card=old person=left
        2026-03-02T09:00 credential_inactive card=gone person=left
        note: a card of two active people opens for neither, their other cards do
        2026-03-02T09:00 duplicate_credential card=twin
        2026-03-02T09:00 granted card=own person=twin1
        note: a holder who may not use it makes no duplicate
        2026-03-02T09:00 granted card=again person=new
        2026-03-02T09:00 granted card=half person=twin4
        2026-03-02T23:59:59 granted card=day person=monday
        2026-03-03T00:00 granted card=day person=tuesday
        note: the credential is judged before the door and the groups
        2026-03-02T09:00 credential_inactive card=n
        2026-03-02T09:00 credential_inactive card=s mode=blocked
        2026-03-02T09:00 person_inactive card=old mode=lockdown
        2026-03-02T09:00 unknown_credential card=unheard-of mode=blocked
        2026-03-02T09:00 duplicate_credential card=twin mode=lockdown
        """,
        "credential",
        CREDENTIAL_PEOPLE,
    )


def two_person() -> Tables:
    return file(
        "Two-person rule",
        site(
            door={"two_person": {"groups": ["Vault", "Security"], "within": "10s"}},
            access_level=[level("Vault always", ["Vault", "Security", "Staff"])],
        ),
        """
        note: the first waits for a second, different one
        2026-03-02T09:00 need_second_person card=d person=dora
        2026-03-02T09:00 granted card=c first_person=dora@5 person=carla extended=yes
        2026-03-02T09:00 granted card=d first_person=carla@10
        2026-03-02T09:00 need_second_person card=d first_person=carla@10.001
        note: the same person twice never satisfies it
        2026-03-02T09:00 need_second_person card=d first_person=dora@1
        note: who is in none of the groups is none of the two
        2026-03-02T09:00 second_person_required card=a
        2026-03-02T09:00 second_person_required card=a first_person=dora@5
        note: the second must be valid like the first
        2026-03-02T09:00 no_access_here card=b first_person=dora@5
        2026-03-02T09:00 unknown_credential card=z first_person=dora@5
        2026-03-02T09:00 door_blocked card=c first_person=dora@5 mode=blocked
        note: nobody is asked for a second at an unlocked door
        2026-03-02T09:00 granted card=d mode=unlocked
        2026-03-02T09:00 granted card=a mode=unlocked
        note: the interlock is asked before
        2026-03-02T09:00 interlock card=d interlock=other
        2026-03-02T09:00 interlock card=c first_person=dora@5 interlock=other
        """,
        "two-person",
    )


def space(title: str, area: Tables, table: str, name: str) -> Tables:
    return file(
        title,
        site(
            door={"area": {"from": "outside", "to": "office"}},
            area={"office": area},
            access_level=[level("Staff always")],
        ),
        table,
        name,
    )


HARD_APB = """
    note: hard: a second entry without leaving is denied, until the reset at 04:00
    2026-03-02T09:00 granted
    2026-03-02T09:00 apb_violation positions=anna@office@2026-03-02T08:00 person=anna
    2026-03-03T03:59:59 apb_violation positions=anna@office@2026-03-02T08:00
    2026-03-03T04:00 granted positions=anna@office@2026-03-02T08:00
    2026-03-02T09:00 apb_violation positions=anna@office@2026-03-02T04:00
    2026-03-02T09:00 granted positions=anna@office@2026-03-02T03:59:59
    2026-03-02T09:00 granted positions=dora@office@2026-03-02T08:00
    2026-03-02T09:00 granted positions=anna@lab@2026-03-02T08:00
    note: nobody is kept from leaving
    2026-03-02T09:00 granted reader=out
    2026-03-02T09:00 granted reader=out positions=anna@office@2026-03-02T08:00
    note: a card without access is denied for that
    2026-03-02T09:00 no_access_here card=b positions=ben@office@2026-03-02T08:00
"""
SOFT_APB = """
    note: soft: granted and reported
    2026-03-02T09:00 granted
    2026-03-02T09:00 granted_apb_soft positions=anna@office@2026-03-02T08:00
    2026-03-02T09:00 granted_apb_soft positions=anna@office@2026-01-02T08:00
    2026-03-02T09:00 granted reader=out positions=anna@office@2026-03-02T08:00
    2026-03-02T09:00 no_access_here card=b positions=ben@office@2026-03-02T08:00
"""
TIMED_APB = """
    note: timed: denied for ten minutes after the entry
    2026-03-02T08:09:59 apb_violation positions=anna@office@2026-03-02T08:00
    2026-03-02T08:10 granted positions=anna@office@2026-03-02T08:00
    2026-03-02T08:00 apb_violation positions=anna@office@2026-03-02T08:00
    2026-03-02T08:05 granted
"""
TIMED_SOFT_APB = """
    note: timed and soft: reported for ten minutes after the entry
    2026-03-02T08:09:59 granted_apb_soft positions=anna@office@2026-03-02T08:00
    2026-03-02T08:10 granted positions=anna@office@2026-03-02T08:00
"""
RESET_DST = """
    note: a reset at 02:30 on the days on which that minute is missing or comes twice
    2026-03-29T01:59:59 apb_violation positions=anna@office@2026-03-28T20:00
    2026-03-29T03:00:00+02:00 granted positions=anna@office@2026-03-28T20:00
    2026-10-25T02:29:59+02:00 apb_violation positions=anna@office@2026-10-24T20:00
    2026-10-25T02:30:00+02:00 granted positions=anna@office@2026-10-24T20:00
    2026-10-25T02:15:00+01:00 granted positions=anna@office@2026-10-24T20:00
    2026-10-25T02:45:00+01:00 apb_violation positions=anna@office@2026-10-25T02:31:00+02:00
"""
OCCUPANCY = """
    note: at most three people; who is inside already is not counted twice
    2026-03-02T09:00 granted
    2026-03-02T09:00 granted occupancy=2
    2026-03-02T09:00 occupancy_full occupancy=3 person=anna
    2026-03-02T09:00 occupancy_full occupancy=4
    2026-03-02T09:00 granted occupancy=3 positions=anna@office@2026-03-02T08:00
    2026-03-02T09:00 occupancy_full occupancy=3 positions=dora@office@2026-03-02T08:00
    2026-03-02T09:00 granted occupancy=3 reader=out
    note: interlock
    2026-03-02T09:00 interlock interlock=other
    2026-03-02T09:00 interlock interlock=other reader=out
    2026-03-02T09:00 occupancy_full interlock=other occupancy=3
    2026-03-02T09:00 no_access_here interlock=other card=b
"""


PIN_PEOPLE: Tables = {
    "anna": {"groups": ["g1"], "cards": [{"card": "a"}], "pins": [{"digits": "123456"}]},
    "ben": {
        "groups": ["g1"],
        "cards": [{"card": "b"}],
        "pins": [{"digits": "999999"}, {"digits": "471100", "alone": True}],
    },
    "carla": {"groups": ["g1"], "cards": [{"card": "c"}]},
    "dora": {"groups": ["g1"], "cards": [{"card": "d"}], "pins": [{"digits": "222222", "state": "suspended"}]},
    "emil": {
        "groups": ["g2"],
        "cards": [{"card": "e"}],
        "pins": [{"digits": "333333"}, {"digits": "300000", "alone": True}],
    },
    "fay": {"groups": ["g1"], "pins": [{"digits": "555555", "alone": True}]},
    "gus": {"groups": ["g1"], "pins": [{"digits": "555555", "alone": True}, {"digits": "471101", "alone": True}]},
    "hal": {"active": False, "groups": ["g1"], "pins": [{"digits": "808080", "alone": True}]},
    "ida": {
        "groups": ["g1"],
        "cards": [{"card": "i"}],
        "pins": [{"digits": "777777", "valid_until": "2026-03-02T09:00:00+01:00"}],
    },
}


def pins() -> Tables:
    return file(
        "PINs",
        site(
            door={"mode": "card_and_pin"},
            access_level=[level("Staff always")],
            pin={"length": 6, "duress": "last_digit_plus_one"},
        ),
        """
        note: both factors are needed, the card first
        2026-03-02T09:00 need_pin person=anna duress=no
        2026-03-02T09:00 granted card=a pin=123456 duress=no
        2026-03-02T09:00 pin_wrong card=a pin=123450
        2026-03-02T09:00 pin_wrong card=a pin=999999
        2026-03-02T09:00 pin_wrong card=a pin=12345
        2026-03-02T09:00 pin_wrong card=a pin=1234567
        2026-03-02T09:00 pin_timeout card=a pin=late
        2026-03-02T09:00 pin_wrong card=c pin=123456
        note: the duress PIN opens in the same way, nine becoming zero
        2026-03-02T09:00 granted_duress card=a pin=123457 duress=yes
        2026-03-02T09:00 pin_wrong card=a pin=123455 duress=no
        2026-03-02T09:00 granted_duress card=b pin=999990 duress=yes
        note: a PIN has a state and a validity too
        2026-03-02T09:00 credential_inactive card=d pin=222222
        2026-03-02T08:59:59 granted card=i pin=777777
        2026-03-02T09:00 credential_expired card=i pin=777777
        note: nobody is asked for a PIN who may not pass anyway
        2026-03-02T09:00 no_access_here card=e
        2026-03-02T09:00 no_access_here card=e pin=333333
        2026-03-02T09:00 unknown_credential card=z
        2026-03-02T09:00 door_blocked card=a mode=blocked
        note: lockout
        2026-03-02T09:00 pin_locked_out card=a pin_locked_until=2026-03-02T09:01
        2026-03-02T09:00 pin_locked_out card=a pin=123456 pin_locked_until=2026-03-02T09:01
        2026-03-02T09:01 granted card=a pin=123456 pin_locked_until=2026-03-02T09:01
        2026-03-02T09:00 granted card=a mode=locked pin_locked_until=2026-03-02T09:01
        2026-03-02T09:00 pin_locked_out pin=471100 mode=locked pin_locked_until=2026-03-02T09:01
        note: a PIN alone identifies where the card is not needed
        2026-03-02T09:00 pin_required pin=471100
        2026-03-02T09:00 granted pin=471100 mode=locked person=ben
        2026-03-02T09:00 granted pin=471101 mode=locked person=gus duress=no
        2026-03-02T09:00 granted_duress pin=471102 mode=locked person=gus duress=yes
        2026-03-02T09:00 pin_wrong pin=471199 mode=locked
        2026-03-02T09:00 pin_wrong pin=123456 mode=locked
        2026-03-02T09:00 pin_timeout pin=late mode=locked
        2026-03-02T09:00 duplicate_credential pin=555555 mode=locked
        2026-03-02T09:00 person_inactive pin=808080 mode=locked
        2026-03-02T09:00 no_access_here pin=300000 mode=locked
        note: a PIN that was typed is checked, also where the card would do
        2026-03-02T09:00 granted card=a mode=locked
        2026-03-02T09:00 granted card=a pin=123456 mode=locked
        2026-03-02T09:00 pin_wrong card=a pin=000000 mode=locked
        2026-03-02T09:00 granted card=a mode=unlocked
        """,
        "pin",
        PIN_PEOPLE,
    )


def without_duress() -> Tables:
    return file(
        "PINs without a duress form",
        site(
            door={"mode": "card_and_pin"}, access_level=[level("Staff always")], pin={"length": 6, "duress": "off"}
        ),
        """
        note: the digit above is a wrong PIN like any other
        2026-03-02T09:00 granted card=a pin=123456 duress=no
        2026-03-02T09:00 pin_wrong card=a pin=123457 duress=no
        2026-03-02T09:00 pin_wrong pin=471102 mode=locked
        """,
        "no-duress",
        PIN_PEOPLE,
    )


def files() -> dict[str, Tables]:
    """Every file of this module by its name."""
    return {
        "credentials": credentials(),
        "pins": pins(),
        "pins-without-duress": without_duress(),
        "two-person": two_person(),
        "apb-hard": space(
            "Anti-passback, hard", {"anti_passback": "hard", "reset": "04:00"}, HARD_APB, "apb-hard"
        ),
        "apb-soft": space("Anti-passback, soft", {"anti_passback": "soft"}, SOFT_APB, "apb-soft"),
        "apb-timed": space("Anti-passback, timed", {"timed": "10m"}, TIMED_APB, "apb-timed"),
        "apb-timed-soft": space(
            "Anti-passback, timed and soft",
            {"anti_passback": "soft", "timed": "10m"},
            TIMED_SOFT_APB,
            "apb-timed-soft",
        ),
        "apb-reset-dst": space(
            "Anti-passback, reset on days of changing clocks",
            {"anti_passback": "hard", "reset": "02:30"},
            RESET_DST,
            "apb-reset-dst",
        ),
        "occupancy": space("Occupancy and interlock", {"occupancy": 3}, OCCUPANCY, "occupancy"),
    }
