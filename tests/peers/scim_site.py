"""A sync service as a site would have it, made from keys of ``[scim]``: for tests and benchmarks."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from cache.directory.store import Store
from cache.keys import card_key
from daemon.scim.cards import CardMapper
from daemon.scim.settings import ScimSettings
from daemon.sync.service import SyncService
from drivers.cards.formats import built_in_formats
from tests.peers.scim_server import TOKEN

SITE_KEY = bytes(range(32))


def scim_settings(url: str = "https://directory.example.com/scim/v2", **keys: Any) -> ScimSettings:
    """The ``[scim]`` table with these keys, as the site file would give it; every group is chosen."""
    chosen = {} if {"filter", "ids"} & keys.keys() else {"groups": ["*"]}
    table = {"url": url, "token": "env:TOKEN", **chosen, **keys}
    return TypeAdapter(ScimSettings).validate_json(json.dumps(table))


def card_mapper(settings: ScimSettings) -> CardMapper:
    """Cards under the site key of tests."""
    return CardMapper(settings.credential, built_in_formats(), SITE_KEY)


def sync_service(store: Store, url: str, references: frozenset[str] = frozenset(), **keys: Any) -> SyncService:
    """A service on ``store`` that reads the server at ``url`` with the token of tests; it does not pause."""
    settings = scim_settings(url, **keys)
    return SyncService(settings, store, card_mapper(settings), references, lambda _: TOKEN.encode(), patience=0.0)


def card(facility: int, number: int) -> bytes:
    """The key of an H10301 card under the site key of tests."""
    return card_key(SITE_KEY, *built_in_formats().encode("H10301", facility, number))
