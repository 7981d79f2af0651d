"""What comes as text from people and other machines: cards, control lines, site files, SCIM, recordings.

The invariant: whatever it is, it is either read or refused with the one error that the reader documents; and a
refused card is never quoted.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from daemon.cli.frames import driver_of
from daemon.cli.replay import events_of
from daemon.config.load import read_site
from daemon.control.protocol import Request, decode_answer, decode_request
from daemon.errors import ConfigError, ControlError
from daemon.scim import exchange
from daemon.scim.cards import CardMapper
from daemon.scim.exchange import OutageError, Response
from daemon.scim.filters import FilterError, parse_filter
from daemon.scim.paging import Listing, read_page
from daemon.scim.people import People
from daemon.scim.resource import MalformedError, read_group
from daemon.scim.settings import LATCHD_URN, CredentialRule
from drivers.cards.formats import built_in_formats
from drivers.cards.layout import CardError, LayoutError
from drivers.driver import DriverUsageError
from drivers.recording import RecordingError, event_words, parse
from tests.fuzz.engine import LONGEST, Harness

ROOT = Path(__file__).parents[2]
DEEP = 20_000
"""Brackets in a row: more than any parser's stack takes."""
RULES = (CredentialRule(preset="latchd"), CredentialRule(attribute="title"), CredentialRule(attribute="badges"))


class CardText(Harness):
    """``H10301:57:1234`` and its kin."""

    name = "card-text"

    def corpus(self) -> Sequence[bytes]:
        return [
            b"H10301:57:1234", b"Kastle:57:1234:3", b"H10302:12345678", b"bits:01100111000", b"RAW26:1A2B3C",
            b"raw128:" + b"f" * 32, "H10301:٣:１２".encode(), b"bits:" + b"1" * 128, b" h10301 : 1 : 2",
        ]  # fmt: skip

    def feed(self, data: bytes) -> int:
        text = data.decode("utf-8", "replace")
        try:
            length, value = built_in_formats().parse_card(text)
        except CardError as error:
            message = str(error)
        else:
            assert 1 <= length <= 128
            assert 0 <= value < 1 << length
            return 1
        for name in built_in_formats():
            message = message.replace(name, "")
        assert not [digits for digits in re.findall(r"[0-9]{5,}", text) if digits in message], "the card is quoted"
        return 1


class ControlLine(Harness):
    """Lines on the control socket, in both directions."""

    name = "control"

    def corpus(self) -> Sequence[bytes]:
        return [
            b'{"command": "events", "arguments": {"follow": true}}',
            b'{"command": "status"}',
            b'{"item": {"a": [1, null, "x"]}}',
            b'{"end": "ok"}',
            b'{"end": "error", "message": "no", "exit_code": 3}',
            b'{"end": "error", "message": 1, "exit_code": "x"}',
            b"5", b"null", b'["item"]', b'"item"', b"NaN", b"1" * 5000,
        ]  # fmt: skip

    def feed(self, data: bytes) -> int:
        for line in (data, b"[" * DEEP if data[:1] == b"\xff" else b""):
            with contextlib.suppress(ControlError):
                assert isinstance(decode_request(line), Request)
            with contextlib.suppress(ControlError):
                assert isinstance(decode_answer(line), tuple)
        return 1


class SiteFile(Harness):
    """The site file of the documentation, its lines changed."""

    name = "site-file"

    def corpus(self) -> Sequence[bytes]:
        whole = (ROOT / "docs" / "examples" / "site.toml").read_bytes()
        tables = re.split(rb"\n(?=\[)", whole)
        return [whole, *(b"\n".join(tables[n : n + 3]) for n in range(0, len(tables), 2)), b"a = " + b"[" * DEEP]

    def feed(self, data: bytes) -> int:
        with contextlib.suppress(ConfigError):
            read_site(data.decode("utf-8", "replace"), "site.toml", None)
        return 1


class ScimDocument(Harness):
    """ListResponses, users and groups, whatever their types are."""

    name = "scim"

    def corpus(self) -> Sequence[bytes]:
        user = {
            "id": "u1", "userName": "ann", "active": True, "displayName": "Ann", "name": {"formatted": "Ann B"},
            "groups": [{"value": "g1"}], "externalId": 7, "title": "H10301:57:1234", "badges": ["bits:0110", 5],
            LATCHD_URN: {"extendedTime": "true", "cards": [{"format": "H10301", "number": "7", "facility": 1}]},
        }  # fmt: skip
        group = {"id": "g1", "displayName": "Staff", "members": [{"value": "u1", "$ref": "../Users/u1"}]}
        page = {
            "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"], "totalResults": 2, "startIndex": 1,
            "Resources": [user, group], "nextCursor": "x",
        }  # fmt: skip
        filters = ['userName eq "a" and (active eq true or not (id pr))', 'emails[type eq "work"].value co "@"']
        found = [json.dumps(each).encode() for each in (user, group, page)]
        return [*found, *(each.encode() for each in filters), b'{"members": {"value": 5}, "id": true}']

    def feed(self, data: bytes) -> int:
        self._filter(data.decode("utf-8", "replace"))
        try:
            document: Any = json.loads(data)
        except (ValueError, RecursionError):  # the HTTP shell's part
            return 1
        try:
            resources = read_page(exchange.Request("Users"), Response(200, document)).resources
        except OutageError:
            resources = [document]
        people = People(CardMapper(RULES, built_in_formats(), bytes(32)))
        Listing("Users", people.take, 100).accept(resources)
        for resource in resources:
            if isinstance(resource, dict):
                with contextlib.suppress(MalformedError):
                    read_group(resource)
        return 1

    @staticmethod
    def _filter(text: str) -> None:
        try:
            predicate = parse_filter(text)
        except FilterError:
            return
        predicate({"userName": "a", "active": True, "emails": [{"type": "work", "value": 5}]})


class RecordingText(Harness):
    """Recordings that somebody sent: every kind of line, through the machine of whatever driver they name, and
    frame by frame."""

    name = "recording"

    def corpus(self) -> Sequence[bytes]:
        return [_short(file) for file in sorted((ROOT / "tests" / "recordings").glob("*.rec"))]

    def feed(self, data: bytes) -> int:
        with contextlib.suppress(RecordingError, DriverUsageError, CardError, LayoutError):
            recording = parse([data.decode("utf-8", "replace")])
            support = driver_of(recording).recording
            if support is not None and support.decode is not None and support.capture is not None:
                assert all(words.isprintable() for _, words in support.decode(recording))
                for shown in (False, True):
                    assert sum(len(part) for part in support.capture(recording, shown)) % 4 == 0
            for each in events_of(recording, {}, lambda reference: bytes(range(16))):
                event_words(each.event, shown=True)
        return 1


def _short(file: Path) -> bytes:
    """Its beginning, to the end of a line: an input has no more room."""
    return file.read_bytes()[:LONGEST].rpartition(b"\n")[0] + b"\n"
