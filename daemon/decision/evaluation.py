"""One request on its way through the rules of ``decide``: what is given, what they found, and how they say it.

Words cost more than the rules themselves, and no relay waits for them. So a rule leaves its words as a call with
its arguments, and ``Trace`` makes sentences of them when it is read: the journal's thread, or ``latchctl``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import overload

from cache.model import ClockPolicy, ClockQuality, Found, Holder, Moment, Reason, RuleResult
from daemon.decision.door_rules import DoorRules, Paths
from daemon.decision.request import AccessRequest, AccessState

Words = str | Callable[[], str]
"""A text, or what makes it of frozen values whenever it is called."""

NO_PATHS = Paths((), frozenset(), ())


class Trace(Sequence[RuleResult]):
    """The rules of a decision in the order of their evaluation; equal to the tuple of the same results."""

    __slots__ = ("_results", "_steps")

    def __init__(self, steps: Iterable[tuple[str, bool, Words]]) -> None:
        """Take (rule, passed, words) of each rule; nothing is worded yet."""
        self._steps = tuple(steps)
        self._results: tuple[RuleResult, ...] | None = None

    def _worded(self) -> tuple[RuleResult, ...]:
        if self._results is None:
            self._results = tuple(RuleResult(rule, passed, _text(words)) for rule, passed, words in self._steps)
        return self._results

    @overload
    def __getitem__(self, index: int) -> RuleResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[RuleResult, ...]: ...
    def __getitem__(self, index: int | slice) -> RuleResult | tuple[RuleResult, ...]:
        """Return one result, or a tuple of some."""
        return self._worded()[index]

    def __len__(self) -> int:
        """Return how many results there are."""
        return len(self._steps)

    def __eq__(self, other: object) -> bool:
        """Compare with another trace or a tuple of results."""
        return self._worded() == (other._worded() if isinstance(other, Trace) else other)

    def __hash__(self) -> int:
        """Return the hash of the tuple."""
        return hash(self._worded())

    def __repr__(self) -> str:
        """Return the tuple as text."""
        return repr(self._worded())


def _text(words: Words) -> str:
    """Say it; what cannot be said must not cost the event, let alone the journal."""
    if isinstance(words, str):
        return words
    try:
        return words()
    except Exception as error:  # noqa: BLE001 - the decision stands, whatever its words ran into
        return f"(no words for this: {type(error).__name__}: {error})"


@dataclass(slots=True)
class Evaluation:
    """One request on its way through the rules: what is given, and what the rules found so far."""

    request: AccessRequest
    found: Found
    rules: DoorRules
    state: AccessState
    now: Moment
    steps: list[tuple[str, bool, Words]] = field(default_factory=list)
    holder: Holder | None = None
    paths: Paths = NO_PATHS
    group: str | None = None
    level: str | None = None
    duress: bool = False
    apb_violation: bool = False
    second: bool = False

    def passed(self, rule: str, words: Words) -> None:
        """Let the request go on."""
        self.steps.append((rule, True, words))

    def refused(self, rule: str, reason: Reason, words: Words) -> Reason:
        """End the request with the reason, which is returned."""
        self.steps.append((rule, False, words))
        return reason

    @property
    def time_is_unknown(self) -> bool:
        """Whether the clock was never set and is not to be taken as it is."""
        return self.now.quality is ClockQuality.NEVER_SET and self.rules.clock is not ClockPolicy.USE_LAST_KNOWN

    def may_pair(self) -> bool:
        """Return whether the person may be one of the two that the door needs."""
        rule = self.rules.two_person
        return rule is not None and (not rule.groups or not self.paths.references.isdisjoint(rule.groups))
