"""The small notations of the hardware half: what each means, and what is refused with what was expected."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from daemon.config.bounds import LONGEST_SOCKET
from daemon.config.values import (
    check_socket,
    parse_count,
    parse_point,
    parse_size,
)
from drivers.events import Point

Parser = Callable[[str], object]

GOOD: list[tuple[Parser, str, object]] = [
    (parse_size, "512MB", 512_000_000),
    (parse_size, "1000kB", 1_000_000),
    (parse_size, "1000000B", 1_000_000),
    (parse_size, "2GB", 2_000_000_000),
    (parse_count, "1000000", 1_000_000),
    (parse_point, "main.out1", Point("main", "out1")),
    (parse_point, "reader:lobby-in/out0", Point("lobby-in", "out0")),
    (parse_point, "gpio:/dev/gpiochip0/22", Point("gpio:/dev/gpiochip0", "22")),
    (check_socket, "/" + "x" * (LONGEST_SOCKET - 1), "/" + "x" * (LONGEST_SOCKET - 1)),
]

BAD: list[tuple[Parser, str, str]] = [
    *((parse_size, text, "size") for text in ("", "512", "512 MB", "-1MB", "1.5GB", "512mb", "0B", "999kB")),
    *((parse_count, text, "above 0") for text in ("", "0", "-5", "1e6", "１０", "10 ")),
    *((parse_point, text, "board.out1") for text in (
        "", "main", ".out1", "main.", "reader:lobby-in", "reader:/out0", "gpio:22", "gpio:/dev/gpiochip0/x",
        "gpio:",
    )),
    (check_socket, "/" + "é" * 54, "107 bytes"),
]  # fmt: skip


@pytest.mark.parametrize(("parse", "text", "meant"), GOOD)
def test_what_a_notation_means(parse: Parser, text: str, meant: object) -> None:
    assert parse(text) == meant


@pytest.mark.parametrize(("parse", "text", "expected"), BAD)
def test_what_is_none_is_refused_with_an_example(parse: Parser, text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        parse(text)


@pytest.mark.parametrize("value", [None, 5, 5.0, True, [], {}])
def test_what_is_no_text_is_refused_in_the_same_words(value: object) -> None:
    for parse in (parse_size, parse_point):
        with pytest.raises(ValueError, match="expected"):
            parse(value)


def test_a_count_may_be_written_as_a_number() -> None:
    assert parse_count(7) == 7
    for value in (True, 0, -1, 1.0, None):
        with pytest.raises(ValueError, match="above 0"):
            parse_count(value)
