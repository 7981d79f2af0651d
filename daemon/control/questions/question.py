"""A technician's question about access: its arguments read and checked, and put to the explainer.

The doors process and a latchctl without one ask alike; the second with a controller that only took up what the
journal keeps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cache.errors import CacheError
from cache.model import Moment
from daemon.control.arguments import parse_at, text_of
from daemon.control.questions.access import AccessLister, AccessQuestion, Item
from daemon.control.questions.conditions import conditions_of
from daemon.control.questions.explain import Explainer
from daemon.control.questions.places import find_door, find_place
from daemon.control.questions.subjects import find_group, find_person
from daemon.control.reports import DecisionReport, GroupReport, MemberReport
from daemon.doors.controller.controller import Controller
from daemon.errors import RequestError
from drivers.cards.formats import CardFormats
from drivers.cards.layout import CardError


class AccessQuery:
    """One question; made where the controller belongs, answered where the explainer does.

    ``RequestError`` says which argument is wrong; every method that reads the cache raises it for unknown names.
    """

    def __init__(
        self,
        arguments: Mapping[str, object],
        controller: Controller,
        formats: CardFormats,
        now: Moment,
        *,
        running: bool,
    ) -> None:
        self._arguments = arguments
        self._site_state = controller.site_state
        self._formats = formats
        self._doors = controller.site_state.rules.doors
        self._at = arguments.get("at")
        self.conditions = conditions_of(controller, now, parse_at(self._at), running=running)

    def decision(self, explainer: Explainer) -> DecisionReport:
        """For ``card`` or ``person`` at ``reader`` or at the entry of ``door``."""
        card, person = self._text("card"), self._text("person")
        place = find_place(self._doors, self._arguments)
        if (card is None) == (person is None):
            raise RequestError("say whose: exactly one of --card, --person and --group")
        key = self._key(card) if card is not None else b""
        try:
            if person is not None:
                return explainer.person(place, find_person(explainer.lookup, person), self.conditions)
            return explainer.card(place, key, self.conditions)
        except CacheError as fault:
            return explainer.unreadable(place, fault, self.conditions)

    def _key(self, card: str) -> bytes:
        try:
            return self._site_state.key_of(*self._formats.parse_card(card))
        except (CardError, ValueError) as error:
            raise RequestError(f"--card: {error}") from None

    def group_decisions(self, explainer: Explainer) -> Iterator[list[GroupReport | MemberReport]]:
        """For every member of ``group``, in chunks."""
        place = find_place(self._doors, self._arguments)
        group = find_group(explainer.lookup, self._text("group") or "")
        yield from explainer.group(place, group, self.conditions)

    def access(self, explainer: Explainer) -> Iterator[list[Item]]:
        """Who may pass ``door``, or what ``person`` or ``group`` may pass; in chunks."""
        door, person, group = self._text("door"), self._text("person"), self._text("group")
        if person is not None and group is not None:
            raise RequestError("--person and --group cannot be asked together")
        if door is None and person is None and group is None:
            raise RequestError("say whose or where: --door, --person or --group")
        lookup = explainer.lookup
        question = AccessQuestion(
            conditions=self.conditions,
            passing=self._at is not None,
            door=find_door(self._doors, door) if door is not None else None,
            person=find_person(lookup, person) if person is not None else None,
            group=find_group(lookup, group) if group is not None else None,
            members=bool(self._arguments.get("members")),
        )
        yield from AccessLister(explainer, self._doors, question).items()

    def _text(self, name: str) -> str | None:
        return text_of(self._arguments, name)
