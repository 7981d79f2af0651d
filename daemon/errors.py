"""The rest of the error tree of cache/errors.py: what can go wrong around the cache."""

from cache.errors import LatchdError


class ConfigError(LatchdError):
    """The site file, a secret it refers to, or a scenario is wrong; nothing was opened or changed."""

    exit_code = 2


class DriverError(LatchdError):
    """A port, board or reader cannot be opened or is used wrongly; the message names who holds it."""

    exit_code = 5


class ControlError(LatchdError):
    """The daemon's control socket is not there, refuses this user, or broke off."""

    exit_code = 7


class NotPermittedError(ControlError):
    """The user may not do this; the message names the group that may."""

    exit_code = 8


class RequestError(ControlError):
    """An argument of a command names nothing that there is, or means several things; nothing was done."""

    exit_code = 2
