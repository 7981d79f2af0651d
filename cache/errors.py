"""The errors that a person can meet, one small tree, each class with its own exit code.

Exit codes are part of the interface (docs/operations.md lists them and a test compares):
0 success, 1 the thing asked for did not hold, 2 wrong usage or configuration, the rest below.
Messages name the file, key, frame or field, what was expected, and what to do next.
They never carry a secret, a card number or a PIN.
"""


class LatchdError(Exception):
    """Any failure that latchd explains in words; without a class of its own it is an internal one."""

    exit_code = 70


class CacheError(LatchdError):
    """cache.db cannot be used: absent, damaged, newer than this program, or not writable."""

    exit_code = 3


class CacheDamagedError(CacheError):
    """cache.db is damaged: sync moves it aside and fetches everything again."""


class JournalError(LatchdError):
    """journal.db cannot be used: absent, damaged, newer than this program, or not writable."""

    exit_code = 4
