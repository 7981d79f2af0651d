"""One reader as its bus sees it: where its session stands, what it wants next, and the orders that it takes.

``drivers.osdp.session`` is the machine that moves it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from drivers.cards.layout import CardFormat
from drivers.driver import DriverUsageError, LineNumbers
from drivers.events import Command
from drivers.osdp import messages
from drivers.osdp.exchange import Exchange
from drivers.osdp.frame import Frame
from drivers.osdp.handshake import Handshake, KeyChange
from drivers.osdp.messages import Cmd, Identity
from drivers.osdp.polling import Polling
from drivers.osdp.profiles import Quirks, profile_named
from drivers.osdp.queue import Outbox
from drivers.osdp.reports import Reports
from drivers.osdp.settings import OsdpReader
from drivers.osdp.states import SessionState, Trouble
from drivers.osdp.timing import Pace, RetryTimer

POLL_AFTER = 2
"""How often a reader that was never heard does not say who it is until it is polled before it is asked."""


class Member:
    """What is known of one reader. All times are seconds of the monotonic clock."""

    def __init__(
        self,
        name: str,
        settings: OsdpReader,
        keys: Sequence[bytes],
        entropy: Callable[[int], bytes],
        *,
        crc: bool = True,
        proved: Callable[[bytes], None] = lambda key: None,
        formats: Sequence[CardFormat] = (),
        in_use: Collection[str] | None = None,
    ) -> None:
        """``keys`` and ``proved`` are as ``Handshake`` has them; not looked at with ``secure_channel = "off"``.

        ``formats``: a card of a length that they know must satisfy one of them. ``in_use``: the inputs and outputs
        that the site file names; all that the settings have when it is not known.
        """
        self.name = name
        self.address = settings.address
        self.online: bool | None = None
        self.step = SessionState.PROBE
        self.quirks = Quirks(profile_named(settings.profile))
        self.patience = RetryTimer(max(settings.reply_time, self.quirks.profile.reply_time))
        self.outbox = Outbox(settings.outputs)
        for code in self.quirks.profile.lacks:
            self.outbox.refuse(code)
        self.why_offline = "not asked yet"
        self.identity: Identity | None = None
        self.retries = self.late = self.garbled = 0
        """Turns without a good answer; answers that came too late; answers that could not be understood."""
        self.fresh = True
        """Whether it was not tried yet since the bus is open, or is coming up for the first time."""
        self.idle = False
        """Whether its last turn was a poll without news."""
        self._pace = Pace()
        self._busy = 0
        bits = messages.CardBits(settings.card_bits)
        reports = Reports(name, settings.inputs, settings.queued_limit, formats, bits)
        self.service = Polling(name, settings.inputs, reports, self.outbox, self.quirks, in_use)
        self._exchange = Exchange(settings.address, crc=crc)
        self._clear = settings.secure_channel == "off"
        installs = settings.secure_channel == "install"
        self.keys = None if self._clear else Handshake(keys, entropy, installs=installs, proved=proved)
        self._default_key_checked = installs
        self._knows_default_key = self._served = False
        self._claimed: Identity | None = None
        self._heard: float | None = None
        self._trouble = Trouble.SILENT
        self._probe = Cmd.ID
        """What the reader was last asked while it is looked for."""
        self._polled_before = False
        """Whether a poll was answered just before that."""
        self._unanswered = 0
        """How often in a row it did not say who it is, since it was never heard."""
        self._refused_last = False
        """Whether its last answer in this session was a NAK."""

    def join(self, pace: Pace) -> None:
        """Go by the pace of the bus that the reader is on."""
        self._pace = self.service.pace = self.service.reports.freshness.pace = pace

    def accepts(self, frame: Frame) -> bool:
        """Whether ``frame`` is an answer to what is in flight."""
        return self._exchange.accepts(frame)

    def other_check(self, frame: Frame) -> bool:
        """Whether ``frame`` is an answer but for the kind of its check characters."""
        return self._exchange.other_check(frame)

    @property
    def answers(self) -> bool:
        """Whether it is in service, and its last turn there brought an answer."""
        flight = self._exchange.flight
        return self.step is SessionState.SERVE and (flight is None or flight.attempts == 0)

    @property
    def wants_relay(self) -> bool:
        """Whether a relay command waits that its next turn would send."""
        serves = self.step is SessionState.SERVE and self._exchange.flight is None
        return serves and self.online is True and self.outbox.urgent

    def _next_probe(self) -> tuple[Cmd, bytes]:
        """ID; for some readers after a poll, and so for one that was never heard every other time (libosdp#77).

        The answer to the poll is believed as little as the identity; ID follows in the same session.
        """
        polled = self._polled_before = self._probe is Cmd.POLL and self._exchange.continued
        if not polled:
            self._exchange.restart()
        polls = self.quirks.poll_first or (self._unanswered >= POLL_AFTER and self._probe is Cmd.ID)
        self._probe = Cmd.POLL if polls and not polled else Cmd.ID
        return self._probe, b"" if self._probe is Cmd.POLL else messages.STANDARD_REPORT

    @property
    def handshaking(self) -> bool:
        """Whether the reader answers but is not in service yet."""
        return self.step not in (SessionState.PROBE, SessionState.SERVE)

    @property
    def goes_on(self) -> bool:
        """Whether it has the next turn too: a garbled answer may be a card, or a question took a poll's turn."""
        flight = self._exchange.flight
        if flight is None:
            return self.step is SessionState.SERVE and self.service.owes_poll
        return flight.attempts == 1 and self._trouble is Trouble.GARBLED

    @property
    def secure(self) -> bool:
        """Whether a session under the reader's own key stands."""
        return self._exchange.channel is not None and self.step is SessionState.SERVE

    @property
    def _keys(self) -> Handshake:
        assert self.keys is not None  # no step of a reader in clear text asks for it
        return self.keys

    def change_key(self, key: bytes) -> None:
        """Give the reader another base key; ``key_change`` tells how it went. Raises ``DriverUsageError``.

        While the channel of a reader that is online is being renewed, the new key waits until it is up again.
        """
        if self.keys is None or self.online is not True:
            raise DriverUsageError(f"{self.name}: a key is changed only over the secure channel, which is not up")
        self.keys.propose(key)

    @property
    def key_change(self) -> KeyChange:
        """How the last change of key stands."""
        return KeyChange.NONE if self.keys is None else self.keys.change

    @property
    def unconfirmed_relay(self) -> bool:
        """Whether a relay command waits, or is on its way without an answer yet."""
        flight = self._exchange.flight
        in_flight = flight is not None and flight.outgoing is not None and flight.outgoing.relay
        return self.online is True and (in_flight or self.outbox.urgent)

    def status_text(self) -> str:
        """What ``latchctl status`` shows of the reader."""
        weak = "; it answers to the default key" if self._knows_default_key else ""
        if self.online is not True:
            return self.why_offline + weak
        renewed = "secure channel" if self.secure else "secure channel is being renewed"
        channel = "clear text" if self._clear else renewed
        shed = f", {self.outbox.shed} lights and sounds left out" if self.outbox.shed else ""
        return f"{channel}, {self.service.polls} polls, {self.retries} retries{shed}, {self.identity}{weak}"

    def numbers(self) -> LineNumbers:
        """How the reader fares on its bus."""
        return LineNumbers(
            round=self._pace.round,
            slowest=self.patience.slowest,
            answers=self.patience.answers,
            retries=self.retries,
            late=self.late,
            garbled=self.garbled,
            left_out=self.outbox.shed,
        )

    def send(self, command: Command, now: float) -> None:
        """Queue a command. For a reader that is offline a relay command is dropped: it would come too late."""
        self.outbox.put(command, now)
        if self.online is not True:
            self.outbox.forget_relays()
