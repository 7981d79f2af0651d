"""The ``[scim]`` table: what is refused, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tests.peers.scim_site import scim_settings


def test_defaults() -> None:
    settings = scim_settings()
    assert (settings.interval, settings.timeout, settings.page_size) == (300.0, 600.0, 100)
    assert (settings.road, settings.on_disconnect, settings.require_first_approval) == (
        "auto",
        "quarantine",
        False,
    )
    assert settings.limits is None
    assert settings.credential[0].preset == "latchd"


def test_a_url_loses_its_slash_and_may_be_plain_only_to_this_machine() -> None:
    assert scim_settings("https://a.example/scim/v2/").url == "https://a.example/scim/v2"
    for host in ("127.0.0.1:8000", "[::1]:8000", "localhost"):
        assert scim_settings(f"http://{host}/v2").url == f"http://{host}/v2"


RULE: dict[str, Any] = {"preset": "enterprise.cardNumber", "format": "H10301"}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"url": "http://a.example/v2"}, "expected https"),
        ({"url": "ftp://a.example"}, "expected a URL such as"),
        ({"url": "https://a.example/v2?x=1"}, "expected a URL such as"),
        ({"url": "https://ada:s3cret@a.example/v2"}, "holds no user or password"),
        ({"token": "s3cret"}, "expected a reference to a secret"),
        (
            {"oauth": {"token_url": "https://a.example", "client_id": "x", "client_secret": "env:X"}},
            "token and oauth are two ways to sign in",
        ),
        ({"ids": ["x"], "groups": ["y"]}, "choose groups in one way"),
        ({"groups": None}, "choose groups in one way"),
        ({"filter": "displayName is 5"}, "filter: column 13"),
        ({"client_cert": "/c.pem"}, "client_cert and client_key go together"),
        ({"interval": "5s"}, "interval is at least 10s"),
        ({"page_size": 0}, "greater than or equal to 1"),
        ({"road": "walk"}, "'auto', 'members'"),
        ({"on_disconnect": "panic"}, "'quarantine' or 'delete'"),
        ({"limits": {"people": {"percent": 101, "count": 1}}}, "less than or equal to 100"),
        ({"limits": {"people": {"percent": 1}}}, "Field required"),
        ({"credential": [{}]}, "say one source of cards"),
        ({"credential": [{"preset": "latchd", "attribute": "x"}]}, "say one source of cards"),
        ({"credential": [{"preset": "latchd", "urn": "urn:x"}]}, "say one source of cards"),
        ({"credential": [{"preset": "enterprise.cardNumber"}]}, "is a bare number: add format"),
        ({"credential": [{"side_file": "/c.csv", "key": "id"}]}, "'externalId', 'userName'"),
        ({"credential": [{**RULE, "facility_code": -1}]}, "greater than or equal to 0"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_what_is_refused(keys: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        scim_settings(**keys)
    text = "; ".join(fault["msg"] + str(fault["loc"]) for fault in caught.value.errors())
    assert words in text
    assert "s3cret" not in text


def test_an_attribute_may_stand_in_a_schema() -> None:
    (rule,) = scim_settings(
        credential=[{"urn": "urn:x:User", "attribute": "badge", "format": "H10301"}]
    ).credential
    assert (rule.urn, rule.attribute) == ("urn:x:User", "badge")
