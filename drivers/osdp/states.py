"""The steps of a session, and the words for how it fails (SIA OSDP 2.2, 5 and D).

step         command       wanted      then
PROBE        ID (or POLL)  PDID        OFF: SERVE; otherwise DEFAULT_KEY once, then CHALLENGE
DEFAULT_KEY  CHLNG         CCRYPT      CHALLENGE, or offline without any key; an alarm if it is proved
CHALLENGE    CHLNG         CCRYPT      CRYPTOGRAM if the key is proved, otherwise offline
CRYPTOGRAM   SCRYPT        RMAC_I      IDENTIFY, or SERVE when it is still the same online reader
IDENTIFY     ID            PDID        SERVE: DeviceOnline; on the default key ENROL
ENROL        KEYSET        ACK         PROBE, with the reader's own key
SERVE        POLL, …       any report  SERVE
"""

from __future__ import annotations

from enum import Enum, StrEnum

from drivers.osdp.secure import Scs


class SessionState(Enum):
    """Where the session stands: the table above."""

    PROBE = "looking for it"
    DEFAULT_KEY = "trying the default key"
    CHALLENGE = "proving its key"
    CRYPTOGRAM = "proving our key"
    IDENTIFY = "identifying"
    ENROL = "setting its key"
    SERVE = "in service"


class Trouble(StrEnum):
    """How an exchange failed, in words for the technician."""

    SILENT = "no answer: check wiring, power, address and baud rate"
    GARBLED = "answers arrive garbled: noise, two readers on one address, or another baud rate"
    CHECK = 'answers end with the other kind of check characters: compare "check" in the site file'
    FOREIGN = "answers do not belong to the secure channel"
    REFUSES = "the reader refuses to be polled"
    BUSY = "the reader says that it is busy"


HANDSHAKE_BLOCKS = {
    SessionState.DEFAULT_KEY: Scs.CHALLENGE_REPLY,
    SessionState.CHALLENGE: Scs.CHALLENGE_REPLY,
    SessionState.CRYPTOGRAM: Scs.CRYPTOGRAM_REPLY,
}
DEFAULT_KEY_ALARM = (
    "answers to the default key, which everybody knows: give it a key of its own (see docs/osdp.md)"
)
NO_KEY = "has no key of its own: give it one with latchctl reader enrol"
