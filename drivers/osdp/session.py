"""One reader as the control panel sees it: found, proved, asked, lost and found again (SIA OSDP 2.2, 5 and D).

Sans-I/O, and the bus decides when it is this reader's turn: ``frame_to_send`` gives the frame, then exactly one
of ``reply`` and ``no_reply`` tells how it went. The steps are the table of ``drivers.osdp.states``.

A frame that got no good answer is sent again as it was, sequence number included (5.9), so that the reader can
repeat its answer instead of doing the thing twice. A NAK in clear ends the session and starts it again.
In PROBE nothing is believed: a reader is heard only when its key is proved.
"""

from __future__ import annotations

from collections.abc import Sequence

from drivers.driver import DriverUsageError
from drivers.events import DeviceAlarm, DeviceEvent, DeviceOffline, DeviceOnline
from drivers.osdp import messages
from drivers.osdp.exchange import InFlight
from drivers.osdp.frame import Frame
from drivers.osdp.member import POLL_AFTER, Member
from drivers.osdp.messages import Cmd, Identity, NakCode, Reply
from drivers.osdp.queue import KEY_SLOT, Outgoing
from drivers.osdp.secure import SecureError
from drivers.osdp.states import DEFAULT_KEY_ALARM, HANDSHAKE_BLOCKS, NO_KEY, SessionState, Trouble
from drivers.osdp.timing import ATTEMPTS, BUSY_PAUSE, RESTART_AFTER

BUSY_ATTEMPTS = 8
"""How often in a row a reader may be busy in its handshake until the session is begun again."""

_SECURITY_NAKS = (NakCode.NO_SECURE_CHANNEL, NakCode.SECURITY_NOT_MET)


