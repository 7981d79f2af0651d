"""What becomes of the cache when a source, or an operator, has spoken; without any network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cache.directory.store import Store
from cache.errors import CacheError
from cache.model import Directory
from cache.reconcile.limits import Brake
from cache.reconcile.reconcile import Evidence, missing
from daemon.doors.sync_events import DISCONNECTED
from daemon.scim.cards import CardMapper
from daemon.scim.exchange import OutageError, OutageKind
from daemon.scim.fetch import directory_of
from daemon.scim.settings import CredentialRule, ScimSettings
from daemon.sync.outcome import SyncOutcome, SyncResult
from daemon.sync.plan import CacheUpdates, read_card_files
from drivers.cards.formats import built_in_formats

NOW = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
STAFF: dict[str, Any] = {
    "Users": [{"id": "u1", "userName": "ada"}, {"id": "u2", "userName": "ken"}],
    "Groups": [{"id": "g1", "displayName": "Staff", "members": [{"value": "u1"}, {"value": "u2"}]}],
}
GONE = OutageError(OutageKind.GONE, "the service provider is gone (410)")
PINS = (CredentialRule(side_file="pins.csv", key="userName"),)


def updates(store: Store, base: Path, **keys: Any) -> CacheUpdates:
    settings = ScimSettings(url="https://scim.invalid", groups=("Staff",), **keys)
    mapper = CardMapper(settings.credential, built_in_formats(), bytes(32))
    return CacheUpdates(settings, store, mapper, frozenset({"Staff"}), base)


def everything(old: Directory, new: Directory) -> Evidence:
    """All that is missing is confirmed."""
    gone = missing(old, new)
    return Evidence(gone.people, gone.groups, gone.members)


def sync(found: CacheUpdates, document: dict[str, object]) -> SyncOutcome:
    snapshot = directory_of(document, found.settings, found.card_mapper(), found.configured_names())
    old = found.store.load()
    return found.apply(found.prepare(snapshot, old, everything(old, snapshot.directory()), NOW), NOW)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "cache.db") as store:
        yield store


def test_a_snapshot_becomes_a_generation_and_the_same_one_none(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path)
    assert sync(found, STAFF).outcome is SyncResult.APPLIED
    assert sync(found, STAFF).outcome is SyncResult.UNCHANGED
    assert (store.generation, store.sync_state().failures) == (1, 0)
    assert found.configured_names() == {"g1": {"Staff"}}


def test_a_preview_changes_nothing(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path)
    snapshot = directory_of(STAFF, found.settings, found.card_mapper())
    old = store.load()
    outcome = found.preview(found.prepare(snapshot, old, everything(old, snapshot.directory()), NOW))
    assert (outcome.outcome, outcome.generation, store.generation) == (SyncResult.DRY_RUN, 0, 0)
    assert outcome.added


def test_a_failure_is_kept_by_its_kind(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path)
    outcome = found.failed(OutageError(OutageKind.TIMEOUT, "no answer"), NOW)
    assert (outcome.outcome, outcome.kind) == (SyncResult.OUTAGE, "timeout")
    state = store.sync_state()
    assert (state.outcome, state.failures) == ("timeout", 1)
    assert found.failed(OutageError(OutageKind.UNAUTHORIZED, "renew it"), NOW).outcome is SyncResult.UNAUTHORIZED


@pytest.mark.parametrize("policy", ["delete", "quarantine"])
def test_a_provider_that_is_gone_for_minutes_is_a_disconnect_by_policy(
    policy: str, store: Store, tmp_path: Path
) -> None:
    found = updates(store, tmp_path, on_disconnect=policy)
    sync(found, STAFF)
    for seconds in (0, 15, 30, 60, 299):
        assert found.failed(GONE, NOW + timedelta(seconds=seconds)).outcome is SyncResult.OUTAGE
        assert store.load().groups
    outcome = found.failed(GONE, NOW + timedelta(seconds=300))
    if policy == "delete":
        assert outcome.outcome is SyncResult.DISCONNECTED
    else:
        assert outcome.outcome is SyncResult.QUARANTINED
        held = store.quarantine()
        assert held
        found.accept(held.token, "jo", NOW)
    assert not store.load().groups
    summary = store.generations()[0].summary
    assert summary.startswith(DISCONNECTED)
    assert ("accepted by jo" in summary) is (policy != "delete")


def test_a_provider_that_is_back_in_between_begins_again(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path, on_disconnect="delete")
    sync(found, STAFF)
    assert found.failed(GONE, NOW).outcome is SyncResult.OUTAGE
    sync(found, STAFF)
    assert found.failed(GONE, NOW + timedelta(minutes=6)).outcome is SyncResult.OUTAGE
    assert found.failed(OutageError(OutageKind.TIMEOUT, "no answer"), NOW).outcome is SyncResult.OUTAGE
    assert found.failed(GONE, NOW + timedelta(minutes=12)).outcome is SyncResult.OUTAGE
    assert store.load().groups


def test_who_was_read_as_not_active_is_deactivated_also_when_the_rest_fails(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path)
    sync(found, STAFF)
    error = OutageError(OutageKind.SERVER_ERROR, "GET /Groups: status 500")
    error.leavers = frozenset({"u1", "stranger"})
    outcome = found.failed(error, NOW)
    assert outcome.outcome is SyncResult.OUTAGE
    assert "1 people were read as not active" in outcome.text
    assert {one.id: one.active for one in store.load().people.values()} == {"u1": False, "u2": True}
    assert store.load().groups["g1"].members == {"u1", "u2"}
    state = store.sync_state()
    assert (state.outcome, state.failures) == ("server_error", 1)
    assert found.failed(error, NOW).text.count("deactivated") == 0, "they are already"


def test_what_an_operator_refused_is_not_done_by_a_failure(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path, limits=None)
    found = replace(found, brake=replace(Brake(), deactivations="hold"))
    many = [{"id": f"p{number}", "userName": f"p{number}"} for number in range(60)]
    members = [{"value": one["id"]} for one in many]
    everyone: dict[str, Any] = {
        "Users": many,
        "Groups": [{"id": "g1", "displayName": "Staff", "members": members}],
    }
    sync(found, everyone)
    error = OutageError(OutageKind.SERVER_ERROR, "GET /Groups: status 500")
    error.leavers = frozenset(one["id"] for one in many)
    found.failed(error, NOW)
    assert all(one.active for one in store.load().people.values()), "so many wait, as in a whole sync"


def test_on_hold_after_a_disconnect_until_it_is_resumed(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path)
    sync(found, STAFF)
    assert found.on_hold() is None
    found.disconnect("jo", "we moved", NOW)
    held = found.on_hold()
    assert held is not None
    assert held.outcome is SyncResult.ON_HOLD
    assert "disconnected by jo: we moved" in held.text
    found.resume()
    assert found.on_hold() is None


def test_what_is_not_held_back_cannot_be_accepted(store: Store, tmp_path: Path) -> None:
    with pytest.raises(CacheError):
        updates(store, tmp_path).accept("12345678", "jo", NOW)


def test_card_files_are_found_below_the_base(store: Store, tmp_path: Path) -> None:
    found = updates(store, tmp_path, credential=PINS)
    with pytest.raises(OutageError, match=r"pins\.csv cannot be read"):
        found.card_mapper()
    (tmp_path / "pins.csv").write_text("userName,pin\nada,246810\n", encoding="utf-8")
    assert found.card_mapper().side_files["pins.csv"].rows("Ada")
    (tmp_path / "pins.csv").write_bytes(b"\xff")
    with pytest.raises(OutageError, match="it is not UTF-8"):
        read_card_files(found.settings, tmp_path)
