"""Side files: cards beside a directory, as CSV or JSON; what is wrong is named by its line, never by its value."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.scim.card_file import SideFileError, parse_side_file


def test_csv() -> None:
    file = parse_side_file("\ufeffexternalId,cardNumber,facilityCode\nE1,7,57\ne1,8,\n ,9,9\n", "externalId")
    assert file.rows("e1") == [{"cardNumber": "7", "facilityCode": "57"}, {"cardNumber": "8"}]
    assert file.rows(" E1 ") == file.rows("e1")
    assert file.rows("e2") == file.rows(None) == file.rows([]) == ()


def test_csv_with_semicolons_and_quotes() -> None:
    file = parse_side_file('userName;cards\n"ada";"H10301:1:7;RAW26:1A"\n', "userName")
    assert file.rows("ada") == [{"cards": "H10301:1:7;RAW26:1A"}]


def test_json() -> None:
    file = parse_side_file(
        '  {"17": {"cardNumber": 7}, "Ada": [{"cards": "a"}, {"cards": "b"}]}', "employeeNumber"
    )
    assert file.rows(17) == [{"cardNumber": 7}]
    assert file.rows("ADA") == [{"cards": "a"}, {"cards": "b"}]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", 'line 1: expected a header line whose first column is "externalId"'),
        ("name,cards\nada,s3cret\n", "line 1: expected a header line"),
        ("externalId,cards\ne1,a\ne2\n", "line 3: expected 2 columns"),
        ("externalId,cards\ne1,s3cret,more\n", "line 2: expected 2 columns"),
        ('externalId,cards\ne1,"s3cret\n', "this is no CSV"),
        ('{"e1": "s3cret"}', "entry 1: expected an object"),
        ('{"e1": {},\n"e2": s3cret}', "line 2: this is no JSON"),
        ('{"e1": ' + "[" * 100_000, "this is no JSON"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(content: str, words: str) -> None:
    with pytest.raises(SideFileError) as caught:
        parse_side_file(content, "externalId")
    assert words in str(caught.value)
    assert "s3cret" not in str(caught.value)


@settings(deadline=None)
@given(st.text(max_size=200) | st.text(alphabet='{}[]",:;e1\n', max_size=60))
def test_any_text_is_a_side_file_or_an_error(content: str) -> None:
    try:
        parse_side_file(content, "externalId")
    except SideFileError:
        return
