"""What must survive restart and power cut, as text: one JSON document for one frozen value."""

from __future__ import annotations

from typing import Generic, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")


class Durable(Generic[T]):
    """Writes and reads values of one frozen dataclass (``ModeState``, ``Lockout``, ``Moved``)."""

    def __init__(self, kind: type[T]) -> None:
        self._adapter = TypeAdapter(kind)

    def dump(self, value: T) -> str:
        """The value as JSON."""
        return self._adapter.dump_json(value).decode()

    def load(self, text: str) -> T:
        """The value again. Raises ``ValueError`` for text that is none; the caller knows where it came from."""
        return self._adapter.validate_json(text)
