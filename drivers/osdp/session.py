"""One reader as the control panel sees it: found, proved, asked, lost and found again (SIA OSDP 2.2, 5 and D).

Sans-I/O, and the bus decides when it is this reader's turn: ``frame_to_send`` gives the frame, then exactly one
of ``reply`` and ``no_reply`` tells how it went.

    step         command       wanted      then
    PROBE        ID            PDID        OFF: SERVE; otherwise DEFAULT_KEY once, then CHALLENGE
    DEFAULT_KEY  CHLNG         CCRYPT      CHALLENGE; an alarm if the default key is proved
    CHALLENGE    CHLNG         CCRYPT      CRYPTOGRAM if the key is proved, otherwise offline
    CRYPTOGRAM   SCRYPT        RMAC_I      IDENTIFY, or SERVE when it is still the same online reader
    IDENTIFY     ID            PDID        SERVE: DeviceOnline; on the default key ENROL
    ENROL        KEYSET        ACK         PROBE, with the reader's own key
    SERVE        POLL, …       any report  SERVE

A frame that got no good answer is sent again as it was, sequence number included (5.9), so that the reader can
repeat its answer instead of doing the thing twice. A NAK in clear ends the session and starts it anew.
In PROBE nothing is believed: a reader is heard only when its key is proved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum, StrEnum

from drivers.driver import DriverUsageError
from drivers.events import Command, DeviceAlarm, DeviceEvent, DeviceOffline, DeviceOnline
from drivers.osdp import messages
from drivers.osdp.frame import Frame, encode
from drivers.osdp.handshake import Handshake, KeyChange
from drivers.osdp.messages import Cmd, Identity, MessageError, NakCode, Reply
from drivers.osdp.outbox import Outbox, Outgoing
from drivers.osdp.patience import ATTEMPTS, BUSY_PAUSE, OFFLINE_AFTER, Patience
from drivers.osdp.reports import Reports
from drivers.osdp.secure import Scs, SecureChannel, SecureError
from drivers.osdp.service import Service
from drivers.osdp.settings import OsdpReader


class Step(Enum):
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
    FOREIGN = "answers do not belong to the secure channel"
    BUSY = "the reader says that it is busy"


_FIRST_SEQUENCE = 0
_SECURITY_NAKS = (NakCode.NO_SECURE_CHANNEL, NakCode.SECURITY_NOT_MET)
_HANDSHAKE_BLOCKS = {
    Step.DEFAULT_KEY: Scs.CHALLENGE_REPLY,
    Step.CHALLENGE: Scs.CHALLENGE_REPLY,
    Step.CRYPTOGRAM: Scs.CRYPTOGRAM_REPLY,
}
_DEFAULT_KEY_ALARM = (
    'answers to the default key, which everybody knows: give it a key of its own with secure_channel = "install"'
)


@dataclass(slots=True)
class _InFlight:
    """The frame that waits for its answer."""

    frame: bytes
    sequence: int
    outgoing: Outgoing | None
    first_sent: float
    attempts: int = 0


class Session:
    """The state machine of one reader. All times are seconds of the monotonic clock."""

    def __init__(
        self,
        name: str,
        settings: OsdpReader,
        key: bytes | None,
        entropy: Callable[[int], bytes],
        *,
        crc: bool = True,
    ) -> None:
        """``key`` is the reader's own base key, 16 bytes; it is not looked at with ``secure_channel = "off"``."""
        self.name = name
        self.address = settings.address
        self.online: bool | None = None
        self.step = Step.PROBE
        self.patience = Patience()
        self.outbox = Outbox(settings.outputs)
        self.why_offline = "not asked yet"
        self.identity: Identity | None = None
        self.retries = 0
        reports = Reports(name, settings.inputs, settings.queued_limit)
        self.service = Service(name, settings.inputs, reports, self.outbox)
        self._clear = settings.secure_channel == "off"
        self._crc = crc
        enrols = settings.secure_channel == "install"
        self._handshake = None if self._clear else Handshake(key or b"", entropy, enrols=enrols)
        self._default_key_checked = enrols
        self._channel: SecureChannel | None = None
        self._sequence = _FIRST_SEQUENCE
        self._in_flight: _InFlight | None = None
        self._claimed: Identity | None = None
        self._heard: float | None = None
        self._trouble = Trouble.SILENT

    # -------------------------------------------------------------- what the bus asks

    @property
    def handshaking(self) -> bool:
        """Whether the reader answers but is not in service yet."""
        return self.step not in (Step.PROBE, Step.SERVE)

    @property
    def secure(self) -> bool:
        """Whether a session under the reader's own key stands."""
        return self._channel is not None and self.step is Step.SERVE

    @property
    def _keys(self) -> Handshake:
        assert self._handshake is not None  # no step of a reader in clear text asks for it
        return self._handshake

    def change_key(self, key: bytes) -> None:
        """Give the reader another base key; ``key_change`` tells how it went. Raises ``DriverUsageError``."""
        if self._handshake is None or not self.secure:
            raise DriverUsageError(f"{self.name}: a key is changed only over the secure channel, which is not up")
        self.outbox.put_service(Cmd.KEYSET, self._handshake.propose(key))

    @property
    def key_change(self) -> KeyChange:
        """How the last change of key stands."""
        return KeyChange.NONE if self._handshake is None else self._handshake.change

    @property
    def unconfirmed_relay(self) -> bool:
        """Whether a relay command waits, or is on its way without an answer yet."""
        flight = self._in_flight
        in_flight = flight is not None and flight.outgoing is not None and flight.outgoing.relay
        return self.online is True and (in_flight or self.outbox.urgent)

    def status_text(self) -> str:
        """What ``latchctl status`` shows of the reader."""
        if self.online is not True:
            return self.why_offline
        channel = (
            "secure channel" if self.secure else "clear text" if self._clear else "secure channel is being renewed"
        )
        return f"{channel}, {self.service.polls} polls, {self.retries} retries, {self.identity}"

    def send(self, command: Command, now: float) -> None:
        """Queue a command. For a reader that is offline a relay command is dropped: it would come too late."""
        self.outbox.put(command, now)
        if self.online is not True:
            self.outbox.forget_relays()

    def frame_to_send(self, now: float) -> tuple[bytes, float]:
        """The frame of this turn, and the seconds that the answer may take to begin after its last byte."""
        if self._heard is None:
            self._heard = now
        if self._in_flight is None:
            self._in_flight = self._next(now)
        return self._in_flight.frame, self.patience.reply_delay(now)

    def accepts(self, frame: Frame) -> bool:
        """Whether ``frame`` is an answer to what is in flight, and not one that comes late or from elsewhere.

        A NAK for a wrong sequence and BUSY bear another number than the command (5.9, 7.19).
        """
        flight = self._in_flight
        if flight is None or not frame.reply or frame.address != self.address:
            return False
        if frame.sequence == flight.sequence:
            return True
        return not frame.block and frame.code in (Reply.NAK, Reply.BUSY)

    def reply(self, frame: Frame, now: float) -> list[DeviceEvent]:
        """The answer arrived, its last byte at ``now``."""
        flight = self._in_flight
        assert flight is not None
        if frame.code == Reply.BUSY and not frame.block:
            self.patience.due = now + BUSY_PAUSE
            self._trouble = Trouble.BUSY
            return self._silence(now)
        try:
            data = self._open(frame)
        except SecureError:
            if not frame.block:
                return self._missed(Trouble.FOREIGN, now)
            # Whole and of another session, or of one that we have not: sending it again would not help.
            self._trouble = Trouble.FOREIGN
            return self._restart(now) + self._silence(now)
        if frame.code == Reply.NAK:
            in_clear = self._channel is not None and not frame.block
            return self._refused(data[0] if data else 0, now, flight, in_clear=in_clear)
        self._in_flight = None
        self._sequence = flight.sequence % 3 + 1
        self.patience.due = now
        if self._channel is not None or self._clear:
            self._heard = now
        return self._advance(flight, frame.code, data, now)

    def no_reply(self, trouble: Trouble, now: float) -> list[DeviceEvent]:
        """The turn is over without a good answer."""
        return self._missed(trouble, now)

    def lost_port(self, now: float, why: str) -> list[DeviceEvent]:
        """The bus itself is gone. When it is back everything starts at once, without any pause."""
        self.patience.forget()
        if self.online is False:
            self.why_offline = why
            return []
        return self._go_offline(now, why)

    # -------------------------------------------------------------- commands

    def _next(self, now: float) -> _InFlight:
        """Build the frame that the step asks for."""
        code, data, block = Cmd.ID, messages.STANDARD_REPORT, b""
        outgoing: Outgoing | None = None
        match self.step:
            case Step.PROBE:
                self._channel, self._sequence = None, _FIRST_SEQUENCE
            case Step.DEFAULT_KEY:
                code, (data, block) = Cmd.CHLNG, self._keys.challenge(default_key=True)
            case Step.CHALLENGE:
                code, (data, block) = Cmd.CHLNG, self._keys.challenge()
            case Step.CRYPTOGRAM:
                code, (data, block) = Cmd.SCRYPT, self._keys.cryptogram()
            case Step.ENROL:
                code, data = Cmd.KEYSET, self._keys.keyset()
            case Step.SERVE:
                outgoing = self.service.next(now)
                code, data = outgoing.code, outgoing.data
        if self._channel is not None:
            frame = self._channel.seal(self.address, self._sequence, code, data, crc=self._crc)
        else:
            frame = encode(self.address, self._sequence, code, data, crc=self._crc, block=block)
        return _InFlight(frame, self._sequence, outgoing, now)

    # -------------------------------------------------------------- answers

    def _open(self, frame: Frame) -> bytes:
        """The data of an answer. Raises ``SecureError`` for one that is not protected as this step demands."""
        if not frame.block and frame.code == Reply.NAK:
            return frame.data  # a reader that lost its session can only say so in clear, D.6
        if self._channel is not None:
            return self._channel.open(frame)
        if (frame.block[0] if frame.block else None) != _HANDSHAKE_BLOCKS.get(self.step):
            raise SecureError("not the security block of this step")
        return frame.data

    def _advance(self, flight: _InFlight, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        """A good answer: do what the step's row of the table says."""
        match self.step:
            case Step.PROBE:
                return self._probed(code, data, now)
            case Step.DEFAULT_KEY:
                return self._default_key_tried(code, data, now)
            case Step.CHALLENGE:
                return self._challenged(code, data, now)
            case Step.CRYPTOGRAM:
                return self._accepted(code, data, now)
            case Step.IDENTIFY:
                return self._identified(code, data, now)
            case Step.ENROL:
                self._keys.on_default_key = False
                return self._restart(now)
            case Step.SERVE:
                assert flight.outgoing is not None
                if flight.outgoing.code is Cmd.KEYSET:
                    return self._restart(now)  # the session ends with its key, 6.15: prove the new one
                return self.service.answered(flight.outgoing, flight.first_sent, code, data, now)

    def _probed(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        self.patience.found()
        if self._clear:
            return self._identified(code, data, now)
        identity = _identity(code, data)
        if identity is None:
            return self._missed(Trouble.GARBLED, now)
        self._claimed = identity
        if self.identity is not None and identity.device != self.identity.device:
            self._default_key_checked = False
        self.step = Step.CHALLENGE if self._default_key_checked else Step.DEFAULT_KEY
        self._default_key_checked = True
        return []

    def _default_key_tried(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        self.step = Step.CHALLENGE
        return [DeviceAlarm(self.name, now, _DEFAULT_KEY_ALARM)] if self._keys.proved(code, data) else []

    def _challenged(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        if not self._keys.proved(code, data):
            return self._wrong_key(now)
        self.step = Step.CRYPTOGRAM
        return []

    def _wrong_key(self, now: float) -> list[DeviceEvent]:
        if self._keys.another_key():
            return self._restart(now)
        return self._reject(
            "wrong key: the reader does not hold the key of the site file; correct it or enrol it", now
        )

    def _accepted(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        self._channel = self._keys.established(code, data)
        if self._channel is None:
            return self._reject("wrong key: the reader does not accept the key of the site file", now)
        if not self._keys.on_default_key and self.online and self._claimed == self.identity:
            self._heard = now
            return self._serve(now)
        self.step = Step.IDENTIFY
        return []

    def _identified(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        identity = _identity(code, data)
        if identity is None:
            return self._missed(Trouble.GARBLED, now)
        if self._handshake is not None and self._handshake.on_default_key:
            self.step = Step.ENROL
            return []
        events: list[DeviceEvent] = []
        known, self.identity = self.identity, identity
        if known is not None and known.device != identity.device:
            self.service.forget_device()
            what = f"another device answers at address {self.address}: was {known}, is {identity}"
            events.append(DeviceAlarm(self.name, now, what))
        if self.online is not True:
            self.online, self.why_offline = True, ""
            self.service.forget_device()
            events.append(DeviceOnline(self.name, now, str(identity), secure=self._channel is not None))
        return events + self._serve(now)

    def _serve(self, now: float) -> list[DeviceEvent]:
        self.step = Step.SERVE
        self.patience.in_service(now)
        self.service.begin()
        return []

    # -------------------------------------------------------------- failures

    def _refused(self, nak: int, now: float, flight: _InFlight, *, in_clear: bool) -> list[DeviceEvent]:
        """NAK, 7.2."""
        if in_clear or nak == NakCode.SEQUENCE:
            return self._restart(now) + self._silence(now)
        if nak == NakCode.CHECK or self.step in (Step.PROBE, Step.IDENTIFY):
            return self._missed(Trouble.GARBLED, now)
        self._in_flight = None
        self._sequence = flight.sequence % 3 + 1
        self.patience.due = now
        match self.step:
            case Step.DEFAULT_KEY:
                self.step = Step.CHALLENGE
                return []
            case Step.CHALLENGE if self._keys.another_key():
                return self._restart(now)
            case Step.SERVE if flight.outgoing is not None and nak not in _SECURITY_NAKS:
                self._heard = now
                return self.service.refused(flight.outgoing, nak, now)
            case Step.SERVE:
                return self._reject("the reader demands a secure channel; give it a key", now)
            case Step.ENROL:
                return self._reject("the reader does not take the key; it must be in its install mode", now)
        return self._reject(
            "the reader refuses the secure channel: it does not know it, or not with this key", now
        )

    def _missed(self, trouble: Trouble, now: float) -> list[DeviceEvent]:
        """No good answer: the same frame again, at once and then with pauses, and at last from the start."""
        flight = self._in_flight
        self._trouble = trouble
        self.retries += 1
        if flight is None or self.step is Step.PROBE:
            self.step, self._in_flight = Step.PROBE, None
            self.patience.not_found(now, offline=self.online is False)
        else:
            flight.attempts += 1
            if flight.attempts >= ATTEMPTS:
                self._restart(now)
            self.patience.missed(flight.attempts, now)
        return self._silence(now)

    def _restart(self, now: float) -> list[DeviceEvent]:
        """Begin a new session with sequence number 0. What was not confirmed is sent again in it."""
        flight, self._in_flight = self._in_flight, None
        if flight is not None and flight.outgoing is not None and flight.outgoing.queued:
            self.outbox.put_back(flight.outgoing)
        self.step, self._channel = Step.PROBE, None
        self.patience.due = now
        return []

    def _silence(self, now: float) -> list[DeviceEvent]:
        """Offline, once the reader was not heard for long enough."""
        if self.online is False or self._heard is None or now - self._heard < OFFLINE_AFTER:
            return []
        return self._go_offline(now, f"{self._trouble} (for {now - self._heard:.0f} s)")

    def _reject(self, why: str, now: float) -> list[DeviceEvent]:
        """The reader is there but must not be used: offline at once, tried again with growing pauses."""
        events = self._go_offline(now, why)
        self.patience.refused(now)
        return events

    def _go_offline(self, now: float, why: str) -> list[DeviceEvent]:
        known = self.online is False and self.why_offline == why
        self.step, self._channel, self._in_flight = Step.PROBE, None, None
        self.online, self.why_offline = False, why
        self.outbox.forget_relays()
        return [] if known else [DeviceOffline(self.name, now, why)]


def _identity(code: int, data: bytes) -> Identity | None:
    """PDID's content, ``None`` for anything else."""
    try:
        return messages.parse_identity(data) if code == Reply.PDID else None
    except MessageError:
        return None
