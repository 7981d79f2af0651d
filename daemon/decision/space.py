"""The rules about other people and doors: anti_passback, occupancy and interlock of ``decide``."""

from __future__ import annotations

from cache.model import Reason
from daemon.decision.anti_passback import EntryVerdict, passage
from daemon.decision.door_rules import AntiPassback, Area
from daemon.decision.evaluation import Evaluation
from daemon.decision.notation import describe_duration
from daemon.decision.request import Position


def anti_passback_rule(case: Evaluation) -> Reason | None:
    """The person is not in the area already; a soft rule reports it and lets them pass."""
    area = _target(case)
    if area is None:
        return None
    position = _position(case)
    verdict = passage(area, position, case.rules.zone, case.now.utc)
    if verdict is EntryVerdict.FREE:
        return None
    if position is None or verdict is EntryVerdict.ELSEWHERE:
        case.passed("anti_passback", f"the person is not known to be in {area.name}")
        return None
    ago = describe_duration((case.now.utc - position.since).total_seconds())
    if verdict is EntryVerdict.FORGIVEN:
        case.passed("anti_passback", f"the entry into {area.name} {ago} ago is forgiven")
        return None
    text = f"the person entered {area.name} {ago} ago and has not left"
    case.apb_violation = True
    if area.anti_passback is AntiPassback.SOFT:
        case.passed("anti_passback", f"{text}; reported, not refused")
        return None
    return case.refused("anti_passback", Reason.APB_VIOLATION, text)


def _target(case: Evaluation) -> Area | None:
    return case.rules.from_area if case.request.exit else case.rules.to_area


def _position(case: Evaluation) -> Position | None:
    assert case.holder is not None
    return case.state.positions.get(case.holder.person.id)


def occupancy_rule(case: Evaluation) -> Reason | None:
    """There is room in the area."""
    area = _target(case)
    if area is None or area.occupancy <= 0:
        return None
    position = _position(case)
    inside = position is not None and position.area == area.name
    assert case.holder is not None
    coming = len(case.state.coming - {case.holder.person.id})
    text = f"{case.state.occupancy} of {area.occupancy} people are in {area.name}"
    text += f", {coming} more on the way" if coming else ""
    if case.state.occupancy + coming >= area.occupancy and not inside:
        return case.refused("occupancy", Reason.OCCUPANCY_FULL, text)
    case.passed("occupancy", text)
    return None


def interlock_rule(case: Evaluation) -> Reason | None:
    """No other door of the set is in use."""
    if case.state.interlock is None:
        return None
    return case.refused(
        "interlock", Reason.INTERLOCK, f"door {case.state.interlock} of the same interlock is in use"
    )
