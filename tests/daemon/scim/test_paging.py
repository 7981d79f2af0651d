"""Paging: a list is whole or it is an outage, whatever a server does with indexes, sizes, totals and cursors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.exchange import OutageError, OutageKind, Request, Response
from daemon.scim.listing import ALL, Listing, Trust, read_page
from daemon.scim.paging import read_list
from daemon.scim.resource import MalformedError
from tests.peers.scim_faults.engine import LIST

Answer = Callable[[dict[str, str]], Response]


def users(*numbers: int) -> list[dict[str, Any]]:
    return [{"id": str(number)} for number in numbers]


def page(rows: list[Any], total: int | None = None, **more: Any) -> Response:
    document = {"schemas": [LIST], "Resources": rows, **more}
    return Response(200, document if total is None else {**document, "totalResults": total})


class Reading:
    """Reads a list from ``answer``; what was taken, in order, and what was asked."""

    def __init__(self, answer: Answer, size: int = 4, cursor: bool = False, trust: Trust = ALL) -> None:
        self.taken: list[str] = []
        self.asked: list[dict[str, str]] = []
        self.listing = Listing("Users", self.take, size, trust=trust)
        conversation = read_list(self.listing, "cursor" if cursor else "index")
        try:
            request = next(conversation)
            while True:
                self.asked.append(dict(request.parameters))
                assert len(self.asked) < 500, "the list does not end"
                try:
                    response = answer(self.asked[-1])
                except OutageError as error:
                    request = conversation.throw(error)
                else:
                    request = conversation.send(response)
        except StopIteration:
            pass

    def take(self, id_: str, resource: Mapping[str, Any]) -> None:
        if resource.get("bad"):
            raise MalformedError("it is bad")
        self.taken.append(id_)


def healthy(total: int, most: int = 100) -> Answer:
    """A server of so many users that gives at most so many on a page."""
    rows = users(*range(1, total + 1))

    def answer(query: dict[str, str]) -> Response:
        start, count = int(query["startIndex"]), min(int(query.get("count", most)), most)
        return page(rows[start - 1 : start - 1 + count], total, startIndex=start)

    return answer


def outage(answer: Answer, size: int = 4, cursor: bool = False, trust: Trust = ALL) -> OutageError:
    with pytest.raises(OutageError) as caught:
        Reading(answer, size, cursor, trust)
    return caught.value


# ------------------------------------------------------------------ index


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 20), st.integers(1, 20))
def test_every_user_is_read_once_whatever_the_sizes(total: int, size: int, most: int) -> None:
    reading = Reading(healthy(total, most), size)
    assert reading.taken == [str(number) for number in range(1, total + 1)]
    assert int(reading.asked[-1]["startIndex"]) == total + 1, "one page past the end was asked for"
    assert not reading.listing.warnings


@settings(deadline=None)
@given(
    st.lists(st.lists(st.one_of(st.integers(1, 9), st.none(), st.just("x")), max_size=5), max_size=8),
    st.lists(st.one_of(st.none(), st.integers(0, 30)), min_size=8, max_size=8),
)
def test_any_pages_end_as_a_list_or_as_an_outage(pages: list[list[Any]], totals: list[int | None]) -> None:
    turn = iter(zip(pages, totals, strict=False))

    def answer(query: dict[str, str]) -> Response:
        rows, total = next(turn, ([], 0))
        return page([{"id": row} if isinstance(row, int) else row for row in rows], total)

    kinds, reading = set(), None
    try:
        reading = Reading(answer)
    except OutageError as error:
        kinds.add(error.kind)
    assert kinds <= {OutageKind.INCOMPLETE, OutageKind.NOT_SCIM}
    assert reading is None or set(reading.taken) == reading.listing.seen


@pytest.mark.parametrize(
    ("total", "given", "moves", "whole"),
    [
        (100, 98, True, True),
        (100, 98, False, False),
        (100, 95, True, False),
        (5, 3, False, False),
        (9, 0, False, False),
    ],
)
def test_a_list_may_lack_what_moved_and_no_more(total: int, given: int, moves: bool, whole: bool) -> None:
    turn = 0

    def answer(query: dict[str, str]) -> Response:
        nonlocal turn
        start = int(query["startIndex"])
        turn += start == 1
        rows = users(*range(1, given + 1))
        if moves and turn > 1:
            rows = rows[1:]
        return page(rows[max(start - 1, 0) :], total)

    if whole:
        assert "the list changed while it was read" in Reading(answer, 200).listing.warnings[0]
    else:
        assert outage(answer, 200).kind is OutageKind.INCOMPLETE


def test_a_total_that_is_capped_with_the_page_does_not_end_the_list() -> None:
    plain = healthy(30)

    def answer(query: dict[str, str]) -> Response:
        response = plain(query)
        last = int(query["startIndex"]) - 1 + len(response.document["Resources"])
        response.document["totalResults"] = last
        return response

    assert len(Reading(answer).taken) == 30


def test_an_end_that_wraps_round_ends_the_list() -> None:
    plain = healthy(9)

    def answer(query: dict[str, str]) -> Response:
        return plain({**query, "startIndex": "1"} if int(query["startIndex"]) > 9 else query)

    assert Reading(answer).listing.have == 9


def test_a_server_that_does_not_page_is_an_outage() -> None:
    error = outage(lambda query: page(users(1, 2, 3, 4), 40))
    assert "does not page" in str(error)
    assert error.kind is OutageKind.INCOMPLETE


def test_another_index_than_asked_for_is_an_outage() -> None:
    plain = healthy(9)
    error = outage(lambda query: Response(200, {**plain(query).document, "startIndex": 1}))
    assert "answered for startIndex=1" in str(error)


@pytest.mark.parametrize("status", [400, 404, 413, 414, 422, 500, 501])
def test_a_size_that_is_refused_is_halved_and_at_last_left_out(status: int) -> None:
    plain = healthy(30, 10)
    for most in (25, 4, 0):

        def answer(query: dict[str, str], most: int = most) -> Response:
            return plain(query) if int(query.get("count", 0)) <= most else Response(status)

        reading = Reading(answer, 200)
        assert len(reading.taken) == 30
        assert reading.listing.counted == (most > 0)


def test_a_size_that_is_too_large_to_be_read_is_halved() -> None:
    plain = healthy(30)

    def answer(query: dict[str, str]) -> Response:
        if int(query.get("count", 0)) > 7:
            raise OutageError(OutageKind.TOO_LARGE, "an answer is larger than scim.max_body allows")
        return plain(query)

    assert len(Reading(answer, 20).taken) == 30
    assert len(Reading(cursors(30, answer), 20, cursor=True).taken) == 30

    def never(query: dict[str, str]) -> Response:
        raise OutageError(OutageKind.TOO_LARGE, "an answer is larger than scim.max_body allows")

    assert outage(never, 20).kind is OutageKind.TOO_LARGE


def test_a_page_beyond_the_end_may_be_refused() -> None:
    plain = healthy(8)
    reading = Reading(lambda query: Response(400) if int(query["startIndex"]) > 8 else plain(query))
    assert len(reading.taken) == 8


def test_resources_that_come_twice_count_once_and_the_later_one_is_taken_last() -> None:
    rows = [*users(1, 2), {"id": "2", "bad": True}, *users(3, 1)]
    reading = Reading(lambda query: page(rows if query["startIndex"] == "1" else [], 3))
    assert reading.taken == ["1", "2", "3", "1"]
    assert reading.listing.have == 3


def test_a_total_of_twice_as_many_is_believed_to_be_that() -> None:
    plain = healthy(30)

    def answer(query: dict[str, str]) -> Response:
        return Response(200, {**plain(query).document, "totalResults": 60})

    assert "twice as many" in Reading(answer).listing.warnings[0]


def test_malformed_resources_are_skipped_and_told_and_never_fail_a_page() -> None:
    rows: list[Any] = [None, "user", 7, [], {"id": {}}, {"userName": "x"}, *users(1), {"id": "2", "bad": True}]
    reading = Reading(lambda query: page(rows if query["startIndex"] == "1" else [], 8), 100)
    assert reading.taken == ["1"]
    assert reading.listing.skipped == 7
    assert len(reading.listing.warnings) == 5, "not each of a thousand is mentioned"


def test_a_page_of_nothing_but_malformed_resources_is_passed_over() -> None:
    rows: list[Any] = [None, None, *users(1, 2)]

    def answer(query: dict[str, str]) -> Response:
        start = int(query["startIndex"])
        return page(rows[start - 1 : start + 1], 4)

    assert Reading(answer, 2).taken == ["1", "2"]


def test_a_list_without_an_end_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("daemon.scim.listing.MAX_RESOURCES", 50)
    endless = healthy(10**6)
    assert outage(endless, 20).kind is OutageKind.TOO_LARGE
    assert outage(cursors(10**6), 20, cursor=True).kind is OutageKind.TOO_LARGE


# ------------------------------------------------------------------ pages


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (Response(200, None), OutageKind.NOT_SCIM),
        (Response(200, {}), OutageKind.NOT_SCIM),
        (Response(200, []), OutageKind.NOT_SCIM),
        (Response(200, {"Resources": [], "totalResults": 0}), OutageKind.NOT_SCIM),
        (Response(200, {"schemas": ["urn:x"], "Resources": []}), OutageKind.NOT_SCIM),
        (Response(200, {"schemas": LIST, "Resources": {}}), OutageKind.NOT_SCIM),
        (Response(304, None), OutageKind.NOT_SCIM),
        (Response(401, None), OutageKind.UNAUTHORIZED),
        (Response(403, None), OutageKind.FORBIDDEN),
        (Response(410, None), OutageKind.GONE),
        (Response(429, None), OutageKind.THROTTLED),
        (Response(500, {"status": 500}), OutageKind.SERVER_ERROR),
    ],
)
def test_what_is_no_page_is_an_outage_of_its_kind(response: Response, kind: OutageKind) -> None:
    with pytest.raises(OutageError) as caught:
        read_page(Request("Users"), response)
    assert caught.value.kind is kind


@pytest.mark.parametrize("total", [None, "many", True, -1, 1.5, [], 10**20])
def test_an_index_needs_a_total_that_is_a_number(total: Any) -> None:
    error = outage(lambda query: page(users(1), None, totalResults=total))
    assert "totalResults is missing or no number" in str(error)


def test_names_and_numbers_of_a_page_are_read_tolerantly() -> None:
    document = {"SCHEMAS": LIST.upper(), "resources": None, "TotalResults": " 12 ", "STARTINDEX": "3"}
    read = read_page(Request("Users"), Response(200, document))
    assert (read.resources, read.total, read.start, read.next_cursor) == ([], 12, 3, None)


# ------------------------------------------------------------------ cursor


def cursors(total: int, answer: Answer | None = None) -> Answer:
    """A server with cursors, each of them used once; asked by index it answers as ``answer`` does."""
    plain = answer or healthy(total)

    def by_cursor(query: dict[str, str]) -> Response:
        if "cursor" not in query:
            return plain(query)
        start = int(query["cursor"] or 1)
        response = plain({**query, "startIndex": str(start)})
        last = start - 1 + len(response.document["Resources"])
        del response.document["startIndex"]
        if last < total:
            response.document["nextCursor"] = str(last + 1)
        return response

    return by_cursor


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(1, 20))
def test_every_user_is_read_by_cursor(total: int, size: int) -> None:
    reading = Reading(cursors(total), size, cursor=True)
    assert reading.taken == [str(number) for number in range(1, total + 1)]
    assert all("cursor" in query for query in reading.asked)


def test_a_total_is_optional_by_cursor_and_empty_pages_are_passed_through() -> None:
    pages = {"": page([], nextCursor="a"), "a": page(users(1), nextCursor="b"), "b": page([])}
    assert Reading(lambda query: pages[query["cursor"]], cursor=True).taken == ["1"]


@pytest.mark.parametrize(("most", "by_index"), [(1, False), (2, True)])
def test_a_cursor_that_expires_begins_again_and_at_last_by_index(most: int, by_index: bool) -> None:
    refused = 0

    def answer(query: dict[str, str]) -> Response:
        nonlocal refused
        if query.get("cursor") == "5" and refused < most:
            refused += 1
            return Response(400)
        return cursors(30)(query)

    reading = Reading(answer, cursor=True)
    assert reading.listing.have == 30
    assert ("startIndex" in reading.asked[-1]) == by_index
    assert ("read by index instead" in "".join(reading.listing.warnings)) == by_index


@pytest.mark.parametrize(
    "broken",
    [
        lambda query: page(users(1, 2), 30),  # the first page for ever, without a next one
        lambda query: page(users(1, 2), 30, nextCursor="same"),  # back to where it was
        lambda query: page(users(1, 2), 30, nextCursor=query["cursor"] + "x"),  # for ever on, with nothing new
        lambda query: Response(400),  # announced, and not there
    ],
)
def test_cursors_that_do_not_hold_what_they_promise_are_replaced_by_an_index(broken: Answer) -> None:
    plain = healthy(30)
    reading = Reading(lambda query: broken(query) if "cursor" in query else plain(query), cursor=True)
    assert reading.listing.have == 30
    assert "cursors do not work" in reading.listing.warnings[0]
