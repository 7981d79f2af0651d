"""Who is at the other end of a control socket, by SO_PEERCRED, and what they may do."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """What a user may do: nothing, look, or act (which includes looking)."""

    NONE = 0
    VIEWER = 1
    OPERATOR = 2


@dataclass(frozen=True, slots=True)
class Peer:
    """The process that connected: its user's name (or number, if it has none) and role."""

    user: str
    role: Role


@dataclass(frozen=True, slots=True)
class Permissions:
    """The Unix groups that may act, and those that may look. Root and the daemon's own user may act."""

    operators: tuple[str, ...]
    viewers: tuple[str, ...]

    def peer(self, connection: socket.socket) -> Peer:
        """Who connected; credentials are those at connect time, as the kernel keeps them."""
        packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, gid = struct.unpack("3i", packed)
        return Peer(_user_name(uid), self.role(uid, gid))

    def role(self, uid: int, gid: int) -> Role:
        """The role of a user and primary group, supplementary groups included."""
        if uid in (0, os.getuid()):
            return Role.OPERATOR
        groups = _groups(uid, gid)
        if groups & _ids(self.operators):
            return Role.OPERATOR
        return Role.VIEWER if groups & _ids(self.viewers) else Role.NONE


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _groups(uid: int, gid: int) -> set[int]:
    try:
        return set(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except KeyError:
        return {gid}


def _ids(names: Iterable[str]) -> set[int]:
    """The numbers of the groups that exist on this machine."""
    found = set()
    for name in names:
        try:
            found.add(grp.getgrnam(name).gr_gid)
        except KeyError:
            continue
    return found
