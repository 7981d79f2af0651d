"""The memory of both processes holds secrets: no process of the same user looks into it, no dump is written."""

from __future__ import annotations

import ctypes
import logging

log = logging.getLogger(__name__)

_PR_SET_DUMPABLE = 4


def keep_private() -> None:
    """Forbid core dumps and tracing by processes of the same user, whoever has started this one (prctl(2))."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        log.warning("core dumps cannot be forbidden (errno %d)", ctypes.get_errno())
