"""A session's time on one backend: it is put back on it, relayed over it, and captured from it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import TypeVar

from torpor_proxy.core.aside import SUBTRANSACTION, TRANSACTION
from torpor_proxy.core.broken import mentioned
from torpor_proxy.core.capture import Captured
from torpor_proxy.core.exchange import IDLE
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.restore import LeftOut
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.executor import visit
from torpor_proxy.executor.conversation import Backend, Conversation
from torpor_proxy.executor.guard import GuardedClient, GuardedServer
from torpor_proxy.executor.host import Identity
from torpor_proxy.executor.relay import Relay, RelayedSession
from torpor_proxy.executor.visit import Catalogs
from torpor_proxy.ports import Sink, Stream

log = logging.getLogger(__name__)

Found = TypeVar("Found")


class Attachment:
    """Ends when the session lets its backend go, or loses it."""

    __slots__ = ("_conversation", "_guard", "_state", "backend", "relay")

    def __init__(
        self,
        session: RelayedSession,
        state: SessionState,
        client: Stream,
        backend: Backend,
        tally: Tally,
        told_as: Mapping[int, int],
    ) -> None:
        self.backend = backend
        self.relay = Relay(session, state, client, backend.stream, tally, told_as)
        self._state = state
        self._conversation: Conversation | None = None
        self._guard: GuardedServer | None = None

    @property
    def stream(self) -> Stream:
        """To the backend."""
        return self.backend.stream

    async def put_back(
        self, takes: Callable[[bytes], bool], mark: str, *, with_unnamed: bool
    ) -> tuple[Pairs, dict[bytes, LeftOut]]:
        """Give the backend what the session had; what it reports by now, and which settings could
        not be put back, with the reason.

        ``mark``: sent to whoever listens, once the session does; ``takes`` its notifications.
        Nothing of the client may pass before. Raises RestoreFailed, or one of ``visit.FAILED``.
        """
        words = visit.OwnWords(self.backend.parameters, takes)
        self._conversation = Conversation(self.stream, words.heard)
        wanted = self._state.to_restore(self._encoding, with_unnamed=with_unnamed)
        wanted.cut = mark
        await visit.restore(self._conversation, wanted)
        self._state.put_back(wanted)
        return words.parameters, wanted.left_out

    @property
    def _encoding(self) -> str:
        """In which texts are sent: that of the server where it converts nothing."""
        encoding = dict(self.backend.parameters).get("server_encoding", "")
        return "SQL_ASCII" if encoding == "SQL_ASCII" else "UTF8"

    def sinks(self, repair: Callable[[bytes], None]) -> tuple[Sink, Sink]:
        """Of the client's stream and of the backend's."""
        if self._state.broken is None:
            return self.relay.from_client, self.relay.from_server
        self._guard = GuardedServer(self.relay, self._state)
        return GuardedClient(self.relay, self._state, repair), self._guard

    async def repair(self, pending: bytes) -> None:
        """Try once more what could not be put back and what ``pending`` may use, which are the
        client's next messages. Raises one of ``visit.FAILED``.
        """
        state = self._state
        wanted = state.to_restore(self._encoding, with_unnamed=True)
        wanted.broken = dict(state.broken or {})
        frame = TRANSACTION if state.exchange.status == IDLE else SUBTRANSACTION
        used = mentioned(pending, wanted.broken)
        await visit.restore_again(self._visit, wanted, frame, used)
        state.broken = wanted.broken or None

    def begin_visit(self, heard: Callable[[bytes], None]) -> None:
        """From now on the proxy talks with the backend, and not the client.

        ``heard``: takes what the server says on its own account meanwhile.
        """
        self._conversation = Conversation(self.stream, heard)
        # It is held up while its client has not read an answer: what is asked now is another's.
        self.stream.resume()
        if self._guard is not None:
            guard, self._guard = self._guard, None
            self._conversation.received(guard.take())

    async def read_state(
        self, identity: Identity, catalogs: Catalogs, patience_s: float, cancel: Cancel
    ) -> Captured:
        """What the session would lose. Raises one of ``visit.FAILED``; no other harm is done."""

        def read() -> Coroutine[None, None, tuple[Captured, bool]]:
            user = identity.route.user
            work = visit.read_state(self._visit, user, self._state, catalogs, self._encoding)
            return self._patiently(work, identity, patience_s, cancel)

        found, was_cancelled = await read()
        if found.was_cut_short and not was_cancelled and not self._state.is_hurried:
            self._state.is_hurried = True
            found, _ = await read()
        return found

    async def leave(self, mark: str, identity: Identity, patience_s: float, cancel: Cancel) -> str:
        """Send the mark to whoever listens; or why it was not. Raises one of ``visit.FAILED``."""
        work = visit.leave(self._visit, mark)
        words, _ = await self._patiently(work, identity, patience_s, cancel)
        return words

    async def remain(self) -> None:
        """After ``leave``: the session stays. Raises one of ``visit.FAILED``."""
        await visit.remain(self._visit)

    @property
    def _visit(self) -> Conversation:
        assert self._conversation is not None, "begin_visit comes before"
        return self._conversation

    async def _patiently(
        self,
        work: Coroutine[None, None, Found],
        identity: Identity,
        patience_s: float,
        cancel: Cancel,
    ) -> tuple[Found, bool]:
        """With whether it took so long that it was cancelled."""
        cancels: list[asyncio.Future[None]] = []
        impatience = asyncio.create_task(self._cancel_late(identity, patience_s, cancel, cancels))
        try:
            return await work, bool(cancels)
        finally:
            impatience.cancel()
            if cancels:
                # One that is still on its way must not hit the client's next query.
                await asyncio.wait(cancels)

    async def _cancel_late(
        self,
        identity: Identity,
        patience_s: float,
        cancel: Cancel,
        cancels: list[asyncio.Future[None]],
    ) -> None:
        """A question that waits for a lock would make the client wait; failing, it only pins."""
        while True:
            await asyncio.sleep(patience_s)
            log.warning("capture_late", extra=identity.log_keys)
            cancels.append(cancel(self.backend))

    def end_visit(self, sink: Sink) -> None:
        """The talk is over: ``sink`` takes what the backend says, what came already first."""
        conversation, self._conversation = self._conversation, None
        assert conversation is not None
        conversation.hand_over(sink)

    def hang_up(self) -> None:
        """As a client does that is done."""
        visit.hang_up(self.stream)


Cancel = Callable[[Backend], "asyncio.Future[None]"]
"""Asks the compute to cancel what a backend runs; done once the signal is sent."""