class Session(Member):
    """The state machine of one reader. All times are seconds of the monotonic clock."""

    def enrol(self, key: bytes, now: float) -> None:
        """Give the reader ``key`` over the default key, beginning at once; ``key_change`` tells how it went."""
        if self.keys is None:
            raise DriverUsageError(f'{self.name}: secure_channel = "off" needs no key; take it out first')
        self.keys.enrol(key)
        self._default_key_checked = True  # here it is no alarm
        self._exchange.restart()
        self.step = SessionState.PROBE
        self.patience.forget()

    def give_up_change(self) -> None:
        """The change of key took too long, or failed; should the reader hold the default key, that is an alarm."""
        if self._keys.on_default_key:
            self._exchange.restart()
            self.step = SessionState.PROBE
        self._keys.give_up()
        self._default_key_checked = self._keys.installs

    def use_keys(self, keys: Sequence[bytes], now: float) -> list[DeviceEvent]:
        """Prove one of these from now on; a session under any other key ends, without a key for good."""
        self._keys.replace(keys)
        self.patience.stranger()
        self._default_key_checked = False
        return self._reject(NO_KEY, now) if not keys else self._restart(now)

    def frame_to_send(self, now: float) -> tuple[bytes, float]:
        """The frame of this turn, and the seconds that the answer may take to begin after its last byte."""
        if self._heard is None:
            self._heard = now
        if self._exchange.flight is None:
            self._put_next(now)
        assert self._exchange.flight is not None
        return self._exchange.flight.frame, self.patience.reply_delay(now)

    def reply(self, frame: Frame, now: float) -> list[DeviceEvent]:
        """The answer arrived, its last byte at ``now``."""
        flight = self._exchange.flight
        assert flight is not None
        self.idle = False
        if frame.code == Reply.BUSY and not frame.block:
            return self._is_busy(now)
        self._busy = 0
        try:
            data = self._exchange.open(frame, HANDSHAKE_BLOCKS.get(self.step))
        except SecureError:
            if not frame.block:
                return self.no_reply(Trouble.FOREIGN, now)
            # Whole and of another session, or of one that we have not: sending it again would not help.
            self._trouble = Trouble.FOREIGN
            return self._restart(now) + self._silence(now)
        if frame.code == Reply.NAK:
            in_clear = self._exchange.channel is not None and not frame.block
            return self._refused(data[0] if data else 0, now, flight, in_clear=in_clear)
        self._exchange.done()
        self._refused_last = False
        self.patience.due = now
        if self.step is SessionState.SERVE:
            self._heard = now
            self.idle = (
                frame.code == Reply.ACK and flight.outgoing is not None and flight.outgoing.code is Cmd.POLL
            )
        return self._advance(flight, frame.code, data, now)

    def lost_port(self, now: float, why: str) -> list[DeviceEvent]:
        """The bus itself is gone. When it is back everything starts at once, without any pause."""
        self.patience.forget()
        self.fresh = True
        if self.online is False:
            self.why_offline = why
            return []
        return self._go_offline(now, why)

    def recover(self, now: float) -> list[DeviceEvent]:
        """Begin again after a fault of ours; nothing of the old session is relied on."""
        return self._restart(now)

    def _put_next(self, now: float) -> None:
        """Send the command that the step asks for."""
        code, data, block = Cmd.ID, messages.STANDARD_REPORT, b""
        outgoing: Outgoing | None = None
        match self.step:
            case SessionState.PROBE:
                code, data = self._next_probe()
            case SessionState.DEFAULT_KEY:
                code, (data, block) = Cmd.CHLNG, self._keys.challenge(default_key=True)
            case SessionState.CHALLENGE:
                code, (data, block) = Cmd.CHLNG, self._keys.challenge()
            case SessionState.CRYPTOGRAM:
                code, (data, block) = Cmd.SCRYPT, self._keys.cryptogram()
            case SessionState.ENROL:
                code, data = Cmd.KEYSET, self._keys.keyset()
            case SessionState.SERVE:
                if self.keys is not None and self.keys.keyset_due and not self.outbox.urgent:
                    outgoing = Outgoing(Cmd.KEYSET, self.keys.keyset(), KEY_SLOT)
                else:
                    outgoing = self.service.next(now)
                code, data = outgoing.code, outgoing.data
        self._exchange.put(code, data, block, outgoing, now)

    # -------------------------------------------------------------- answers

    def _advance(self, flight: InFlight, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        """A good answer: do what the step's row of the table says."""
        match self.step:
            case SessionState.PROBE:
                return self._probed(code, data, now)
            case SessionState.DEFAULT_KEY:
                return self._default_key_tried(now, proved=self._keys.proved(code, data))
            case SessionState.CHALLENGE:
                return self._challenged(code, data, now)
            case SessionState.CRYPTOGRAM:
                return self._accepted(code, data, now)
            case SessionState.IDENTIFY:
                return self._identified(code, data, now)
            case SessionState.ENROL:
                self._keys.on_default_key = self._knows_default_key = False
                return self._restart(now)
            case SessionState.SERVE:
                assert flight.outgoing is not None
                if flight.outgoing.code is Cmd.KEYSET:
                    return self._restart(now)  # the session ends with its key, 6.15: prove the new one
                return [
                    *self._proved_by_poll(flight.outgoing.code, now),
                    *self.service.answered(flight.outgoing, flight.first_sent, code, data, now),
                ]

    def _probed(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        self.patience.found()
        if self._probe is Cmd.POLL:
            return []
        if self._unanswered >= POLL_AFTER and self._polled_before:
            self.quirks.learn("poll_first")
        self._unanswered = 0
        if self._clear:
            return [] if self.patience.still_refused(now) else self._identified(code, data, now)
        identity = messages.identity(code, data)
        if identity is None:
            return self.no_reply(Trouble.GARBLED, now)
        if self._claimed is not None and identity.device != self._claimed.device:
            self.patience.stranger()
        self._claimed = identity
        if self.patience.still_refused(now):
            return []
        if self.identity is not None and identity.device != self.identity.device:
            self._default_key_checked = False
        if self._default_key_checked:
            return self._prove(now)
        self._default_key_checked = True
        self.step = SessionState.DEFAULT_KEY
        return []

    def _default_key_tried(self, now: float, *, proved: bool) -> list[DeviceEvent]:
        self._knows_default_key = proved
        alarm: list[DeviceEvent] = [DeviceAlarm(self.name, now, DEFAULT_KEY_ALARM)] if proved else []
        return alarm + self._prove(now)

    def _prove(self, now: float) -> list[DeviceEvent]:
        if not self._keys.has_key:
            return self._reject(NO_KEY, now)
        self.step = SessionState.CHALLENGE
        return []

    def _challenged(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        if not self._keys.proved(code, data):
            return self._wrong_key(now)
        self.step = SessionState.CRYPTOGRAM
        return []

    def _wrong_key(self, now: float) -> list[DeviceEvent]:
        if self._keys.another_key():
            return self._restart(now)
        return self._reject(
            "wrong key: the reader does not hold the key that it should; correct it or enrol the reader", now
        )

    def _accepted(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        self._exchange.channel = self._keys.established(code, data)
        if self._exchange.channel is None:
            return self._reject("wrong key: the reader does not accept the key that it should hold", now)
        if not self._keys.on_default_key and self.online and self._claimed == self.identity:
            return self._serve(now)
        self.step = SessionState.IDENTIFY
        return []

    def _identified(self, code: int, data: bytes, now: float) -> list[DeviceEvent]:
        identity = messages.identity(code, data)
        if identity is None:
            return self._reject("does not say who it is: its answer to ID is malformed", now)
        if self.keys is not None and self.keys.on_default_key:
            self.step = SessionState.ENROL
            return []
        known, self.identity = self.identity, identity
        same = known is not None and known.device == identity.device
        if self.online is True and same:
            return self._serve(now)
        self.service.forget_device(same=same or known is None)
        if self._clear:  # it is online when it has answered a poll: it may yet demand a channel
            self.online = False
            return self._serve(now)
        return [*self._came_online(identity, now), *self._serve(now)]

    def _came_online(self, identity: Identity, now: float) -> list[DeviceEvent]:
        self.online, self.why_offline, self._heard = True, "", now
        return [DeviceOnline(self.name, now, str(identity), secure=not self._clear, unique=identity.unique)]

    def _proved_by_poll(self, code: Cmd, now: float) -> list[DeviceEvent]:
        """A reader in clear text is online once it has answered a poll; what was learned of any is reported."""
        events: list[DeviceEvent] = []
        if self.online is not True and code is Cmd.POLL and self.identity is not None:
            events += self._came_online(self.identity, now)
            self.patience.in_service(now)
        if self.quirks.news and self.online is True:
            events += [DeviceAlarm(self.name, now, f"quirk: {what}") for what in self.quirks.report()]
        return events

    def _serve(self, now: float) -> list[DeviceEvent]:
        self.step, self._served, self.fresh = SessionState.SERVE, True, False
        self.patience.in_service(now, proved=not self._clear or self.online is True)
        self.service.begin()
        return []

    # -------------------------------------------------------------- failures

    def _refused(self, nak: int, now: float, flight: InFlight, *, in_clear: bool) -> list[DeviceEvent]:
        """NAK, 7.2."""
        if nak == NakCode.CHECK:  # the command was damaged on its way: the session is as it was
            return self.no_reply(Trouble.GARBLED, now)
        if nak == NakCode.SEQUENCE and self._refused_last:
            self.quirks.learn("holds_sequence")
        if self.step is SessionState.PROBE and self._probe is Cmd.POLL and nak != NakCode.SEQUENCE:
            self._exchange.done()
            self.patience.due = now
            return []
        if in_clear or nak == NakCode.SEQUENCE:
            return self._restart(now) + self._silence(now)
        if self.step in (SessionState.PROBE, SessionState.IDENTIFY):
            return self.no_reply(Trouble.GARBLED, now)
        self._exchange.done(holds=self.quirks.holds_sequence)
        self._refused_last = True
        self.patience.due = now
        match self.step:
            case SessionState.DEFAULT_KEY:
                return self._default_key_tried(now, proved=False)
            case SessionState.CHALLENGE if self._keys.another_key():
                return self._restart(now)
            case SessionState.SERVE if flight.outgoing is not None and nak not in _SECURITY_NAKS:
                return self._refused_in_service(flight.outgoing, nak, now)
            case SessionState.SERVE:
                return self._reject("the reader demands a secure channel; give it a key", now)
            case SessionState.ENROL:
                self._keys.give_up()
                return self._reject("the reader does not take the key; it must be in its install mode", now)
        return self._reject(
            "the reader refuses the secure channel: it does not know it, or not with this key", now
        )

    def _refused_in_service(self, outgoing: Outgoing, nak: int, now: float) -> list[DeviceEvent]:
        if outgoing.code is Cmd.POLL:  # no sign of life: no card would ever come
            self._trouble = Trouble.REFUSES
            if self.online is not True:
                return self._reject(str(Trouble.REFUSES), now)
            self.patience.due = now + BUSY_PAUSE
            return self.service.refused(outgoing, nak, now) + self._silence(now)
        self._heard = now
        if outgoing.slot == KEY_SLOT:
            self._keys.refused()
        return self.service.refused(outgoing, nak, now)

    def no_reply(self, trouble: Trouble, now: float) -> list[DeviceEvent]:
        """No good answer: the same frame again, at once and then with pauses, and at last from the start."""
        flight = self._exchange.flight
        self._trouble, self.retries = trouble, self.retries + 1
        self.garbled += trouble is not Trouble.SILENT
        self.fresh = self.idle = False
        events: list[DeviceEvent] = []
        if flight is None or self.step is SessionState.PROBE:
            if self.identity is None and self._probe is Cmd.ID:
                self._unanswered += 1
            self._exchange.restart()
            self.step = SessionState.PROBE
            self.patience.not_found(now, offline=self.online is False, silent=trouble is Trouble.SILENT)
        else:
            flight.attempts += 1
            if flight.attempts >= ATTEMPTS or now - flight.first_sent > RESTART_AFTER:
                events = self._restart(now)
            self.patience.missed(flight.attempts, now, silent=trouble is Trouble.SILENT)
        return events + self._silence(now)

    def _is_busy(self, now: float) -> list[DeviceEvent]:
        """BUSY, 7.19: asked again soon, but not for ever with a frame that it may never take."""
        self.patience.due = now + BUSY_PAUSE
        self._trouble = Trouble.BUSY
        self._busy += 1
        if self.step is not SessionState.SERVE and self._busy >= BUSY_ATTEMPTS:
            self._busy = 0
            self._restart(now)
            self.patience.due = now + BUSY_PAUSE
        return self._silence(now)

    def expired(self, now: float) -> list[DeviceEvent]:
        """Alarms for relay commands that could not be sent, or were not confirmed, in time.

        One that is in flight ends its session: whatever the reader does with a frame of another number, it does
        not obey this one any more. Not asked while its turn is on the wire.
        """
        flight, events = self._exchange.flight, self.service.expired(now)
        if flight is None or flight.outgoing is None or flight.outgoing.expires >= now:
            return events
        late, flight.outgoing = flight.outgoing, None
        self._restart(now)
        what = f"command for {late.slot} was not confirmed in time and is not sent again"
        return [*events, DeviceAlarm(self.name, now, what)]

    def _restart(self, now: float) -> list[DeviceEvent]:
        """Begin a new session with sequence number 0. What was not confirmed is sent again in it."""
        flight = self._exchange.flight
        ended = flight.outgoing if flight is not None else None
        if ended is not None and ended.queued:
            self.outbox.put_back(ended)
        self._exchange.restart()
        self._refused_last = False
        self.step = SessionState.PROBE
        self.patience.due = now
        return self.service.ended_by(ended, now) if ended is not None else []

    def _silence(self, now: float) -> list[DeviceEvent]:
        """Offline, once the reader was not heard for long enough."""
        if self.online is False or self._heard is None or now - self._heard < self._pace.offline_after:
            return []
        return self._go_offline(now, f"{self._trouble} (for {now - self._heard:.0f} s)")

    def _reject(self, why: str, now: float) -> list[DeviceEvent]:
        """The reader is there but must not be used: offline at once, tried again with growing pauses.

        One that was in service may have been reset: then it answers to the default key again.
        """
        if self._served and self.keys is not None:
            self._served, self._default_key_checked = False, self.keys.installs
        events = self._go_offline(now, why)
        self.fresh = False
        self.patience.refused(now)
        return events

    def _go_offline(self, now: float, why: str) -> list[DeviceEvent]:
        known = self.online is False and self.why_offline == why
        flight = self._exchange.flight
        in_flight = flight.outgoing if flight is not None else None
        self._exchange.restart()
        self.step = SessionState.PROBE
        self.online, self.why_offline = False, why
        dropped = self.outbox.forget_relays()
        if in_flight is not None and in_flight.pulse:
            dropped.append(in_flight)
        alarms: list[DeviceEvent] = [
            DeviceAlarm(self.name, now, f"command for {late.slot} is dropped: the reader is offline")
            for late in dropped
        ]
        return alarms if known else [*alarms, DeviceOffline(self.name, now, why)]
