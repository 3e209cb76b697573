"""One client's session: parked without a compute, waiting for one, or attached to a backend.

While it is attached, bytes pass through :mod:`torpor_proxy.executor.relay` and not through here. In
every other state the session is itself the sink of its client: bytes are kept, bounded, and
are served in order once it is attached.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from time import monotonic
from typing import assert_never

from torpor_api.failures import Failure
from torpor_api.messages import SessionReport
from torpor_proxy.core import idle_words, parked, wire
from torpor_proxy.core.capture import Captured
from torpor_proxy.core.exchange import Exchange
from torpor_proxy.core.parameters import NOTHING_TOLD, parameters_of
from torpor_proxy.core.refusals import (
    CannotWake,
    ComputeLost,
    ProtocolViolation,
    Refusal,
    Refused,
    RestoreRefused,
)
from torpor_proxy.core.restore import RestoreFailed
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.core.wire import Severity
from torpor_proxy.executor import visit
from torpor_proxy.executor.arrival import Arrival
from torpor_proxy.executor.conversation import Backend, Conversation
from torpor_proxy.executor.host import Host, Identity, State
from torpor_proxy.executor.relay import Relay
from torpor_proxy.ports import NOBODY, Stream

log = logging.getLogger(__name__)

CAPTURE_AGAIN_SECONDS = 10.0
"""After a question that failed for a passing reason, like a lock on the server's catalog."""

ARRIVE_AGAIN_SECONDS = 0.05
"""After a compute was lost while a session was put back on it."""


