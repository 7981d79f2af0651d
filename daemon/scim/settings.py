"""The ``[scim]`` table of the site file: where the directory is, what of it is wanted, the brake. Pure."""

from __future__ import annotations

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic.dataclasses import dataclass

from cache.reconcile.limits import Limits
from daemon.scim.filters import FilterError, parse_filter
from daemon.scim.path import check_path
from drivers.driver import SecretReference
from drivers.settings import STRICT, Duration

LATCHD_URN = "urn:ietf:params:scim:schemas:extension:latchd:2.0:User"
ENTERPRISE_URN = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"

Road = Literal["auto", "members", "attributes", "user_groups", "filter", "single"]
"""How memberships are read: from the groups, from the groups when asked for by ``attributes=``, from the
``groups`` of each user, or by a filter on Users. ``auto`` finds it by itself."""

Preset = Literal["latchd", "enterprise.employeeNumber", "enterprise.cardNumber"]

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_REFERENCE = re.compile(r"(credential|file|env):.+")


def check_url(url: str) -> str:
    """An absolute ``https`` URL without a query; plain ``http`` only to this machine itself."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise ValueError('expected a URL such as "https://directory.example.com/scim/v2"')
    if parts.username or parts.password:
        raise ValueError("a URL in the site file holds no user or password: use token or oauth")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("expected https: over plain http anybody on the way could open doors")
    return url.rstrip("/")


def check_reference(reference: SecretReference) -> SecretReference:
    """Refuse a secret that is written into the file itself."""
    if _REFERENCE.fullmatch(reference) is None:
        raise ValueError('expected a reference to a secret: "credential:NAME", "file:PATH" or "env:NAME"')
    return reference


Url = Annotated[str, AfterValidator(check_url)]
Secret = Annotated[SecretReference, AfterValidator(check_reference)]


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class OAuthSettings:
    """``oauth``: a token by OAuth 2.0 client credentials (RFC 6749 §4.4), renewed before it expires."""

    token_url: Url
    client_id: str
    client_secret: Secret
    scope: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class CredentialRule:
    """``[[scim.credential]]``: where a person's cards are to be found.

    The first rule that finds one is used, and those after it if it says ``more``. One of: ``preset``; ``urn`` of
    an extension that has latchd's attribute names; ``attribute``, which holds a card number (or a compact string
    such as ``H10301:123:45678``); ``side_file``, CSV or JSON, keyed on ``key``. ``format`` and ``facility_code``
    complete what the source leaves out.

    How a bare value of ``attribute`` is read: ``strip`` takes a prefix off, ``pattern`` (a regular expression with
    the groups facility, number, issue, format, hex and status) takes it apart, ``base`` says whether digits are
    decimal or hexadecimal, ``byte_order`` whether their bytes are reversed; ``facility_attribute`` and
    ``status_attribute`` stand beside it.

    A side file may also have each person's PIN (``pin``); with ``pin_alone`` it identifies its person without a
    card, too.
    """

    preset: Preset | None = None
    urn: str | None = None
    attribute: str | None = None
    side_file: str | None = None
    key: Literal["externalId", "userName", "employeeNumber"] = "externalId"
    format: str | None = None
    facility_code: Annotated[int, Field(ge=0)] | None = None
    pattern: str | None = None
    facility_attribute: str | None = None
    status_attribute: str | None = None
    base: Literal[10, 16] | None = None
    byte_order: Literal["as_read", "reversed"] = "as_read"
    strip: str | None = None
    more: bool = False
    pin_alone: bool = False

    @property
    def path(self) -> str | None:
        """The path of ``attribute``, in its schema if ``urn`` names one."""
        return self.attribute if self.urn is None or self.attribute is None else f"{self.urn}:{self.attribute}"

    @property
    def has_facility(self) -> bool:
        """Whether the facility code is known apart from the value."""
        return self.facility_code is not None or self.facility_attribute is not None

    @model_validator(mode="after")
    def _readable(self) -> CredentialRule:
        for key, path in (
            ("attribute", self.path),
            ("facility_attribute", self.facility_attribute),
            ("status_attribute", self.status_attribute),
        ):
            if path is not None:
                try:
                    check_path(path)
                except ValueError as error:
                    raise ValueError(f"{key}: {error}") from None
        if self.pattern is not None:
            _check_pattern(self.pattern)
        reading = (self.pattern, self.facility_attribute, self.status_attribute, self.base, self.strip)
        bare = self.attribute is not None or self.preset not in (None, "latchd")
        if not bare and (any(one is not None for one in reading) or self.byte_order != "as_read"):
            raise ValueError(
                "pattern, facility_attribute, status_attribute, base, byte_order and strip say how an attribute is"
                " read: they go with attribute, or with a preset that is a bare number"
            )
        return self

    @model_validator(mode="after")
    def _one_source(self) -> CredentialRule:
        sources = [s for s in (self.preset, self.attribute, self.side_file) if s is not None]
        if len(sources) + (self.urn is not None and self.attribute is None) != 1:
            raise ValueError(
                "say one source of cards: preset, urn, attribute (with urn if it is one's), or side_file"
            )
        if self.pin_alone and self.side_file is None:
            raise ValueError("pin_alone goes with side_file: PINs come from side files only")
        if self.preset not in (None, "latchd") and self.format is None and self.pattern is None:
            raise ValueError(
                f'the preset "{self.preset}" is a bare number: add format, and facility_code if it has one'
            )
        return self


_PATTERN_GROUPS = frozenset({"facility", "number", "issue", "format", "hex", "status"})


def _check_pattern(pattern: str) -> None:
    try:
        groups = set(re.compile(pattern).groupindex)
    except re.error as error:
        raise ValueError(f"pattern: not a regular expression: {error}") from None
    if groups - _PATTERN_GROUPS or not groups & {"number", "hex"}:
        raise ValueError(
            "pattern: expected the group (?P<number>…) or (?P<hex>…), and perhaps facility, issue, format, status"
        )


DEFAULT_RULES = (CredentialRule(preset="latchd"),)


@dataclass(frozen=True, slots=True, kw_only=True, config=STRICT)
class ScimSettings:
    """``[scim]``: the SCIM 2.0 service provider, the groups that become access groups, and the brake."""

    url: Url
    token: Secret | None = None
    oauth: OAuthSettings | None = None
    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    interval: Duration = 300.0
    timeout: Duration = 600.0
    max_body: Annotated[int, Field(ge=65536)] = 16 * 1024 * 1024
    page_size: Annotated[int, Field(ge=1, le=1000)] = 100
    groups: tuple[str, ...] | None = None
    filter: str | None = None
    ids: tuple[str, ...] | None = None
    road: Road = "auto"
    members: Literal["auto", "id", "userName"] = "auto"
    paging: Literal["auto", "index", "cursor"] = "auto"
    trust: tuple[Literal["total", "echo", "schemas"], ...] = ("total", "echo", "schemas")
    store_names: bool = True
    require_first_approval: bool = False
    on_disconnect: Literal["quarantine", "delete"] = "quarantine"
    limits: Limits | None = None
    credential: tuple[CredentialRule, ...] = DEFAULT_RULES

    @model_validator(mode="after")
    def _whole(self) -> ScimSettings:
        if self.token is not None and self.oauth is not None:
            raise ValueError("token and oauth are two ways to sign in: keep one")
        if sum(choice is not None for choice in (self.groups, self.filter, self.ids)) != 1:
            raise ValueError("choose groups in one way: groups = [patterns], filter = '…' or ids = […]")
        if self.interval < 10:
            raise ValueError("interval is at least 10s")
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("client_cert and client_key go together")
        if self.filter is not None:
            try:
                parse_filter(self.filter)
            except FilterError as error:
                raise ValueError(f"filter: {error}") from None
        return self
