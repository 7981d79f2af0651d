"""docs/cards.md: every rule of the page is read, and its value opens the card that the page is about."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from cache.keys import card_key
from cache.model import CredentialState
from daemon.scim.cards import CardMapper
from daemon.scim.settings import CredentialRule
from drivers.cards.formats import CardFormats, built_in_formats
from drivers.cards.tables import CardFormatTable
from tests.peers.scim_site import SITE_KEY, card

PAGE = (Path(__file__).parents[3] / "docs" / "cards.md").read_text(encoding="utf-8")
H10301, CSN = card(123, 45678), card_key(SITE_KEY, 32, 0x04A23B1C)
BLOCKS = [tomllib.loads(block) for block in re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)]


def site_formats() -> CardFormats:
    tables = {name: table for block in BLOCKS for name, table in block.get("card_format", {}).items()}
    read = TypeAdapter(dict[str, CardFormatTable]).validate_json(json.dumps(tables))
    return built_in_formats().extended(read)


def rule_of(cell: str) -> CredentialRule:
    return CredentialRule(**tomllib.loads("\n".join(re.findall(r"`([^`]+)`", cell))))


def keys(user: dict[str, Any], *rules: CredentialRule) -> list[bytes]:
    found = CardMapper(rules, site_formats(), SITE_KEY).read("u1", user)
    assert found.unusable == ()
    return [one.key for one in found.credentials]


def simple_rows() -> list[tuple[Any, str]]:
    """Each value of the tables whose head is ``value of `badge` ``, with its rule."""
    rows: list[tuple[Any, str]] = []
    for table in re.findall(r"^\| value of `badge` \| rule \|\n\|---\|---\|\n((?:\|.*\n)+)", PAGE, re.MULTILINE):
        for line in table.splitlines():
            values, rule = re.fullmatch(r"\| (.+?) \| (`.+`) \|", line).groups()  # type: ignore[union-attr]  # or it fails
            said = re.findall(r"`([^`]+)`|(\d+\.\d|\d+)", values)
            rows += [(text or (float(number) if "." in number else int(number)), rule) for text, number in said]
    return rows


def test_the_page_has_its_tables() -> None:
    assert len(simple_rows()) >= 15


@pytest.mark.parametrize(("value", "rule"), simple_rows(), ids=str)
def test_each_value_opens_the_card_of_the_page(value: object, rule: str) -> None:
    (key,) = keys({"badge": value}, rule_of(rule))
    assert key == (CSN if "RAW" in rule else H10301)


def test_the_facility_code_beside_the_number() -> None:
    line = next(one for one in PAGE.splitlines() if one.startswith("| `badgeNumber`"))
    rule = rule_of(line.split("|")[2])
    assert keys({"badgeNumber": "45678", "badgeFacility": "123"}, rule) == [H10301]


def test_two_badges_in_two_attributes() -> None:
    rules = [CredentialRule(**table) for table in BLOCKS[0]["scim"]["credential"]]
    assert keys({"badge1": "45678", "badge2": "45679"}, *rules) == [H10301, card(123, 45679)]
    assert keys({"badge2": "45679"}, *rules) == [card(123, 45679)]
    assert keys({"badge1": "45678"}, *rules) == [H10301]


def test_the_status_beside_the_number() -> None:
    line = next(one for one in PAGE.splitlines() if one.startswith("| `badge` `45678`, `badgeStatus`"))
    mapper = CardMapper((rule_of(line.split("|")[2]),), built_in_formats(), SITE_KEY)
    for word, state in (("lost", CredentialState.LOST), ("active", CredentialState.ACTIVE)):
        (one,) = mapper.read("u1", {"badge": "45678", "badgeStatus": word}).credentials
        assert (one.key, one.state) == (H10301, state)


ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PLACES: list[dict[str, Any]] = [
    {"entitlements": [{"type": "parking", "value": "7"}, {"type": "Badge", "value": "45678"}]},
    {ENTERPRISE: {"cardNumber": "45678"}},
    {ENTERPRISE: {"employeeNumber": "45678"}},
    {"urn:example:User": {"badge": "45678"}},
    {"urn:example:User": {"cards": "H10301:123:45678"}},
]


@pytest.mark.parametrize("position", range(len(PLACES)))
def test_each_place_is_found(position: int) -> None:
    section = PAGE.partition("## Where it stands")[2]
    rows = [line for line in section.splitlines() if line.startswith("| ") and not line.startswith("| value")]
    rule = rule_of(rows[position].rpartition(" | ")[2])
    assert keys(PLACES[position], rule) == [H10301]
    flat = {
        f"{urn}:{name}": value
        for urn, attributes in PLACES[position].items()
        if isinstance(attributes, dict)
        for name, value in attributes.items()
    }
    if flat:
        assert keys(flat, rule) == [H10301]
