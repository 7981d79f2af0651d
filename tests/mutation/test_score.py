"""The score of a mutation run: what counts as killed, and that a run which did not end has none."""

from __future__ import annotations

import pytest

from tests.mutation.score import report

LINES = [
    "a heading that is no result",
    "    daemon.decision.anti_passback.x_passage__mutmut_1: killed",
    "    daemon.decision.anti_passback.x_passage__mutmut_2: timeout",
    "    daemon.doors.door.machine.xǁ_Turnǁtimer__mutmut_12: survived",
    "    daemon.doors.door.machine.x_start__mutmut_1: no tests",
]


def test_only_what_was_noticed_counts() -> None:
    lines, share = report(LINES)
    assert share == 0.5
    assert lines[2:] == [
        "| daemon.decision.anti_passback | 2 | 2 | 100.0% |",
        "| daemon.doors.door.machine | 2 | 0 | 0.0% |",
        "| all | 4 | 2 | 50.0% |",
        "",
        "survived: daemon.doors.door.machine.xǁ_Turnǁtimer__mutmut_12",
        "no tests: daemon.doors.door.machine.x_start__mutmut_1",
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "was mutmut run"),
        ([*LINES, "    daemon.decision.anti_passback.x_passage__mutmut_3: not checked"], "not brought to its end"),
    ],
)
def test_half_a_run_has_no_score(lines: list[str], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        report(lines)