class Session:
    """Bound to one client's stream for its whole life."""

    __slots__ = (
        "_backend",
        "_client_has_ended",
        "_host",
        "_pending",
        "_relay",
        "_state",
        "_stream",
        "_task",
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
        self._stream = stream
        self._host = host
        self._state = SessionState()
        self._relay: Relay | None = None
        """Of the attachment to the present backend."""
        self._backend: Backend | None = None
        self._pending: bytearray | None = None
        self._client_has_ended = False
        self._task: asyncio.Task[None] | None = None

    # --- what others ask --------------------------------------------------------------

    @property
    def is_busy(self) -> bool:
        """Whether it needs its compute now: a query, a transaction, or on its way to one."""
        if self.state is State.ATTACHED:
            return not self._exchange.is_safe or self._stream.is_full
        return self.state is State.WAITING or self._pending is not None

    @property
    def can_be_let_go(self) -> bool:
        return self.is_captured and not self._state.pins and not self.is_busy

    @property
    def has_backend(self) -> bool:
        return self._backend is not None

    @property
    def is_pinned(self) -> bool:
        return self.is_captured and bool(self._state.pins)

    @property
    def needs_capture(self) -> bool:
        if self.state is not State.ATTACHED or self.is_busy:
            return False
        return not self.is_captured or (
            self._state.pins.is_passing and monotonic() - self.since > CAPTURE_AGAIN_SECONDS
        )

    @property
    def _exchange(self) -> Exchange:
        """What client and server owe each other, up to the last byte."""
        return self._state.exchange if self._relay is None else self._relay.exchange()

    @property
    def queries(self) -> int:
        """Answered so far."""
        return self._exchange.queries

    def report(self, now: float) -> SessionReport | None:
        """Why it keeps its database awake, or None where it does not."""
        if not self.is_busy and not (self.is_captured and self._state.pins):
            return None
        return SessionReport(
            session=self.identity.number,
            user=self.identity.route.user,
            application=self._state.application,
            client=self.identity.client,
            reason=self._reason(),
            since_s=max(0.0, now - self.last_used),
        )

    def _reason(self) -> str:
        if self.state is State.WAITING:
            return "waits for the database"
        if self._pending is not None:
            return "is running a query"
        return self._state.why_kept(is_unread=self._stream.is_full)

    # --- the client's stream, while there is no relay ---------------------------------

    def received(self, data: bytes) -> None:
        if self._pending is None:
            self._pending = bytearray()
        self._pending += data
        if len(self._pending) > self._host.settings.pending_bytes_max:
            self._stream.pause()
        if self.state is State.PARKED:
            self._consider_pending()

    def ended(self) -> None:
        if self.state is State.PARKED:
            self.end()
        else:
            self._client_has_ended = True

    def lost(self) -> None:
        self.client_lost()

    def writable(self, may_write: bool) -> None:
        pass  # What the proxy itself says is short.

    def _consider_pending(self) -> None:
        """A parked session's client has spoken: is the database needed?"""
        assert self._pending is not None
        verdict = parked.judge(self._pending, answers_keepalives=self._host.answers_keepalives)
        match verdict:
            case parked.Incomplete():
                pass
            case parked.Broken(reason):
                self.refuse(ProtocolViolation(reason))
            case parked.Goodbye():
                self.end()
            case parked.Answered(answer):
                self._state.answered_here(self._pending)
                self._pending = None
                self._stream.write(answer)
            case parked.Needed():
                self.come_back()
            case _:
                assert_never(verdict)

    # --- attaching --------------------------------------------------------------------

    def come_back(self) -> None:
        """Begin to wait for a compute; the client's bytes are kept meanwhile."""
        assert self.state is State.PARKED
        self._enter(State.WAITING)
        self._stream.sink = self
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
            self.refuse(CannotWake(name, self._host.why_not()))
        except RestoreFailed as failed:
            self.refuse(RestoreRefused(failed.fields))
        except Exception:
            # A defect is that of one session: its client must not wait for ever.
            log.exception("session_defect", extra=self._log_keys)
            self.refuse(ComputeLost(name, in_flight=False))
        finally:
            notice.cancel()
            self._task = None

    async def _arrive(self) -> bool:
        """Once; whether the session is attached. Raises what ends it."""
        arrival = await self._host.arrive(self.identity, self._state.startup_defaults)
        # From here on end() sees to the backend.
        backend = self._backend = arrival.backend
        words = visit.OwnWords(backend.parameters)
        conversation = Conversation(backend.stream, words.heard)
        try:
            await self._put_back(conversation, backend)
        except visit.FAILED as error:
            log.warning("attach_failed", extra={**self._log_keys, "reason": str(error)})
            self._backend = None
            visit.hang_up(backend.stream)
            # The compute was lost in between; nothing of the client has passed.
            await asyncio.sleep(ARRIVE_AGAIN_SECONDS)
            return False
        self._attach(arrival, words, conversation)
        return True

    async def _put_back(self, conversation: Conversation, backend: Backend) -> None:
        """What the session had. Nothing of the client passes before this is done."""
        with_unnamed = not parked.replaces_unnamed(self._pending)
        encoding = dict(backend.parameters).get("server_encoding", "")
        wanted = self._state.to_restore(encoding, with_unnamed=with_unnamed)
        await visit.restore(conversation, wanted)
        self._state.broken = wanted.broken or None

    def _attach(self, arrival: Arrival, words: visit.OwnWords, conversation: Conversation) -> None:
        backend = arrival.backend
        is_first = self._state.parameters is NOTHING_TOLD
        self._stream.write(self._state.parameters.difference(words.parameters))
        self._state.parameters = parameters_of(words.parameters)
        if is_first:
            key = self.identity.key = self._host.new_key(self, backend.process_id)
            self._stream.write(wire.backend_key_data(*key) + wire.ready_for_query())
        self._enter(State.ATTACHED)
        relay = self._relay = Relay(self, self._state, self._stream, backend.stream)
        self.watch(self._host.waits_for_safe_points)
        conversation.hand_over(arrival.watched(relay.from_server))
        self._go_on(backend, relay)

    def _go_on(self, backend: Backend, relay: Relay) -> None:
        """Bytes pass through the relay from now on, those that waited first."""
        self._stream.sink = relay.from_client
        pending, self._pending = self._pending, None
        # Neither side has heard of what changed while the other's sink was another one.
        if self._stream.is_full:
            backend.stream.pause()
        if not backend.stream.is_full:
            self._stream.resume()
        if pending:
            self._stream.sink.received(bytes(pending))
        if self._client_has_ended:
            backend.stream.write_eof()
        if not backend.stream.is_open:
            self.backend_lost()

    def _tell_waiting(self) -> None:
        words = f'database "{self.identity.route.endpoint}" is being woken; please wait'
        self._stream.write(
            wire.report(Severity.NOTICE, "00000", words, detail=self._host.why_not().message)
        )

    # --- capturing and parking --------------------------------------------------------

    def capture(self, *, then_park: bool = False) -> Coroutine[None, None, None]:
        """Find out what it would lose. Only where ``needs_capture``; to be awaited.

        ``then_park``: let its backend go, where that loses nothing, before its client is heard.
        From this call on, not only from its first turn, the client's bytes wait.
        """
        backend, relay = self._backend, self._relay
        assert backend is not None and relay is not None and self.needs_capture
        self._enter(State.CAPTURING)
        self._stream.sink = self
        return self._capture(backend, relay, Conversation(backend.stream, self._heard), then_park)

    async def _capture(
        self, backend: Backend, relay: Relay, conversation: Conversation, then_park: bool
    ) -> None:
        found = await self._read_state(backend, conversation)
        if found is None or self.state is not State.CAPTURING:
            return
        self._state.captured(found)
        self.is_captured = True
        if then_park and not self._state.pins:
            self._part(backend)
            return
        self._enter(State.ATTACHED)
        conversation.hand_over(relay.from_server)
        self._go_on(backend, relay)

    async def _read_state(self, backend: Backend, conversation: Conversation) -> Captured | None:
        """None where the backend was lost instead."""
        route = self.identity.route
        cancels: list[asyncio.Future[None]] = []
        impatience = asyncio.create_task(self._cancel_late_capture(backend, cancels))
        try:
            catalogs = self._host.catalogs(route.database)
            found = await visit.read_state(conversation, route.user, self._state, catalogs)
        except visit.FAILED as error:
            if self.state is State.CAPTURING:
                log.warning("capture_failed", extra={**self._log_keys, "reason": str(error)})
                self._enter(State.ATTACHED)
                self.backend_lost()
            return None
        finally:
            impatience.cancel()
        if cancels:
            # One that is still on its way must not hit the client's next query.
            await asyncio.wait(cancels)
        return found

    async def _cancel_late_capture(
        self, backend: Backend, cancels: list[asyncio.Future[None]]
    ) -> None:
        """A question that waits for a lock would make the client wait; failing, it only pins."""
        while True:
            await asyncio.sleep(self._host.settings.capture_timeout_s)
            log.warning("capture_late", extra=self._log_keys)
            cancels.append(self._host.cancel(backend))

    def _heard(self, message: bytes) -> None:
        """Said by the server on its own account while it was being captured."""
        message = idle_words.for_client(message)
        self._exchange.server_sent(message, self._state.saw_parameter)
        self._stream.write(message)

    def let_go(self) -> None:
        """Park: hang up on the backend. Only where ``can_be_let_go``."""
        assert self._backend is not None and self.can_be_let_go
        self._part(self._backend)

    async def park(self) -> None:
        """Detach it, where that is possible now and loses nothing."""
        if self.can_be_let_go:
            self.let_go()
        elif self.needs_capture:
            await self.capture(then_park=True)

    def watch(self, is_watched: bool) -> None:
        """Whether its host wants to know of each safe point that it reaches."""
        if self._relay is not None:
            self._relay.at_safe_point = self._at_safe_point if is_watched else None

    def _at_safe_point(self) -> None:
        if self.state is State.ATTACHED:
            self._host.at_safe_point(self)

    def _part(self, backend: Backend) -> None:
        self._detach()
        self._enter(State.PARKED)
        visit.hang_up(backend.stream)
        if self._pending is not None:
            self._consider_pending()
        elif self._client_has_ended:
            self.end()

    def _detach(self) -> None:
        """There is no backend any more; what comes from the client comes here."""
        assert self._exchange is self._state.exchange  # Walked to its end.
        self._backend = self._relay = None
        self._stream.sink = self

    # --- what the relay tells ---------------------------------------------------------

    def client_ended(self) -> None:
        self._client_has_ended = True
        if self._backend is not None:
            self._backend.stream.write_eof()

    def client_lost(self) -> None:
        self.end()

    def backend_ended(self) -> None:
        if self._backend is not None:
            self._backend.stream.close()

    def backend_lost(self) -> None:
        """The compute has ended this session, or has ended."""
        if self.state is not State.ATTACHED:
            return
        is_expected = self._exchange.is_over or self._client_has_ended
        if self.can_be_let_go and not is_expected:
            log.info("session_survives", extra=self._log_keys)
            self._detach()
            self._stream.resume()
            self._enter(State.PARKED)
        elif is_expected:
            self.end()
        elif self._state.fault:
            self.refuse(ProtocolViolation(self._state.fault))
        else:
            endpoint = self.identity.route.endpoint
            self.refuse(ComputeLost(endpoint, in_flight=not self._exchange.is_idle))

    # --- the end ----------------------------------------------------------------------

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""
        if self.state is State.ENDED:
            return
        log.info("session_refused", extra={**self._log_keys, "reason": refusal.reason})
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
        if self._backend is not None:
            visit.hang_up(self._backend.stream)
        self._detach()
        self._stream.sink = NOBODY
        self._stream.close()

    def cancel(self) -> None:
        """Cancel what the session is running now; where it runs nothing: nothing."""
        if self.state is State.ATTACHED and not self._exchange.is_idle:
            assert self._backend is not None
            self._host.cancel(self._backend)

    def _enter(self, state: State) -> None:
        before, self.state = self.state, state
        self.since = monotonic()
        self._host.moved(self, before, state)

    @property
    def _log_keys(self) -> dict[str, object]:
        return {"endpoint": self.identity.route.endpoint, "session": self.identity.number}
