"""Which attributes of users are used: to be asked for where a list does not show them by itself. Pure."""

from __future__ import annotations

from daemon.scim.settings import ENTERPRISE_URN, LATCHD_URN, ScimSettings

_PERSON = ("userName", "displayName", "name", "active", "externalId", "groups")


def user_attributes(settings: ScimSettings) -> list[str]:
    """Return the attributes of users that are used: those of people, and those that the rules for cards name."""
    names = list(_PERSON)
    for rule in settings.credential:
        if rule.preset == "latchd":
            names.append(LATCHD_URN)
        elif rule.preset is not None:
            names.append(f"{ENTERPRISE_URN}:{rule.preset.rpartition('.')[2]}")
        elif rule.path is not None:
            names += [
                one for one in (rule.path, rule.facility_attribute, rule.status_attribute) if one is not None
            ]
        elif rule.urn is not None:
            names.append(rule.urn)
        elif rule.key == "employeeNumber":
            names.append(f"{ENTERPRISE_URN}:employeeNumber")
    bare = (name.partition("[")[0] for name in names)
    return list(dict.fromkeys(bare))
