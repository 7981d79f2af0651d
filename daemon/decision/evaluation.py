"""One request on its way through the rules of ``decide``: what is given, and what they found so far."""

from __future__ import annotations

from dataclasses import dataclass, field

from cache.model import ClockPolicy, ClockQuality, Found, Holder, Moment, Reason, RuleResult
from daemon.decision.door_rules import DoorRules
from daemon.decision.request import AccessRequest, AccessState


@dataclass(slots=True)
class Evaluation:
    """One request on its way through the rules: what is given, and what the rules found so far."""

    request: AccessRequest
    found: Found
    rules: DoorRules
    state: AccessState
    now: Moment
    trace: list[RuleResult] = field(default_factory=list)
    holder: Holder | None = None
    references: frozenset[str] = frozenset()
    group: str | None = None
    level: str | None = None
    duress: bool = False
    apb_violation: bool = False

    def passed(self, rule: str, text: str) -> None:
        """The rule lets the request go on."""
        self.trace.append(RuleResult(rule, True, text))

    def refused(self, rule: str, reason: Reason, text: str) -> Reason:
        """The rule ends it, with the reason that is returned."""
        self.trace.append(RuleResult(rule, False, text))
        return reason

    @property
    def time_is_unknown(self) -> bool:
        """Whether the clock was never set and is not to be taken as it is."""
        return self.now.quality is ClockQuality.NEVER_SET and self.rules.clock is not ClockPolicy.USE_LAST_KNOWN

    def may_pair(self) -> bool:
        """Whether the person may be one of the two that the door needs."""
        rule = self.rules.two_person
        return rule is not None and (not rule.groups or not self.references.isdisjoint(rule.groups))
