"""Who is at the other end of a control socket, by SO_PEERCRED, and what they may do."""

from __future__ import annotations

import ctypes
import grp
import os
import pwd
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

MOST_GROUPS = 65536
"""Groups of one user, as many as the kernel allows (NGROUPS_MAX)."""

_libc = ctypes.CDLL(None)


class Role(IntEnum):
    """What a user may do: nothing, look, or act (which includes looking)."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected: its user's name (or number, if it has none), role and number."""

    user: str
    role: Role
    uid: int = -1


def credentials(connection: socket.socket) -> tuple[int, int]:
    """User and primary group of who connected, as they were then: the kernel keeps them."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, uid, gid = struct.unpack("3i", packed)
    return uid, gid


@dataclass(frozen=True, slots=True)
class Permissions:
    """The Unix groups that may act, and those that may look. Root and the daemon's own user may act.

    ``peer`` and ``role`` ask the user database of the machine, which may be a slow server: never in a loop.
    """

    operators: tuple[str, ...]
    viewers: tuple[str, ...]

    def peer(self, uid: int, gid: int) -> Peer:
        """The user of these numbers."""
        return Peer(user_name(uid), self.role(uid, gid), uid)

    def role(self, uid: int, gid: int) -> Role:
        """The role of a user and primary group, supplementary groups included."""
        if is_own(uid):
            return Role.OPERATOR
        groups = _groups(uid, gid)
        if groups & _ids(self.operators):
            return Role.OPERATOR
        return Role.VIEWER if groups & _ids(self.viewers) else Role.NONE


def is_own(uid: int) -> bool:
    """Whether it is root or the daemon's own user: both may act, whatever the user database says."""
    return uid in (0, os.getuid())


def user_name(uid: int) -> str:
    """The name of a user, or the number of one who has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _groups(uid: int, gid: int) -> set[int]:
    try:
        return _group_list(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return {gid}


def _group_list(user: str, gid: int) -> set[int]:
    """As ``os.getgrouplist``, which holds the interpreter's lock (Python 3.11) while a server is asked.

    A thread that waits for the user database would then stop the doors all the same.
    """
    size = 64
    while True:
        found, count = (ctypes.c_uint * size)(), ctypes.c_int(size)
        if _libc.getgrouplist(user.encode(), ctypes.c_uint(gid), found, ctypes.byref(count)) >= 0:
            return set(found[: count.value])
        if size >= MOST_GROUPS:
            return {gid}
        size = min(MOST_GROUPS, max(2 * size, count.value))


def _ids(names: Iterable[str]) -> set[int]:
    """The numbers of the groups that exist on this machine."""
    found = set()
    for name in names:
        try:
            found.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue
    return found
