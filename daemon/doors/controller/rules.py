"""From an accepted site file to everything that the controller works with. Pure."""

from __future__ import annotations

from daemon.config.site import Site
from daemon.doors.controller.setup import door_setups, interlocks, lockout_rules, pins_alone, session_config
from daemon.doors.controller.site_state import ControllerRules


def controller_rules(site: Site, site_key: bytes) -> ControllerRules:
    """The rules of a site under its key."""
    return ControllerRules(
        doors=door_setups(site),
        site_key=site_key,
        readers=site.devices.readers,
        zone=site.zone,
        sessions=session_config(site),
        lockouts=lockout_rules(site),
        pins_alone=pins_alone(site),
        duress=site.tables.pin.duress != "off",
        areas=site.policy.areas,
        interlocks=interlocks(site),
    )
