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

from torpor_api.failures import Failure
from torpor_proxy.core import failover, idle_words, parked, wire
from torpor_proxy.core.exchange import Exchange
from torpor_proxy.core.parameters import NOTHING_TOLD, Pairs, parameters_of
from torpor_proxy.core.refusals import (
    CannotWake,
    ComputeLost,
    IdleSessionTimeout,
    NotificationsMissed,
    ProtocolViolation,
    Refusal,
    Refused,
    RestoreRefused,
    TransactionLost,
)
from torpor_proxy.core.restore import RestoreFailed
from torpor_proxy.core.routing import Route
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.core.wire import Severity
from torpor_proxy.executor import visit
from torpor_proxy.executor.arrival import Arrival
from torpor_proxy.executor.attachment import Attachment
from torpor_proxy.executor.conversation import Backend
from torpor_proxy.executor.hearing import Hearing
from torpor_proxy.executor.host import Host, Identity, State
from torpor_proxy.executor.idle_timer import IdleTimer
from torpor_proxy.executor.waiting import Waiting
from torpor_proxy.ports import NOBODY, Stream

log = logging.getLogger(__name__)

CAPTURE_AGAIN_SECONDS = 10.0
"""After a question that failed for a passing reason, like a lock on the server's catalog."""

ARRIVE_AGAIN_SECONDS = 0.05
"""After a compute was lost while a session was put back on it."""


