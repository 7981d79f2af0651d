"""Evidence: what is merely missing is asked for one by one, and only a trustworthy answer takes anything away."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import daemon.scim.evidence as evidence_module
import daemon.scim.probe as probe_module
from cache.changes import Delta
from cache.model import Directory
from daemon.scim.evidence import confirm
from daemon.scim.exchange import OutageError, OutageKind
from daemon.scim.fetch import read_directory
from tests.daemon.scim.missing import Site, hide, refuse_single, whole
from tests.peers.scim_memory import converse
from tests.peers.scim_site import card_mapper, scim_settings


@pytest.fixture
def site() -> Site:
    return Site()


# ------------------------------------------------------------------ people


def test_404_and_410_prove_that_a_person_is_gone_and_200_keeps(site: Site) -> None:
    ada, bob, eve = (site.server.create_user(name) for name in ("ada", "bob", "eve"))
    old = site.sync(Directory())
    site.server.delete(f"Users/{bob}")
    site.change = hide(ada)
    evidence = site.confirm(old)
    assert evidence.people == {bob}
    assert site.snapshot is not None
    assert site.snapshot.people.people.keys() == {ada, eve}, "what was asked for is used"
    site.change = lambda path, query, status, document: (410 if status == 404 else status, document)
    assert site.confirm(old).people == {bob}


def test_a_document_that_was_asked_for_deactivates(site: Site) -> None:
    ada, _ = site.server.create_user("ada"), site.server.create_user("bob")
    old = site.sync(Directory())
    site.server.set_active(ada, active=False)
    site.change = hide(ada)
    assert not site.sync(old).people[ada].active


@pytest.mark.parametrize("status", [200, 204, 301, 400, 403, 404, 410, 500])
def test_a_server_that_does_not_answer_for_single_users_takes_nobody(site: Site, status: int) -> None:
    ada, _ = site.server.create_user("ada"), site.server.create_user("bob")
    old = site.sync(Directory())
    site.server.delete(f"Users/{ada}")
    site.change = refuse_single(whole, status)
    assert site.sync(old) == old
    assert "does not answer for single users" in site.warnings


def test_somebody_who_was_read_and_then_deleted_is_no_witness(site: Site) -> None:
    ada, bob, eve = (site.server.create_user(name) for name in ("ada", "bob", "eve"))
    old = site.sync(Directory())
    site.server.delete(f"Users/{ada}")

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        return (404, None) if path == f"Users/{eve}" else (status, document)

    site.change = change
    assert site.confirm(old).people == {ada}
    assert bob in old.people


def test_another_person_than_asked_for_proves_nothing(site: Site) -> None:
    ada, bob = site.server.create_user("ada"), site.server.create_user("bob")
    old = site.sync(Directory())
    hidden = hide(ada)

    def change(path: str, query: Mapping[str, str], status: int, document: Any) -> tuple[int, Any]:
        if path == f"Users/{ada}":
            return site.server.ask(f"Users/{bob}", {})
        return hidden(path, query, status, document)

    site.change = change
    assert site.sync(old).people.keys() == {ada, bob}


def test_a_token_that_is_refused_meanwhile_is_an_outage(site: Site) -> None:
    ada, _ = site.server.create_user("ada"), site.server.create_user("bob")
    old = site.sync(Directory())
    site.server.delete(f"Users/{ada}")
    site.change = refuse_single(whole, 401)
    with pytest.raises(OutageError) as caught:
        site.confirm(old)
    assert caught.value.kind is OutageKind.UNAUTHORIZED


def test_an_outage_meanwhile_leaves_the_rest_unproven(site: Site) -> None:
    people = [site.server.create_user(f"user{number}") for number in range(5)]
    old = site.sync(Directory())
    for person in people[:3]:
        site.server.delete(f"Users/{person}")
    snapshot = converse(read_directory(scim_settings(), card_mapper(scim_settings())), site.get)
    questions = confirm(snapshot, old)
    first = questions.send(site.get(next(questions)))
    questions.send(site.get(first))
    with pytest.raises(StopIteration) as end:
        questions.throw(OutageError(OutageKind.UNREACHABLE, "the line is cut"))
    assert end.value.value.people == {people[0]}
    assert "the line is cut" in snapshot.warnings[-1]


def test_more_than_may_be_asked_for_wait_for_the_next_sync(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "MAX_PROBES", 3)
    people = [site.server.create_user(f"user{number}") for number in range(9)]
    old = site.sync(Directory())
    for person in people[:6]:
        site.server.delete(f"Users/{person}")
    assert len(site.confirm(old).people) <= 3
    assert "next time" in site.warnings


def test_of_those_who_wait_only_a_few_are_asked_for_and_a_leaver_of_today_is(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_module, "SAMPLE", 2)
    people = [site.server.create_user(f"user{number}") for number in range(9)]
    old = site.sync(Directory())
    for person in people[:6]:
        site.server.delete(f"Users/{person}")
    found = site.confirm(old, settled=Delta(people_removed=frozenset(people[:5])))
    assert (found.people, found.unproven) == ({people[5]}, ())
    assert site.snapshot is not None
    site.change = hide(people[0])
    site.server.users[people[0]] = {**site.server.users[people[8]], "id": people[0]}
    site.confirm(old, settled=Delta(people_removed=frozenset(people[:5])))
    assert people[0] in site.snapshot.people.people, "who is there after all is found"


def test_of_very_many_a_share_is_asked_for_and_the_rest_is_presumed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence_module, "MANY", 5)
    monkeypatch.setattr(probe_module, "MAX_PROBES", 8)
    people = [site.server.create_user(f"user{number}") for number in range(30)]
    old = site.sync(Directory())
    for person in people[:20]:
        site.server.delete(f"Users/{person}")
    found = site.confirm(old)
    assert (len(found.people), len(found.presumed), found.unproven) == (5, 15, ())
    assert found.people | found.presumed == set(people[:20])
    site.change = hide(*people[:20])
    for person in people[:20]:
        site.server.users[person] = {**site.server.users[people[25]], "id": person}
    found = site.confirm(old)
    assert not found.people | found.presumed, "they are there"
    assert found.unproven == ("13 people are missing and could not be looked into",)


def test_ids_that_are_encoded_already_are_asked_for_as_they_are(site: Site) -> None:
    for id_ in ("ada%20lovelace", "bob%20b"):
        site.server.users[id_] = {"id": id_, "userName": id_, "active": True}
    old = site.sync(Directory())
    site.server.delete("Users/ada%20lovelace")
    assert site.confirm(old).people == {"ada%20lovelace"}
    assert "Users/bob%20b" in site.asked
    assert not site.confirm(old).unproven


# ------------------------------------------------------------------ groups


def test_a_group_that_a_list_misses_is_asked_for(site: Site) -> None:
    ada = site.server.create_user("ada")
    staff, gone, _ = (site.server.create_group(name, [ada]) for name in ("Staff", "Gone", "Rest"))
    old = site.sync(Directory())
    site.server.delete(f"Groups/{gone}")
    site.change = hide(staff)
    evidence = site.confirm(old)
    assert evidence.groups == {gone}
    assert site.snapshot is not None
    assert site.snapshot.directory().groups[staff].members == {ada}


@pytest.mark.parametrize("status", [200, 403, 404, 410, 500])
def test_a_server_that_does_not_answer_for_single_groups_takes_none(site: Site, status: int) -> None:
    ada = site.server.create_user("ada")
    staff, _ = site.server.create_group("Staff", [ada]), site.server.create_group("Rest", [ada])
    old = site.sync(Directory())
    site.change = refuse_single(hide(staff), status, "Groups")
    assert site.sync(old) == old
    assert "does not answer for single groups" in site.warnings


def test_a_group_that_is_there_but_no_longer_chosen_goes(site: Site) -> None:
    ada = site.server.create_user("ada")
    staff, rest = site.server.create_group("Staff", [ada]), site.server.create_group("Rest", [ada])
    old = site.sync(Directory())
    site.keys = {"groups": ["Staff"]}
    assert site.confirm(old).groups == {rest}
    assert site.sync(old).groups.keys() == {staff}
