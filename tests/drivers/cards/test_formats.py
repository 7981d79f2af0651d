"""Card formats: fields and raw bits determine each other, for every format and every card."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from drivers.cards.formats import CardFormats, ParityError, UnknownFormatError, built_in_formats, decode
from drivers.cards.layout import Card, CardError, CardFormat, Check, LayoutError, Parity, parse_bits
from drivers.cards.tables import CardFormatTable

FACTS = Path(__file__).parent / "facts.json"
FORMATS = built_in_formats()
DATA: dict[str, Any] = json.loads(resources.files("drivers.cards").joinpath("formats.json").read_text())

each_format = pytest.mark.parametrize("layout", FORMATS.values(), ids=lambda layout: layout.name)


def limit(bits: tuple[int, ...]) -> int:
    return (1 << len(bits)) - 1


@st.composite
def cards(draw: st.DrawFn, layout: CardFormat) -> Card:
    def part(bits: tuple[int, ...]) -> int | None:
        return draw(st.integers(0, limit(bits))) if bits else None

    number = part(layout.number)
    assert number is not None
    return Card(layout.name, number, part(layout.facility), part(layout.issue))


def by_the_book(data: dict[str, Any], card: Card) -> str:
    """The bits of a card by a second, plain way: strings, straight from the data file."""
    bits = ["?"] * data["length"]
    for field, value in (
        ("facility_code", card.facility),
        ("card_number", card.number),
        ("issue_level", card.issue),
    ):
        if field in data["fields"]:
            where = parse_bits(data["fields"][field])
            for bit, digit in zip(where, f"{value:0{len(where)}b}", strict=True):
                bits[bit] = digit
    for bit, digit in data["fixed"].items():
        bits[int(bit)] = str(digit)
    for check in data["checks"]:
        ones = [bits[bit] for bit in parse_bits(check["over"])].count("1")
        bits[check["bit"]] = str(ones % 2 if check["parity"] == "even" else 1 - ones % 2)
    return "".join(bits)


def test_the_36_formats_are_those_that_were_given() -> None:
    """facts.json is what the project was given; the data file of latchd must say the same of each."""
    facts = {fact.pop("name"): fact for fact in json.loads(FACTS.read_text())}
    assert len(facts) == len(FORMATS) == 36
    assert facts == DATA


@each_format
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_encode_and_decode_are_exact_inverses(layout: CardFormat, data: st.DataObject) -> None:
    card = data.draw(cards(layout))
    value = layout.encode(card.facility, card.number, card.issue)
    assert f"{value:0{layout.length}b}" == by_the_book(DATA[layout.name], card)
    assert layout.decode(value) == card
    assert FORMATS.parse_card(card.text()) == (layout.length, value)


@each_format
@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_bits_that_decode_encode_to_the_same_bits(layout: CardFormat, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << layout.length) - 1))
    card = layout.decode(value)
    if card is not None:
        assert layout.encode(card.facility, card.number, card.issue) == value


@each_format
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_single_wrong_bit_is_found_where_it_is_covered(layout: CardFormat, data: st.DataObject) -> None:
    card = data.draw(cards(layout))
    value = layout.encode(card.facility, card.number, card.issue)
    for bit in range(layout.length):
        wrong = value ^ 1 << (layout.length - 1 - bit)
        if bit in layout.covered:
            assert not layout.matches(wrong)
            with pytest.raises(ParityError):
                decode(layout.length, wrong, [layout])
        else:
            other = layout.decode(wrong)
            assert other is not None
            assert other != card


@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("H10301:118:1603", 0x2006EC0C86 & 0x3FFFFFF),  # both stand in the Proxmark documentation
        ("H10301:123:4567", 0x2006F623AE & 0x3FFFFFF),
        ("h10301:0:0", 0b1),
        ("H10301:255:65535", 0x1FFFFFF),
        ("bits:0110", 6),
        ("RAW26:2ec0c86", 0x2EC0C86),
        (" H10302:5 ", 0b0_00000000000000000000000000000000101_1),
    ],
)
def test_known_cards(card: str, value: int) -> None:
    assert FORMATS.parse_card(card)[1] == value


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("H10301:256:4711", "facility code does not fit: H10301 has room for 0 to 255"),
        ("H10301:57:65536", "card number does not fit: H10301 has room for 0 to 65535"),
        ("H10301:4711", "expected a card of this format as H10301:facility:number$"),
        ("H10301:57:4711:1", "as H10301:facility:number$"),
        ("Kastle:57", r"as Kastle:facility:number\[:issue\]"),
        ("H10302:57:4711", "as H10302:number$"),
        ("H10301:57:-1", "decimal numbers"),
        ("H10301:57:٣", "decimal numbers"),
        ("H10301:57:", "decimal numbers"),
        ("47114711", "expected FORMAT:facility:number"),
        ("4711:47114711", "expected FORMAT:facility:number"),
        ("H1031:57:4711", 'did you mean the format "H10301"'),
        ("bits:", "1 to 128 bits"),
        ("bits:012", "1 to 128 bits"),
        ("bits:" + "1" * 129, "1 to 128 bits"),
        ("RAW26:4000000", "more than the 26 bits"),
        ("RAW0:0", "hexadecimal"),
        ("RAW129:0", "hexadecimal"),
        ("RAW26:0x47", "hexadecimal"),
        ("H10301:57:" + "4" * 300, "at most 200 characters"),
        ("", "expected FORMAT"),
    ],
)
def test_a_card_that_is_wrong_is_explained_and_never_quoted(card: str, message: str) -> None:
    with pytest.raises(CardError, match=message) as caught:
        FORMATS.parse_card(card)
    assert "4711" not in str(caught.value)


@given(text=st.text(max_size=220) | st.from_regex(r"(H10301|Kastle|RAW\d+|bits)(:[0-9a-f]+){0,4}", fullmatch=True))
@settings(max_examples=150, deadline=None)
def test_any_text_is_a_card_or_a_card_error(text: str) -> None:
    try:
        length, value = FORMATS.parse_card(text)
    except CardError:
        return
    assert 1 <= length <= 128
    assert 0 <= value < 1 << length


@pytest.mark.parametrize(
    ("name", "facility", "number", "issue", "message"),
    [
        ("H10301", None, 5, None, "needs a facility code"),
        ("H10302", 5, 5, None, "has no facility code"),
        ("H10301", 5, 5, 1, "has no issue level"),
        ("Kastle", 5, 5, 32, "issue level does not fit: Kastle has room for 0 to 31"),
        ("H10301", 5, -1, None, "card number does not fit"),
    ],
)
def test_what_does_not_fit_is_refused(
    name: str, facility: int | None, number: int, issue: int | None, message: str
) -> None:
    with pytest.raises(CardError, match=message):
        FORMATS.encode(name, facility, number, issue)


def test_an_issue_level_that_is_left_out_is_0() -> None:
    assert FORMATS.encode("Kastle", 5, 6) == FORMATS.encode("Kastle", 5, 6, 0)


def test_formats_of_one_length_are_told_apart_by_configuration_only() -> None:
    length, value = FORMATS.parse_card("H10301:57:1234")
    h10301, ind26 = FORMATS.select(["H10301", "ind26"])
    as_hid, as_indala = decode(length, value, [h10301, ind26]), decode(length, value, [ind26, h10301])
    assert as_hid == Card("H10301", 1234, 57)
    assert as_indala is not None
    assert as_indala.format == "ind26"
    assert decode(length, value, FORMATS.select(["C1k35s"])) is None
    assert decode(length, value, []) is None


def test_candidates_are_ranked_by_what_confirms_them() -> None:
    length, value = FORMATS.parse_card("P10001:2:3")
    names = [candidate.card.format for candidate in FORMATS.candidates(length, value)]
    assert names[0] == "P10001"
    evidence = [candidate.evidence for candidate in FORMATS.candidates(length, value)]
    assert evidence == sorted(evidence, reverse=True)
    assert FORMATS.candidates(length, value ^ 1 << 39) == () or "P10001" not in [
        candidate.card.format for candidate in FORMATS.candidates(length, value ^ 1 << 39)
    ]
    assert FORMATS.candidates(25, 0) == ()


@settings(max_examples=50, deadline=None)
@given(length=st.integers(1, 60), data=st.data())
def test_candidates_are_exactly_the_formats_that_accept(length: int, data: st.DataObject) -> None:
    value = data.draw(st.integers(0, (1 << length) - 1))
    found = {candidate.card.format for candidate in FORMATS.candidates(length, value)}
    assert found == {f.name for f in FORMATS.values() if f.length == length and f.matches(value)}


def test_a_card_shows_no_number_by_accident() -> None:
    card = Card("H10301", 4711, 57)
    assert "4711" not in repr(card)
    assert "57" not in f"{card}"
    assert card.text() == "H10301:57:4711"


# ------------------------------------------------------------------ formats of one's own


def table(**changes: object) -> CardFormatTable:
    raw = {
        "length": 10,
        "fields": {"facility_code": "1-3", "card_number": "4-7"},
        "checks": [
            {"bit": 0, "parity": "even", "over": "1-7"},
            {"bit": 9, "parity": "odd", "over": "0-8"},
        ],
        "fixed": {"8": 1},
    }
    return TypeAdapter(CardFormatTable).validate_json(json.dumps(raw | changes))


def test_a_format_of_ones_own_is_like_a_built_in_one() -> None:
    formats = FORMATS.extended({"Acme10": table()})
    assert len(formats) == 37
    assert formats.parse_card("Acme10:5:9") == (10, 0b0_101_1001_1_0)
    assert decode(10, 0b0_101_1001_1_0, formats.select(["acme10"])) == Card("Acme10", 9, 5)
    assert "Acme10" not in FORMATS


@settings(max_examples=60, deadline=None)
@given(data=st.data(), length=st.integers(4, 128))
def test_any_well_defined_format_is_an_exact_inverse(data: st.DataObject, length: int) -> None:
    bits = data.draw(st.permutations(range(length)))
    cuts = sorted(data.draw(st.tuples(*[st.integers(1, length)] * 3)))
    number, facility, issue, rest = (bits[a:b] for a, b in zip([0, *cuts], [*cuts, length], strict=True))
    half = len(rest) // 2
    checks, free = [], [*number, *facility, *issue, *rest[:half]]
    for bit in rest[half:]:
        over = data.draw(st.sets(st.sampled_from(free), min_size=1))
        checks.append(Check(bit, data.draw(st.sampled_from(Parity)), tuple(over)))
        free.append(bit)
    fixed = tuple((bit, data.draw(st.booleans())) for bit in rest[:half])
    layout = CardFormat("Own", length, tuple(number), tuple(facility), tuple(issue), tuple(checks), fixed)
    card = data.draw(cards(layout))
    value = layout.encode(card.facility, card.number, card.issue)
    assert 0 <= value < 1 << length
    assert layout.decode(value) == card


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"length": 11}, "bits 10 belong to no field"),
        ({"length": 9}, "bit 9 is outside"),
        ({"length": 129}, "less than or equal to 128"),
        ({"fields": {"facility_code": "1-4", "card_number": "4-7"}}, "bit 4 is facility_code and card_number"),
        ({"fields": {"facility_code": "1-7"}}, "card_number"),
        ({"fields": {"facility_code": "3-1", "card_number": "4-7"}}, "runs backwards"),
        ({"fields": {"facility_code": "1-", "card_number": "4-7"}}, "expected bit positions"),
        ({"fields": {"facility_code": "", "card_number": "4-7"}}, "expected bit positions"),
        ({"fixed": {"8": 2}}, "should be 0 or 1"),
        ({"fixed": {"x": 1}}, "match pattern"),
        ({"fixed": {"7": 1, "8": 1}}, "bit 7 is card_number and a fixed bit"),
        ({"checks": [{"bit": 0, "parity": "odd", "over": "1-9"}, {"bit": 9, "parity": "odd", "over": "1"}]}, "9"),
        ({"checks": [{"bit": 0, "parity": "odd", "over": "0-7"}, {"bit": 9, "parity": "odd", "over": "1"}]}, "0"),
        (
            {"checks": [{"bit": 0, "parity": "odd", "over": "1,1"}, {"bit": 9, "parity": "odd", "over": "1"}]},
            "once",
        ),
        ({"checks": [{"bit": 0, "parity": "none", "over": "1"}]}, "'even' or 'odd'"),
    ],
)
def test_a_format_that_is_not_well_defined_is_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        table(**changes)


@pytest.mark.parametrize(("length", "number"), [(0, (0,)), (129, tuple(range(129))), (4, ())])
def test_a_layout_has_1_to_128_bits_and_a_number(length: int, number: tuple[int, ...]) -> None:
    with pytest.raises(LayoutError, match=r"1 to 128 bits|needs a card_number"):
        CardFormat("Own", length, number)


def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(LayoutError, match="H10301 already"):
        FORMATS.extended({"h10301": table()})


def test_an_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UnknownFormatError, match='"C1K35"; did you mean the format "C1k35s"'):
        FORMATS.select(["H10301", "C1K35"])
    with pytest.raises(KeyError):
        CardFormats([])["H10301"]