class Session:
    """Bound to one client's stream for its whole life."""

    __slots__ = (
        "_attachment",
        "_hearing",
        "_host",
        "_idle_timer",
        "_state",
        "_stream",
        "_task",
        "_waiting",
        "captured_at",
        "identity",
        "is_captured",
        "last_used",
        "since",
        "state",
    )

    def __init__(self, identity: Identity, stream: Stream, host: Host[Session]) -> None:
        self.identity = identity
        self.state = State.PARKED
        self.since = self.last_used = monotonic()
        self.is_captured = False
        """Captured since the client's last message; what was found is in the pins."""
        self.captured_at = 0.0
        self._stream = stream
        self._host = host
        self._state = SessionState()
        self._attachment: Attachment | None = None
        self._waiting = Waiting(self, stream, host)
        self._hearing = Hearing(self, self._state, host)
        self._task: asyncio.Task[None] | None = None
        self._idle_timer = IdleTimer()

    # --- what others ask --------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether it needs its compute now: a query, a transaction, or on its way to one."""
        if self.state is State.ATTACHED:
            return not self._exchange.is_safe or self._stream.is_full
        return self.state is State.WAITING or self._waiting.pending is not None

    @property
    def can_be_let_go(self) -> bool:
        return self.is_captured and not self._state.pins and not self.is_busy

    @property
    def is_pinned(self) -> bool:
        return self.is_captured and bool(self._state.pins)

    @property
    def is_at_rest(self) -> bool:
        """Whether it has a backend that it does not need now."""
        return self.state is State.ATTACHED and not self.is_busy

    @property
    def needs_capture(self) -> bool:
        if not self.is_at_rest:
            return False
        return not self.is_captured or (
            self._state.pins.is_passing and monotonic() - self.captured_at > CAPTURE_AGAIN_SECONDS
        )

    @property
    def _exchange(self) -> Exchange:
        """What client and server owe each other, up to the last byte."""
        attachment = self._attachment
        return self._state.exchange if attachment is None else attachment.relay.exchange()

    @property
    def is_in_flight(self) -> bool:
        """Whether its backend was in the middle of something when it was last heard of."""
        return not self._exchange.is_safe

    @property
    def queries(self) -> int:
        """Answered so far."""
        return self._exchange.queries

    @property
    def application(self) -> str:
        """As its server last reported it."""
        return self._state.application

    @property
    def backend(self) -> Backend | None:
        """That it has now."""
        return None if self._attachment is None else self._attachment.backend

    @property
    def reason(self) -> str:
        """Why it needs its compute, in words."""
        if self.state is State.WAITING:
            return "waits for the database"
        if self._waiting.pending is not None:
            return "is running a query"
        return self._state.why_kept(is_unread=self._stream.is_full)

    # --- what it listens for ----------------------------------------------------------

    @property
    def listens(self) -> bool:
        """As of its last capture."""
        return self._hearing.listens

    @property
    def heard_until(self) -> float:
        """Until when its own backend has surely told everything."""
        return self._hearing.sure_until

    @property
    def route(self) -> Route:
        return self.identity.route

    @property
    def is_unread(self) -> bool:
        return self._stream.is_full

    def hear(self, notifications: bytes) -> None:
        self._stream.write(notifications)
        if self.state is State.PARKED and self._stream.is_full:
            # A backend of its own waits for its client, as in Postgres, and holds up nobody else.
            self.come_back()

    # --- what its waiting client asks -------------------------------------------------

    @property
    def is_parked(self) -> bool:
        return self.state is State.PARKED

    def answer_itself(self, question: bytes, answer: bytes) -> None:
        self._state.answered_here(question)
        self.last_used = monotonic()
        self._await_idle_timeout()
        self._stream.write(answer)

    def refuse_garbage(self, reason: str) -> None:
        self.refuse(ProtocolViolation(reason))

    # --- being born and attaching -----------------------------------------------------

    def be_born(self, told: Pairs, process_id: int) -> None:
        """Its client has logged in while the database sleeps, and need not wait for it."""
        self._stream.sink = self._waiting
        self._state.parameters = parameters_of(told)
        self.is_captured = True
        self._stream.write(NOTHING_TOLD.difference(told))
        self._greet(process_id)

    def come_back(self) -> None:
        """Begin to wait for a compute; the client's bytes are kept meanwhile."""
        assert self.state is State.PARKED
        self._enter(State.WAITING)
        self._stream.sink = self._waiting
        self._task = asyncio.get_running_loop().create_task(self._come_back())

    async def _come_back(self) -> None:
        settings, name = self._host.settings, self.identity.route.endpoint
        notice = asyncio.get_running_loop().call_later(settings.notice_after_s, self._tell_waiting)
        try:
            async with asyncio.timeout(settings.wake_timeout_s):
                is_attached = False
                while not is_attached:
                    is_attached = await self._arrive()
        except Refused as refused:
            self.refuse(refused.refusal)
        except Failure as failure:
            self.refuse(CannotWake(name, failure))
        except TimeoutError:
            self.refuse(self._host.too_late())
        except RestoreFailed as failed:
            self.refuse(RestoreRefused(failed.fields))
        except Exception:
            # A defect is that of one session: its client must not wait for ever.
            log.exception("session_defect", extra=self.identity.log_keys)
            self.refuse(ComputeLost(name, in_flight=False))
        finally:
            notice.cancel()
            self._task = None

    async def _arrive(self) -> bool:
        """Once; whether the session is attached. Raises what ends it."""
        arrival = await self._host.arrive(self.identity, self._state.startup_defaults)
        # From here on end() sees to the backend.
        attachment = Attachment(self, self._state, self._stream, arrival.backend)
        self._attachment = attachment
        try:
            with_unnamed = not parked.replaces_unnamed(self._waiting.pending)
            mark = self._hearing.return_soon()
            reported = await attachment.put_back(
                self._hearing.takes, mark, with_unnamed=with_unnamed
            )
            await self._hearing.come_to_mark()
        except visit.FAILED as error:
            self._warn("attach_failed", error)
            self._hearing.stay()
            self._attachment = None
            attachment.hang_up()
            # The compute was lost in between; nothing of the client has passed.
            await asyncio.sleep(ARRIVE_AGAIN_SECONDS)
            return False
        self._attach(attachment, reported, arrival)
        return True

    def _attach(self, attachment: Attachment, reported: Pairs, arrival: Arrival) -> None:
        self._stream.write(self._state.parameters.difference(reported))
        self._state.parameters = parameters_of(reported)
        self._hearing.returned()
        if self._state.is_new:
            self._state.is_new = False
            self._host.logged_in(self.identity.route, reported)
        if self.identity.key is None:
            self._greet(arrival.backend.process_id, arrival.backend.notices)
        self._go_on(attachment, arrival)

    def _greet(self, process_id: int, notices: bytes = b"") -> None:
        """The last words of a login."""
        key = self.identity.key = self._host.new_key(self, process_id)
        self._stream.write(wire.backend_key_data(*key) + notices + wire.ready_for_query())

    def _go_on(
        self,
        attachment: Attachment,
        arrival: Arrival | None = None,
        *,
        is_repaired: bool = False,
    ) -> None:
        """Bytes pass through the relay from now on, those that waited first."""
        self._enter(State.ATTACHED)
        self.watch(self._host.waits_for_safe_points)
        self._stream.sink, server = attachment.sinks(self.repair)
        attachment.end_visit(server if arrival is None else arrival.watched(server))
        pending = self._waiting.take()
        # Neither side has heard of what changed while the other's sink was another one.
        if self._stream.is_full:
            attachment.stream.pause()
        if not attachment.stream.is_full:
            self._stream.resume()
        if pending:
            sink = attachment.relay.from_client if is_repaired else self._stream.sink
            sink.received(pending)
        if self._waiting.has_ended:
            attachment.stream.write_eof()
        if not attachment.stream.is_open:
            self.backend_lost()

    def _tell_waiting(self) -> None:
        words = f'waiting for database "{self.identity.route.endpoint}"'
        self._stream.write(
            wire.report(Severity.NOTICE, "00000", words, detail=self._host.why_not().message)
        )

    # --- capturing and parking --------------------------------------------------------

    def capture(self, *, then_park: bool = False) -> Coroutine[None, None, None]:
        """Find out what it would lose. Only where ``is_at_rest``; to be awaited.

        ``then_park``: let its backend go, where that loses nothing, before its client is heard.
        From this call on, not only from its first turn, the client's bytes wait.
        """
        assert self.is_at_rest
        self._hearing.asks()
        return self._capture(self._begin_visit(), then_park)

    async def _capture(self, attachment: Attachment, then_park: bool) -> None:
        catalogs = self._host.catalogs(self.identity.route.database)
        patience_s = self._host.settings.capture_timeout_s
        try:
            found = await attachment.read_state(
                self.identity, catalogs, patience_s, self._host.cancel
            )
        except visit.FAILED as error:
            self._visit_failed(error)
            return
        if self.state is not State.CAPTURING:
            return
        self._state.captured(self._hearing.captured(found))
        self.is_captured, self.captured_at = True, monotonic()
        self._await_idle_timeout()
        if then_park and not self._state.pins and await self._leaves(attachment):
            self._part(attachment)
        elif self.state is State.CAPTURING:
            self._go_on(attachment)

    async def _leaves(self, attachment: Attachment) -> bool:
        """Whether somebody else hears what is notified from now on."""
        try:
            is_heard = await self._hearing.leave(attachment)
        except visit.FAILED as error:
            self._visit_failed(error)
            return False
        return is_heard and self.state is State.CAPTURING

    def repair(self, data: bytes) -> None:
        """Its client may be about to use a statement that could not be put back: try again."""
        attachment = self._begin_visit()
        self._waiting.pending = bytearray(data)
        self._task = asyncio.get_running_loop().create_task(self._repair(attachment))

    async def _repair(self, attachment: Attachment) -> None:
        try:
            await attachment.repair(bytes(self._waiting.pending or b""))
        except visit.FAILED as error:
            self._visit_failed(error)
            return
        finally:
            self._task = None
        if self.state is State.CAPTURING:
            self._go_on(attachment, is_repaired=True)

    def _begin_visit(self) -> Attachment:
        attachment = self._attachment
        assert attachment is not None and self.state is State.ATTACHED
        self._enter(State.CAPTURING)
        self._stream.sink = self._waiting
        attachment.begin_visit(self._heard)
        return attachment

    def _visit_failed(self, error: Exception) -> None:
        if self.state is State.CAPTURING:
            self._warn("visit_failed", error)
            self._enter(State.ATTACHED)
            self.backend_lost()

    def _heard(self, message: bytes) -> None:
        """Said by the server on its own account while it was being captured."""
        if self._hearing.takes(message):
            return
        message = idle_words.for_client(message)
        self._exchange.server_sent(message, self._state.saw_parameter)
        self._stream.write(message)

    def let_go(self) -> None:
        """Park: hang up on the backend. Only where ``can_be_let_go``."""
        assert self._attachment is not None and self.can_be_let_go
        self._part(self._attachment)

    def park(self) -> Coroutine[None, None, None]:
        """Detach it, where that is possible now and loses nothing; to be awaited.

        From this call on, not only from its first turn, the client's bytes wait.
        """
        if self.can_be_let_go and not self.listens:
            self.let_go()
        elif self.needs_capture or (self.can_be_let_go and self.is_at_rest):
            return self.capture(then_park=True)
        return _done()

    def watch(self, is_watched: bool) -> None:
        """Whether its host wants to know of each safe point that it reaches."""
        if self._attachment is not None:
            relay = self._attachment.relay
            relay.at_safe_point = self._at_safe_point if is_watched else None

    def _at_safe_point(self) -> None:
        if self.state is State.ATTACHED:
            self._host.at_safe_point(self)

    def _part(self, attachment: Attachment) -> None:
        self._detach()
        self._enter(State.PARKED)
        attachment.hang_up()
        self._hearing.parted()
        self._waiting.consider()

    def _detach(self) -> None:
        """There is no backend any more; what comes from the client comes here."""
        assert self._exchange is self._state.exchange  # Walked to its end.
        self._attachment = None
        self._stream.sink = self._waiting

    def _await_idle_timeout(self) -> None:
        timeout_s = self._state.idle_session_timeout_s
        self._idle_timer.start(self.last_used, timeout_s, self._may_be_idle_for_too_long)

    def _may_be_idle_for_too_long(self) -> None:
        if self.is_captured and not self.is_busy and self._idle_timer.is_over(self.last_used):
            self.refuse(IdleSessionTimeout())

    # --- what the relay tells ---------------------------------------------------------

    def client_ended(self) -> None:
        self._waiting.has_ended = True
        if self._attachment is not None:
            self._attachment.stream.write_eof()

    def client_lost(self) -> None:
        self.end()

    def backend_ended(self) -> None:
        if self._attachment is not None:
            self._attachment.stream.close()

    def backend_lost(self) -> None:
        """The compute has ended this session, or has ended."""
        if self.state is not State.ATTACHED:
            return
        if self._exchange.is_over or self._waiting.has_ended:
            self.end()
        elif self.can_be_let_go:
            self._survive()
        elif self._state.fault:
            self.refuse(ProtocolViolation(self._state.fault))
        else:
            self._fail_over()

    def _fail_over(self) -> None:
        """Something was in flight, or a transaction open, or it is not known what it had."""
        endpoint, in_flight = self.identity.route.endpoint, not self._exchange.is_idle
        answer = TransactionLost(endpoint, in_flight=in_flight).as_report() + wire.ready_for_query()
        exchange = self._exchange
        match failover.judge(exchange, is_as_captured=self._state.is_as_captured):
            case failover.Aftermath.ANSWERED:
                self._exchange.abandoned()
                self._stream.write(answer)
                self._survive()
            case failover.Aftermath.OWED:
                self._exchange.abandoned()
                self._waiting.answer_next(answer)
                self._survive()
            case failover.Aftermath.ENDS:
                self.refuse(ComputeLost(endpoint, in_flight=in_flight))

    def _survive(self) -> None:
        if self._hearing.is_in_doubt:
            self.refuse(NotificationsMissed())
            return
        log.info("session_survives", extra=self.identity.log_keys)
        self.is_captured = True
        self._detach()
        self._stream.resume()
        self._enter(State.PARKED)
        self._hearing.parted()

    # --- the end ----------------------------------------------------------------------

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""
        if self.state is State.ENDED:
            return
        log.info("session_refused", extra={**self.identity.log_keys, "reason": refusal.reason})
        if self._exchange.is_between_server_messages:
            self._stream.write(refusal.as_report())
        self.end()

    def end(self) -> None:
        """Hang up on both sides. Again: nothing."""
        if self.state is State.ENDED:
            return
        self._enter(State.ENDED)
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()
        self._idle_timer.stop()
        self._hearing.end()
        if self._attachment is not None:
            self._attachment.hang_up()
        self._detach()
        self._stream.sink = NOBODY
        self._stream.close()

    def cancel(self) -> None:
        """Cancel what the session is running now; where it runs nothing: nothing."""
        if self.state is State.ATTACHED and not self._exchange.is_idle:
            assert self._attachment is not None
            self._host.cancel(self._attachment.backend)

    def _enter(self, state: State) -> None:
        before, self.state = self.state, state
        if {before, state} != {State.ATTACHED, State.CAPTURING}:
            self.since = monotonic()
        self._host.moved(self, before, state)

    def _warn(self, event: str, error: Exception) -> None:
        log.warning(event, extra={**self.identity.log_keys, "reason": str(error)})


async def _done() -> None:
    """Nothing is left to be awaited."""
