"""An adapter that hears what it sends: its echo is taken out before anything is looked for in what came. Pure.

Half-duplex adapters without echo suppression are common, and the echo is no answer: it must neither be understood
nor shorten the wait for one. The first whole echo of a frame shows that the adapter is of this kind.
"""

from __future__ import annotations

from drivers.osdp.frame import REPLY_FLAG, SOM

ECHO_FOUND = "the adapter of this bus echoes what is sent; that is allowed for (echo = true says so beforehand)"
ADDRESS_AT = 1


class Echo:
    """What of the frame that was sent may still come back."""

    def __init__(self, *, known: bool) -> None:
        self._known = known
        self._due = b""
        self._held = b""
        self._reply_start = b""
        self.news = False
        """Whether it was found out just now that the adapter echoes."""

    def sent(self, frame: bytes) -> None:
        """This went out."""
        self._due, self._held = frame, b""
        start = frame.find(SOM)
        self._reply_start = bytes([SOM, frame[start + ADDRESS_AT] | REPLY_FLAG])

    def without(self, data: bytes) -> bytes:
        """What arrived, less the echo. What may yet turn out to be none is held back until that is clear."""
        if not self._due:
            return data
        arrived = self._held + data
        if self._due.startswith(arrived):
            self._held = arrived
            if arrived == self._due:
                self._found()
                return b""
            return b""
        if arrived.startswith(self._due):
            rest = arrived[len(self._due) :]
            self._found()
            return rest
        if self._known:
            return self._damaged(arrived)
        self._due = self._held = b""
        return arrived

    def _found(self) -> None:
        self._due = self._held = b""
        self.news = self.news or not self._known
        self._known = True

    def _damaged(self, arrived: bytes) -> bytes:
        """An echo that something else was mixed into: as long as it must be, unless the answer begins before."""
        answer = arrived.find(self._reply_start)
        end = len(self._due) if answer < 0 else min(answer, len(self._due))
        if answer < 0 and len(arrived) < end:
            self._held = arrived
            return b""
        self._due = self._held = b""
        return arrived[end:]
