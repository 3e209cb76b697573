"""One client's session: parked without a compute, waiting for one, or attached to a backend.

While it is attached, bytes pass through :mod:`torpor_proxy.executor.relay` and not through here. In
every other state they are kept (:mod:`torpor_proxy.executor.waiting`) and served in order once it
is attached.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from time import monotonic

from torpor_proxy.core import idle_words, senders, wire
from torpor_proxy.core.capture import Captured
from torpor_proxy.core.exchange import Exchange
from torpor_proxy.core.parameters import NOTHING_TOLD, Pairs, parameters_of
from torpor_proxy.core.refusals import IdleSessionTimeout, Refusal
from torpor_proxy.core.routing import Route
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor import loss, visits
from torpor_proxy.executor.arrival import Arrival
from torpor_proxy.executor.attachment import Attachment
from torpor_proxy.executor.conversation import Backend
from torpor_proxy.executor.hearing import Hearing
from torpor_proxy.executor.homecoming import come_home
from torpor_proxy.executor.host import Host, Identity, State
from torpor_proxy.executor.idle_timer import IdleTimer
from torpor_proxy.executor.waiting import Waiting
from torpor_proxy.ports import NOBODY, Stream

log = logging.getLogger(__name__)


class Session:
    """Bound to one client's stream for its whole life."""

    __slots__ = (
        "_idle_timer",
        "attachment",
        "captured_at",
        "client",
        "hearing",
        "host",
        "identity",
        "is_captured",
        "known",
        "last_used",
        "since",
        "state",
        "task",
        "waiting",
    )

    def __init__(self, identity: Identity, stream: Stream, host: Host[Session]) -> None:
        self.identity = identity
        self.state = State.PARKED
        self.since = self.last_used = monotonic()
        self.is_captured = False
        """Captured since the client's last message; what was found is in the pins."""
        self.captured_at = 0.0
        self.client = stream
        self.host = host
        self.known = SessionState()
        self.attachment: Attachment | None = None
        self.waiting = Waiting(self, stream, host)
        self.hearing = Hearing(self, self.known, host)
        self.task: asyncio.Task[None] | None = None
        self._idle_timer = IdleTimer()

    # --- what others ask --------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether it needs its compute now: a query, a transaction, or on its way to one."""
        if self.state is State.ATTACHED:
            return not self.exchange.is_safe or self.client.is_full
        return self.state is State.WAITING or self.waiting.pending is not None

    @property
    def can_be_let_go(self) -> bool:
        return self.is_captured and not self.known.pins and not self.is_busy

    @property
    def is_pinned(self) -> bool:
        return self.is_captured and bool(self.known.pins)

    @property
    def is_at_rest(self) -> bool:
        """Whether it has a backend that it does not need now."""
        return self.state is State.ATTACHED and not self.is_busy

    @property
    def needs_capture(self) -> bool:
        again_at = self.captured_at + self.host.settings.capture_again_s
        is_due = not self.is_captured or (self.known.pins.is_passing and monotonic() > again_at)
        return is_due and self.is_at_rest

    @property
    def exchange(self) -> Exchange:
        """What client and server owe each other, up to the last byte."""
        attachment = self.attachment
        return self.known.exchange if attachment is None else attachment.relay.exchange()

    @property
    def is_in_flight(self) -> bool:
        """Whether its backend was in the middle of something when it was last heard of."""
        return not self.exchange.is_safe

    @property
    def queries(self) -> int:
        """Answered so far."""
        return self.exchange.queries

    @property
    def backend(self) -> Backend | None:
        """That it has now."""
        return None if self.attachment is None else self.attachment.backend

    @property
    def reason(self) -> str:
        """Why it needs its compute, in words."""
        if self.state is State.WAITING:
            return "waits for the database"
        if self.waiting.pending is not None:
            return "is running a query"
        return self.known.why_kept(is_unread=self.client.is_full)

    # --- what it listens for ----------------------------------------------------------

    @property
    def listens(self) -> bool:
        """As of its last capture."""
        return self.hearing.listens

    @property
    def heard_until(self) -> float:
        """Until when its own backend has surely told everything."""
        return self.hearing.sure_until

    @property
    def route(self) -> Route:
        return self.identity.route

    @property
    def is_unread(self) -> bool:
        return self.client.is_full

    @property
    def unread_bytes_max(self) -> int:
        return self.host.settings.unread_bytes_max

    def hear(self, notifications: bytes) -> None:
        self.client.write(notifications)
        if self.is_parked and self.client.is_full and not self.waiting.owes:
            # A backend of its own waits for its client, as in Postgres, and holds up nobody else.
            self.come_back()

    # --- what its waiting client asks -------------------------------------------------

    @property
    def is_parked(self) -> bool:
        return self.state is State.PARKED

    def is_visited(self) -> bool:
        return self.state is State.CAPTURING

    def answer_itself(self, question: bytes, answer: bytes) -> None:
        self.known.answered_here(question)
        self.last_used = monotonic()
        self._await_idle_timeout()
        self.client.write(answer)

    # --- being born and attaching -----------------------------------------------------

    def be_born(self, told: Pairs, process_id: int) -> None:
        """Its client has logged in while the database sleeps, and need not wait for it."""
        self.client.sink = self.waiting
        self.known.parameters = parameters_of(told)
        self.is_captured = True
        self.client.write(NOTHING_TOLD.difference(told))
        self._greet(process_id)

    def come_back(self) -> None:
        """Begin to wait for a compute; the client's bytes are kept meanwhile."""
        assert self.state is State.PARKED
        self._enter(State.WAITING)
        self.client.sink = self.waiting
        self.task = asyncio.get_running_loop().create_task(come_home(self))

    def attach(self, attachment: Attachment, reported: Pairs, arrival: Arrival) -> None:
        self.identity.epoch = arrival.backend.epoch
        self.client.write(self.known.parameters.difference(reported))
        self.known.parameters = parameters_of(reported)
        self.hearing.returned()
        if self.known.is_new:
            self.known.is_new = False
            self.host.logged_in(self.identity.route, reported)
        if self.identity.key is None:
            self._greet(arrival.backend.process_id, arrival.backend.notices)
        self.go_on(attachment, arrival)

    def _greet(self, process_id: int, notices: bytes = b"") -> None:
        """The last words of a login."""
        key = self.identity.key = self.host.new_key(self, process_id)
        self.client.write(wire.backend_key_data(*key) + notices + wire.ready_for_query())

    def go_on(
        self,
        attachment: Attachment,
        arrival: Arrival | None = None,
        *,
        is_repaired: bool = False,
    ) -> None:
        """Bytes pass through the relay from now on, those that waited first."""
        self._enter(State.ATTACHED)
        self.watch(self.host.waits_for_safe_points)
        self.client.sink, server = attachment.sinks(self.repair)
        attachment.end_visit(server if arrival is None else arrival.watched(server))
        pending = self.waiting.take()
        # Neither side has heard of what changed while the other's sink was another one.
        if self.client.is_full:
            attachment.stream.pause()
        if not attachment.stream.is_full:
            self.client.resume()
        if pending:
            sink = attachment.relay.from_client if is_repaired else self.client.sink
            sink.received(pending)
        if self.waiting.has_ended:
            attachment.stream.write_eof()
        if not attachment.stream.is_open:
            self.backend_lost()

    # --- capturing and parking --------------------------------------------------------

    def capture(self, *, then_park: bool = False) -> Coroutine[None, None, None]:
        """Find out what it would lose. Only where ``is_at_rest``; to be awaited.

        ``then_park``: let its backend go, where that loses nothing, before its client is heard.
        From this call on, not only from its first turn, the client's bytes wait.
        """
        assert self.is_at_rest
        self.hearing.asks()
        return visits.capture(self, self._begin_visit(), then_park=then_park)

    def captured(self, found: Captured) -> None:
        """Its backend has answered."""
        self.known.captured(self.hearing.captured(found))
        self.is_captured, self.captured_at = True, monotonic()
        self._await_idle_timeout()

    def repair(self, data: bytes) -> None:
        """Its client may be about to use a statement that could not be put back: try again."""
        attachment = self._begin_visit()
        self.waiting.keep(data)
        self.task = asyncio.get_running_loop().create_task(visits.repair(self, attachment))

    def _begin_visit(self) -> Attachment:
        attachment = self.attachment
        assert attachment is not None and self.state is State.ATTACHED
        self._enter(State.CAPTURING)
        self.client.sink = self.waiting
        attachment.begin_visit(self._heard)
        return attachment

    def visit_failed(self, error: Exception) -> None:
        if self.state is State.CAPTURING:
            extra = {**self.identity.log_keys, "reason": str(error)}
            log.warning("visit_failed", extra=extra)
            self._enter(State.ATTACHED)
            self.backend_lost()

    def _heard(self, message: bytes) -> None:
        """Said by the server on its own account while it was being captured or repaired."""
        if self.hearing.takes(message):
            return
        message = senders.as_told(idle_words.for_client(message), 0, self.host.told_as)
        self.exchange.server_sent(message, self.known.saw_parameter)
        self.client.write(message)

    def let_go(self) -> None:
        """Park: hang up on the backend. Only where ``can_be_let_go``."""
        assert self.attachment is not None and self.can_be_let_go
        self.part(self.attachment)

    def park(self, *, insists: bool = False) -> Coroutine[None, None, None]:
        """Detach it, where that is possible and loses nothing; to be awaited. Bytes wait at once.

        ``insists``: also where a reason was found a moment ago that may have passed.
        """
        if self.can_be_let_go and not self.listens:
            self.let_go()
        elif self.needs_capture or (self.is_at_rest and (self.can_be_let_go or insists)):
            return self.capture(then_park=True)
        return _done()

    def watch(self, is_watched: bool) -> None:
        """Whether its host wants to know of each safe point that it reaches."""
        if self.attachment is not None:
            relay = self.attachment.relay
            relay.at_safe_point = self._at_safe_point if is_watched else None

    def _at_safe_point(self) -> None:
        if self.state is State.ATTACHED:
            self.host.at_safe_point(self)

    def part(self, attachment: Attachment) -> None:
        self._detach()
        self._enter(State.PARKED)
        attachment.hang_up()
        self.hearing.parted()
        self.waiting.consider()

    def _detach(self) -> None:
        """There is no backend any more; what comes from the client comes here."""
        assert self.exchange is self.known.exchange  # Walked to its end.
        self.attachment = None
        self.client.sink = self.waiting

    def _await_idle_timeout(self) -> None:
        timeout_s = self.known.idle_session_timeout_s
        self._idle_timer.start(self.last_used, timeout_s, self._may_be_idle_for_too_long)

    def _may_be_idle_for_too_long(self) -> None:
        if self.is_captured and not self.is_busy and self._idle_timer.is_over(self.last_used):
            self.refuse(IdleSessionTimeout())

    # --- what the relay tells ---------------------------------------------------------

    def client_ended(self) -> None:
        self.waiting.has_ended = True
        if self.attachment is not None:
            self.attachment.stream.write_eof()

    def client_lost(self) -> None:
        self.end()

    def backend_ended(self) -> None:
        if self.attachment is not None:
            self.attachment.stream.close()

    def backend_lost(self) -> None:
        """The compute has ended this session, or has ended."""
        if self.state is not State.ATTACHED:
            return
        loss.backend_lost(self)

    def survive(self) -> None:
        """Its backend is gone, and nothing with it."""
        log.info("session_survives", extra=self.identity.log_keys)
        self.is_captured = True
        self.client.resume()
        assert self.attachment is not None
        self.part(self.attachment)

    # --- the end ----------------------------------------------------------------------

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""
        if self.state is State.ENDED:
            return
        said = {"sqlstate": refusal.sqlstate, "reason": refusal.reason}
        log.info("session_refused", extra={**self.identity.log_keys, **said})
        self.host.tallies.refused(refusal)
        if self.exchange.is_between_server_messages:
            self.client.write(refusal.as_report())
        self.end()

    def end(self) -> None:
        """Hang up on both sides. Again: nothing."""
        if self.state is State.ENDED:
            return
        self._enter(State.ENDED)
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()
        self._idle_timer.stop()
        self.hearing.end()
        if self.attachment is not None:
            self.attachment.hang_up()
        self._detach()
        self.client.sink = NOBODY
        self.client.close()

    def cancel(self) -> asyncio.Future[None] | None:
        """Cancel what it is running now; done once the signal is sent. None: it runs nothing."""
        is_running = self.state is State.ATTACHED and not self.exchange.is_idle
        is_repaired = self.state is State.CAPTURING and self.task is not None
        backend = self.backend if is_running or is_repaired else None
        return None if backend is None else self.host.cancel(backend)

    def _enter(self, state: State) -> None:
        before, self.state = self.state, state
        if {before, state} != {State.ATTACHED, State.CAPTURING}:
            self.since = monotonic()
        self.host.moved(self, before, state)


async def _done() -> None:
    """Nothing is left to be awaited."""
