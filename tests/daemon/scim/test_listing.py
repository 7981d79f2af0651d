"""What a page is, and lists that have to be read more than once to be whole."""

from __future__ import annotations

import pytest

from daemon.scim.exchange import OutageKind, Response
from tests.daemon.scim.test_paging import Reading, healthy, outage, page, users


def test_rows_that_one_reading_misses_are_found_by_another() -> None:
    orders = iter([[1, 2, 3, 4, 1, 2, 5, 6], [5, 6, 7, 8, 1, 2, 3, 4]])
    order: list[int] = []

    def answer(query: dict[str, str]) -> Response:
        nonlocal order
        start = int(query["startIndex"])
        if start == 1:
            order = next(orders)
        return page(users(*order[start - 1 : start + 3]), 8, startIndex=start)

    reading = Reading(answer)
    assert reading.listing.have == 8
    assert [query.get("sortBy") for query in reading.asked if query["startIndex"] == "1"] == [None, "id"]
    assert "was read again" in reading.listing.warnings[0]


def test_a_server_that_refuses_an_order_is_read_without() -> None:
    plain = healthy(8)

    def answer(query: dict[str, str]) -> Response:
        if "sortBy" in query:
            return Response(400)
        response = plain(query)
        response.document["totalResults"] = 9
        return response

    assert outage(answer).kind is OutageKind.INCOMPLETE


def test_a_list_that_counts_from_zero_is_read_from_there() -> None:
    rows = users(1, 2, 3)

    def answer(query: dict[str, str]) -> Response:
        start = int(query["startIndex"])
        return page(rows[start : start + 4], 3, startIndex=start)

    reading = Reading(answer)
    assert reading.listing.have == 3
    assert "counts rows from 0" in reading.listing.warnings[0]


def test_an_index_that_is_ignored_is_told_from_an_end_that_wraps_round() -> None:
    def answer(query: dict[str, str]) -> Response:
        return page(users(1, 2, 3), 3)

    assert Reading(answer).listing.one_page
    assert "set scim.page_size above" in str(outage(answer, size=3)), "there may be more than a full page"


def test_a_cursor_that_comes_unasked_is_followed() -> None:
    def answer(query: dict[str, str]) -> Response:
        start = int(query.get("cursor", 0))
        return page(users(*range(start, start + 4)), **({"nextCursor": str(start + 4)} if start < 12 else {}))

    reading = Reading(answer)
    assert reading.listing.have == 16
    assert [query.get("cursor") for query in reading.asked] == [None, "4", "8", "12"]


def test_what_a_server_is_not_trusted_in_does_not_count() -> None:
    plain = healthy(9)

    def lies(query: dict[str, str]) -> Response:
        document = {**plain(query).document, "totalResults": 40, "startIndex": 1}
        return Response(200, {name: value for name, value in document.items() if name != "schemas"})

    assert outage(lies).kind is OutageKind.NOT_SCIM
    assert Reading(lies, trust=frozenset()).listing.have == 9
    empty = outage(lambda query: Response(200, {}), trust=frozenset())
    assert empty.kind is OutageKind.NOT_SCIM, "an empty document is no list, whatever is trusted"


@pytest.mark.parametrize("total", [9.0, "9.0", "9", 9])
def test_totals_in_every_form(total: object) -> None:
    plain = healthy(9)

    def answer(query: dict[str, str]) -> Response:
        return Response(200, {**plain(query).document, "totalResults": total})

    assert Reading(answer).listing.have == 9


@pytest.mark.parametrize("base", [0, 1])
def test_an_echo_may_count_from_zero_if_it_does_so_all_the_time(base: int) -> None:
    plain = healthy(9)

    def answer(query: dict[str, str]) -> Response:
        return Response(200, {**plain(query).document, "startIndex": int(query["startIndex"]) - 1 + base})

    assert Reading(answer).listing.have == 9
