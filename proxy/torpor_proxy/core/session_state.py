"""What is known of a session from the bytes that have passed and from its last probe. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from torpor_proxy.core import custom_settings, idle_words, probe, wire
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.exchange import IDLE, Exchange
from torpor_proxy.core.parameters import NOTHING_TOLD, Parameters, parameters_of
from torpor_proxy.core.probe import NO_PINS, Pins


@dataclass(slots=True)
class SessionState:
    """Of one session, over all its attachments."""

    exchange: Exchange = field(default_factory=Exchange)
    """Up to the last byte that was walked."""

    parameters: Parameters = NOTHING_TOLD
    """What the client was told by ParameterStatus."""

    custom: CustomSettings = custom_settings.NONE
    """Settings that it may have, by name."""

    pins: Pins = NO_PINS
    """What its last probe has found."""

    defaults: Parameters = NOTHING_TOLD
    """What RESET goes to where the role or the database had a value of its own: it still does when
    that was changed meanwhile, as in a session that Postgres holds."""

    fault: str = ""
    """What was wrong with the client's bytes."""

    def saw_setting(self, sql: bytes) -> None:
        """A text of SQL that may set a custom setting has passed."""
        self.custom = self.custom.with_those_of(sql)

    def saw_parameter(self, message: bytes) -> None:
        """A whole ParameterStatus has gone to the client."""
        self.parameters = self.parameters.with_one(*wire.pair(message[wire.HEAD_BYTES :]))

    def saw_garbage(self, reason: str) -> None:
        """The client's bytes are no messages. Postgres has them already and will hang up."""
        self.fault = self.fault or reason

    def idle_words(self, data: bytes) -> bytes:
        """The server speaks though it owes nothing; what of it the client shall hear."""
        return data if self.pins else idle_words.for_client(data)

    def probed(self, found: Pins) -> None:
        """Its backend has answered."""
        too_long = (probe.LONG_UNNAMED,) * (self.exchange.unnamed == b"")
        self.pins = Pins(found.reasons + too_long, found.is_passing)
        # Those that were put back once are the session's own since then and not told again.
        self.defaults = parameters_of(
            tuple({**dict(self.defaults.pairs), **dict(found.defaults)}.items())
        )

    @property
    def application(self) -> str:
        """As the server last reported it."""
        return dict(self.parameters.pairs).get("application_name", "")

    def why_kept(self, *, is_unread: bool) -> str:
        """Why it needs its compute, in words; ``is_unread``: an answer waits for its client."""
        if not self.exchange.is_idle:
            return "is running a query"
        if self.exchange.status != IDLE:
            return "is idle in a transaction"
        if is_unread:
            return "has an answer that its client does not read"
        if self.exchange.is_unclear:
            return probe.UNCLEAR
        return ", ".join(self.pins.reasons)
