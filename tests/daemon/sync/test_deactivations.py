"""Many people who are deactivated at once: applied with an alarm, and undone by one command."""

from __future__ import annotations

import pytest

from cache.errors import CacheError
from daemon.sync.outcome import SyncResult
from tests.daemon.sync.test_operators import Site, server, site  # noqa: F401 - fixtures


def test_a_mass_deactivation_applies_with_an_alarm_and_is_undone_by_one_command(site: Site) -> None:  # noqa: F811
    people = site.people(12)
    site.client.create_group("Staff", people)
    site.sync()
    for person in people:
        site.client.set_active(person, active=False)
    outcome = site.sync()
    assert outcome.outcome is SyncResult.APPLIED
    assert outcome.report
    assert "`latchctl sync undo` takes it back" in outcome.report.warnings[0]
    assert not any(one.active for one in site.store.load().people.values())
    assert site.store.generations()[0].summary.startswith("many deactivated: 12 of 12 people")

    service = site.service()
    service.undo("jo")
    assert site.store.generations()[0].summary == "mass deactivation undone by jo"
    with pytest.raises(CacheError, match="no mass deactivation"):
        service.undo("jo")
    assert site.sync().outcome is SyncResult.UNCHANGED
    assert all(one.active for one in site.store.load().people.values())
    site.client.set_active(people[0], active=True)
    site.sync()
    site.client.set_active(people[0], active=False)
    site.sync()
    assert [one for one in people if not site.store.load().people[one].active] == people[:1]
    held = site.store.quarantine()
    assert held
    site.service().accept(held.token, "jo")
    assert not any(one.active for one in site.store.load().people.values())
    assert site.sync().outcome is SyncResult.UNCHANGED


def test_an_older_site_file_has_a_brake_and_is_asked_to_say_it_in_the_new_way(site: Site) -> None:  # noqa: F811
    people = site.people(30)
    site.client.create_group("Staff", people)
    limits = {"people": {"percent": 5, "count": 1}}
    outcome = site.sync(limits=limits)
    assert outcome.report
    assert outcome.report.warnings[0].startswith("scim.limits is from before [brake]")
    for person in people[:2]:
        site.client.delete(f"Users/{person}")
    assert site.sync(limits=limits).held_back == 2
