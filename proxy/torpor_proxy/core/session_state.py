"""What is known of a session from the bytes that have passed and its last capture. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from torpor_proxy.core import capture, custom_settings, idle_words, wire
from torpor_proxy.core.broken import UNNAMED, Broken
from torpor_proxy.core.capture import NO_PINS, Captured, Pins
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.exchange import IDLE, Exchange
from torpor_proxy.core.held import NOTHING_HELD, UNSEEN, Held, Kind
from torpor_proxy.core.parameters import NOTHING_TOLD, Pairs, Parameters, parameters_of
from torpor_proxy.core.restore import Restore


@dataclass(slots=True)
class SessionState:
    """Of one session, over all its attachments."""

    exchange: Exchange = field(default_factory=Exchange)
    """Up to the last byte that was walked."""

    is_new: bool = True
    """It never had a backend."""

    parameters: Parameters = NOTHING_TOLD
    """What the client was told by ParameterStatus."""

    custom: CustomSettings = custom_settings.NONE
    """Settings that it may have, by name."""

    held: Held = NOTHING_HELD
    """What its last capture has found, to be put back."""

    prepared: bytes = b""
    """When each of the statements that are held was prepared on its backend, in their order."""

    pins: Pins = NO_PINS
    """What its last capture has found that can't be moved."""

    idle_session_timeout_s: float = 0.0
    """Its own ``idle_session_timeout``; 0: none."""

    escapes_are_mixed: bool = False
    """``standard_conforming_strings`` was changed: a kept text may mean something else now."""

    is_hurried: bool = False
    """A timeout of its own was over before its state was read: that is set away first."""

    broken: dict[bytes, Broken] | None = None
    """Prepared statements that could not be put back: others stand in for them."""

    defaults: Parameters = NOTHING_TOLD
    """What RESET goes to where the role or the database had a value of its own: it still does when
    that was changed meanwhile, as in a session that Postgres holds."""

    is_known: bool = False
    """Its last capture found nothing that pins: ``held`` is all that it had then."""

    may_listen: bool = False
    """It has asked for notifications, or has had a channel when it was captured."""

    outlasts_rollback: bool = False
    """Since then a text has passed whose effect a transaction's end may not undo."""

    fault: str = ""
    """What was wrong with the client's bytes."""

    @property
    def is_as_captured(self) -> bool:
        """Whether everything since the last capture was one transaction that can be undone."""
        return self.is_known and not self.outlasts_rollback and not self.exchange.has_moved

    def saw_parameter(self, message: bytes) -> None:
        """A whole ParameterStatus has gone to the client."""
        name, value = wire.pair(message[wire.HEAD_BYTES :])
        self.escapes_are_mixed |= name == "standard_conforming_strings"
        # Its client has heard of a value that a rollback, of which it hears nothing, takes back.
        self.outlasts_rollback = True
        self.parameters = self.parameters.with_one(name, value)

    def saw_garbage(self, reason: str) -> None:
        """The client's bytes are no messages. Postgres has them already and will hang up."""
        self.fault = self.fault or reason

    def idle_words(self, data: bytes) -> bytes:
        """The server speaks though it owes nothing; what of it the client shall hear."""
        return data if self.pins else idle_words.for_client(data)

    def answered_here(self, question: bytes | bytearray) -> None:
        """The proxy has answered a keep-alive: a simple query ends the unnamed statement."""
        if question.startswith(b"Q"):
            self.exchange.unnamed_found(exists=False)

    def captured(self, found: Captured) -> None:
        """Its backend has answered."""
        if found.has_unnamed is not None:
            self.exchange.unnamed_found(exists=found.has_unnamed)
        too_long = (capture.LONG_UNNAMED,) * (self.exchange.unnamed == b"")
        self.pins = Pins(found.pins.reasons + too_long, found.pins.is_passing)
        if not self.pins.is_passing:
            self._keep(found)
            self.idle_session_timeout_s = found.idle_session_timeout_s
        self.is_known = not self.pins
        self.may_listen |= bool(found.held.channels)
        self.exchange.has_moved = False
        # A statement that was prepared before may be used in a transaction and outlast it.
        statements = self.held.rows + (self.exchange.unnamed or b"")
        self.outlasts_rollback = b"advisory" in statements.lower()
        # Those that were put back once are the session's own since then and not told again.
        self.defaults = parameters_of(
            tuple({**dict(self.defaults.pairs), **dict(found.defaults)}.items())
        )

    def put_back(self, restored: Restore) -> None:
        """It is on a fresh backend."""
        self.broken = restored.broken or None
        names = self.held.results_by_name()
        known = {name: result for name, result in names.items() if result != UNSEEN}
        results = {**restored.results, **known}
        self.held = self.held.with_results(results.get(name, UNSEEN) for name in names)
        self.prepared = b"".join(restored.prepared.get(name, UNSEEN) for name in names)

    def _keep(self, found: Captured) -> None:
        """A statement that is broken is still the session's own, while something stands in for it.

        An unnamed one can't be listed; its client's next unnamed Parse is the end of it.
        """
        self.prepared = found.prepared
        there = found.stand_ins | {UNNAMED}
        self.broken = {n: one for n, one in (self.broken or {}).items() if n in there} or None
        self.held = found.held.with_those(self.held, self.broken) if self.broken else found.held

    @property
    def startup_defaults(self) -> Pairs:
        """Settings that a fresh backend starts with beside those of its login."""
        if self.is_new or self.held.of(Kind.ROLE):
            return self.defaults.pairs
        # A default role that was given meanwhile counts for new sessions only.
        return (*self.defaults.pairs, ("role", "none"))

    def to_restore(self, encoding: str, *, with_unnamed: bool) -> Restore:
        """What a fresh backend has to be given. ``encoding``: that texts are sent in."""
        unnamed = self.exchange.unnamed if with_unnamed else None
        return Restore(self.held, unnamed, encoding=encoding)

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
            return capture.UNCLEAR
        return ", ".join(self.pins.reasons)
