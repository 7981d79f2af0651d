"""SCIM filters, applied on the controller (RFC 7644 §3.4.2.2)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.filters import FilterError, parse_filter

GROUP: dict[str, Any] = {
    "id": "g1",
    "displayName": "Door Lobby",
    "externalId": "ext-1",
    "urn:example:2.0:Group": {"level": 3, "open": True, "note": None},
    "members": [{"value": "u1", "display": "Ada"}, {"value": "u2"}],
    "tags": ["red", "green"],
}


@pytest.mark.parametrize(
    "text",
    [
        'displayName eq "Door Lobby"',
        'DISPLAYNAME EQ "door lobby"',
        'displayName sw "Door "',
        'displayName co "or l"',
        'displayName ew "lobby"',
        'displayName ne "Vault"',
        "externalId pr",
        'tags eq "green"',
        'members.value eq "u2"',
        'members eq "u2"',
        'members[value eq "u1" and display sw "A"]',
        "urn:example:2.0:Group:level gt 2",
        "urn:example:2.0:Group:level ge 3 and urn:example:2.0:Group:level le 3.0",
        "urn:example:2.0:Group:open eq true",
        'not (displayName eq "Vault")',
        '(displayName eq "Vault" or displayName sw "Door") and externalId pr',
        'displayName eq "Vault" and displayName eq "X" or id eq "g1"',
        'displayName gt "Door A"',
        r'displayName ne "with \"quotes\" and \\"',
        'absent ne "x"',
    ],
)
def test_what_fits(text: str) -> None:
    assert parse_filter(text)(GROUP)


@pytest.mark.parametrize(
    "text",
    [
        'displayName eq "Vault"',
        'displayName eq "Door"',
        "absent pr",
        "urn:example:2.0:Group:note pr",
        "urn:example:2.0:Group:level lt 3",
        "urn:example:2.0:Group:level eq true",
        "urn:example:2.0:Group:open eq 1",
        'urn:example:2.0:Group:level gt "2"',
        'members[value eq "u2" and display sw "A"]',
        'not (displayName sw "door")',
        'id eq "g1" and (displayName eq "Vault" or displayName eq "X")',
        'tags ne "green"',
    ],
)
def test_what_does_not(text: str) -> None:
    assert not parse_filter(text)(GROUP)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "at the end: expected an attribute"),
        ("displayName", "at the end: expected an attribute or an operator"),
        ("displayName eq", "at the end: expected a value"),
        ("displayName is 5", "column 13: expected an operator: eq, ne"),
        ("displayName eq Vault", "column 16: expected a value"),
        ('displayName eq "x', "column 16: expected"),
        ('displayName eq "x" displayName', "column 20: expected and, or, or the end"),
        ('(displayName eq "x"', 'at the end: expected ")"'),
        ('not displayName eq "x"', 'column 5: expected "("'),
        ("a[b eq 1", 'at the end: expected "]"'),
        ("a eq 5x", "column 6: expected"),
        ("(" * 40 + "a pr" + ")" * 40, "nested deeper than 16"),
        ("a eq \\", "column 6: expected"),
    ],
)
def test_what_is_no_filter_says_where(text: str, words: str) -> None:
    with pytest.raises(FilterError) as caught:
        parse_filter(text)
    assert words in str(caught.value)


pieces = st.sampled_from(
    [
        "displayName",
        "eq",
        "pr",
        "and",
        "or",
        "not",
        "(",
        ")",
        "[",
        "]",
        '"x"',
        "5",
        "true",
        "null",
        "-1.5",
        "\\",
        '"',
    ]
)


@settings(deadline=None)
@given(st.lists(pieces, max_size=12).map(" ".join) | st.text(max_size=40))
def test_any_text_is_a_filter_or_says_where_it_is_none(text: str) -> None:
    words, answer = "column ", False
    try:
        answer = parse_filter(text)(GROUP)
    except FilterError as error:
        words = str(error)
    assert words.startswith(("column ", "at the end: "))
    assert answer in (True, False)
