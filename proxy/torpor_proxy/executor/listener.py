"""Hears for parked sessions: one connection for all sessions of one database and one encoding.

What it guards: a parked session hears what it would hear if it were attached. So the listener
listens before a session lets its backend go, and on a fresh compute before anybody may attach.
Its connection can be lost all the same. Then those members are still sure to have heard everything
whose database nobody has used since they were; the others may have missed something, are told so,
and end.

There may be other proxies, whose sessions notify as well. Before a sleep all of them park their
sessions, and only then do the listeners let go: their members are *at rest*. That nobody has
attached to the next compute before they listen there is for the autoscaler to say; if it does not,
and after a loss, they are in *doubt* until the other proxies were asked.

Of one encoding, because Postgres converts what it says for each connection, as it would for the
session's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from time import monotonic

from torpor_proxy.core import listening, wire
from torpor_proxy.core.cut import notification_of
from torpor_proxy.core.held import CUT_CHANNEL
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.refusals import AttachRefused, NotificationsMissed
from torpor_proxy.executor.conversation import Backend, Conversation, Messages, ServerRefused
from torpor_proxy.executor.member import Member
from torpor_proxy.executor.visit import hang_up
from torpor_proxy.ports import BackendLost, Stream

log = logging.getLogger(__name__)

STALE_CHANNELS_MAX = 100
"""Channels that no member needs any more; Postgres looks through all of them for each
notification."""

PASSING = ("53300", "57P03")
"""Too many connections, and starting or shutting down: another time it may work."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a listener needs of its endpoint."""

    name: str
    """Of the endpoint."""
    connect: Callable[[int, str, str, Pairs], Awaitable[Backend]]
    """To the compute of an epoch, as a role, to a database within it. Raises ServerRefused, or
    BackendLost."""
    is_open: Callable[[int], bool]
    """Whether sessions may attach to the compute of that epoch."""
    used_at: Callable[[str], float]
    """When a session of that database may last have notified, as far as is known here."""
    others_used_at: Callable[[], Awaitable[float]]
    """The same of the sessions of other proxies, which are asked."""
    told_as: Mapping[int, int]
    """By the process id of a backend: that which the client of its session was told."""
    start: Callable[[Coroutine[None, None, None]], object]
    """A task of the endpoint's."""


class _WatchedConversation(Conversation):
    """Tells when the connection is lost, though nobody waits for an answer."""

    __slots__ = ("_on_lost",)

    def __init__(
        self, stream: Stream, on_own_words: Callable[[bytes], None], on_lost: Callable[[], None]
    ) -> None:
        super().__init__(stream, on_own_words)
        self._on_lost = on_lost

    def lost(self) -> None:
        super().lost()
        self._on_lost()


class Listener:
    """Of one database within an endpoint, and one encoding."""

    def __init__(self, dbname: str, encoding: str, surroundings: Surroundings) -> None:
        self.members: set[Member] = set()
        self.needed_at = monotonic()
        """When it last had a member."""
        self._dbname = dbname
        self._encoding = encoding
        self._endpoint = surroundings
        self._turn = asyncio.Lock()
        """To connect, and to talk."""
        self._backend: Backend | None = None
        self._conversation: Conversation | None = None
        self._unheard: set[Member] = set()
        self._at_rest: set[Member] = set()
        """Those that knew everything when all gates had closed."""
        self._doubted: set[Member] = set()
        """Those that may have missed what sessions of other proxies have notified."""
        self._awaiting: set[Member] = set()
        """Those that wait for a mark."""
        self._names: dict[bytes, bytes] = {}
        """Of the channels that are listened on: in UTF-8, and as the connection spells them."""
        self._by_name: dict[bytes, set[Member]] = {}
        self._sure_until = 0.0

    @property
    def log_keys(self) -> dict[str, object]:
        """What each line about it in the log has."""
        return {"database": self._endpoint.name, "dbname": self._dbname}

    @property
    def is_connected(self) -> bool:
        return self._backend is not None

    def is_ready(self, epoch: int) -> bool:
        """Whether its members hear whatever is notified on that compute."""
        if not self.members:
            return True
        is_connected = self._backend is not None and self._backend.epoch == epoch
        return is_connected and not (self._unheard or self._at_rest or self._doubted)

    @property
    def is_talking(self) -> bool:
        return self._turn.locked()

    @property
    def is_behind(self) -> bool:
        """Whether its members may have missed something if it were lost now."""
        return self.is_connected and self._endpoint.used_at(self._dbname) > self._sure_until

    # --- members ----------------------------------------------------------------------

    def add(self, member: Member) -> None:
        """It is heard for as soon as the listener is ready."""
        member.awaiting = self._awaiting
        self.members.add(member)
        self._unheard.add(member)
        if not member.is_leaving:
            self._doubted.add(member)

    def remove(self, member: Member) -> None:
        """It hears for itself, or has ended."""
        for group in (self.members, self._unheard, self._at_rest, self._doubted, self._awaiting):
            group.discard(member)
        for name in [self._names.get(channel, b"") for channel in member.channels]:
            heard_by = self._by_name.get(name, set())
            heard_by.discard(member)
            if not heard_by:
                self._by_name.pop(name, None)
        self.needed_at = monotonic()

    # --- the connection ---------------------------------------------------------------

    async def make_ready(self, epoch: int, *, behind_gate: bool = False) -> None:
        """Raises BackendLost, or ServerRefused where that may pass.

        Where the gate has closed, or moved on, nothing is done: nobody may attach there. Only
        ``behind_gate``, for sessions that are there still or not yet, it is done all the same.
        """
        async with self._turn:
            is_open = self._endpoint.is_open(epoch)
            if not behind_gate and not is_open:
                return
            if is_open:
                # Nobody has said that it was opened: it did so by itself.
                self._doubt(self._at_rest)
            if self._backend is not None and self._backend.epoch != epoch:
                self.hang_up()
            if self.members and self._backend is None:
                await self._connect(epoch)
            while self._unheard and self._backend is not None:
                await self._listen(list(self._unheard))
            if self._doubted and self._backend is not None:
                await self._judge()

    async def _judge(self) -> None:
        """Everything is heard by now; has a session of another proxy notified before?"""
        heard = self._doubted - self._unheard
        at = await self._endpoint.others_used_at()
        for member in heard & self._doubted - self._unheard:
            self._doubted.discard(member)
            if at > member.sure_until:
                member.session.refuse(NotificationsMissed())

    def _doubt(self, members: set[Member]) -> None:
        self._doubted |= members
        self._at_rest = self._at_rest - members

    def opened(self, epoch: int, *, is_in_time: bool) -> None:
        """Sessions may attach to that compute. ``is_in_time``: they could not before those of this
        proxy that are heard were."""
        self._doubt(self._at_rest & self._unheard if is_in_time else self._at_rest)
        self._at_rest = set()
        if not self.is_ready(epoch):
            self._endpoint.start(self._return(epoch))

    async def rest(self) -> None:
        """Nobody can notify any more: what was is told, and the connection let go."""
        at_rest = set[Member]()
        with contextlib.suppress(BackendLost, ServerRefused):
            await self.hear_out()
            at_rest = self.members - self._unheard - self._doubted
        self.hang_up()
        self._at_rest |= at_rest
        self._doubted -= at_rest

    async def hear_out(self) -> None:
        """Until everything that was notified before is told. Raises BackendLost."""
        async with self._turn:
            if self._backend is None:
                return
            now = monotonic()
            await self._ask(wire.SYNC)
            self._sure_until = now
            for member in self.members - self._unheard:
                member.sure_until = max(member.sure_until, now)

    def hang_up(self) -> None:
        """Who is heard for by it is in doubt, unless nobody notifies any more."""
        backend = self._forget()
        if backend is not None:
            hang_up(backend.stream)

    async def _connect(self, epoch: int) -> None:
        """As any of its members: whoever may log in may listen."""
        parameters = (*listening.PARAMETERS, ("client_encoding", self._encoding))
        refused: ServerRefused | None = None
        for user in sorted({member.session.route.user for member in self.members}):
            try:
                backend = await self._endpoint.connect(epoch, user, self._dbname, parameters)
            except ServerRefused as error:
                if error.sqlstate in PASSING and not error.is_of_a_limit:
                    raise
                refused = error
            else:
                self._backend = backend
                self._conversation = _WatchedConversation(backend.stream, self._heard, self._lost)
                return
        assert refused is not None
        for member in list(self.members):
            if not member.is_leaving:
                # Nobody can hear for it, and it would be told the same when it attaches.
                member.session.refuse(AttachRefused(refused.fields))
        if self.members:
            raise refused  # Those that are leaving have a backend yet, and keep it.

    async def _ask(self, question: bytes, readies: int = 1) -> Messages:
        if self._conversation is None or self._backend is None or not self._backend.stream.is_open:
            raise BackendLost("the common listener was lost")
        try:
            return await self._conversation.ask(question, readies)
        except asyncio.CancelledError:
            # The rest of the answer would be taken for that to the next question.
            self.hang_up()
            raise

    # --- listening --------------------------------------------------------------------

    async def _listen(self, members: list[Member]) -> None:
        assert self._backend is not None
        wanted = {channel for member in members for channel in member.channels}
        encoding = dict(self._backend.parameters).get("server_encoding", "")
        question = listening.listen(wanted - self._names.keys(), self._stale(), encoding)
        answer = await self._ask(question, listening.LISTEN_ANSWERS)
        if error := listening.error_of(answer):
            await self._sort_out(members, error)
            return
        self._names = listening.names_of(answer)
        used_at = self._endpoint.used_at(self._dbname)
        for member in members:
            if member in self._unheard:
                self._unheard.discard(member)
                self._admit(member, used_at)

    async def _sort_out(self, members: list[Member], error: dict[str, str]) -> None:
        """A channel can't be listened on: whose is it?"""
        if len(members) > 1:
            for member in members:
                await self._listen([member])
            return
        (member,) = members
        self.remove(member)
        if not member.is_leaving:
            member.session.refuse(AttachRefused(error))

    def _admit(self, member: Member, used_at: float) -> None:
        """Listened for from now on; was nothing missed before?"""
        if member in self._doubted and used_at > member.sure_until:
            member.session.refuse(NotificationsMissed())
            return
        for channel in member.channels:
            self._by_name.setdefault(self._names[channel], set()).add(member)
        member.found()

    def _stale(self) -> list[bytes]:
        needed = {channel for member in self.members for channel in member.channels}
        stale = self._names.keys() - needed - {CUT_CHANNEL}
        return list(stale) if len(stale) > STALE_CHANNELS_MAX else []

    # --- what is heard ----------------------------------------------------------------

    def _heard(self, message: bytes) -> None:
        if not message.startswith(b"A"):
            return  # Its parameters are nobody's, and its end is told by the connection.
        said = notification_of(message)
        is_mark = said.channel == CUT_CHANNEL
        members = self._awaiting if is_mark else self._by_name.get(said.channel, ())
        for member in list(members):
            member.common(said)

    def _lost(self) -> None:
        """Its members may have missed something; that is judged when it listens again."""
        backend = self._forget()
        if backend is not None and self.members:
            extra = {**self.log_keys, "epoch": backend.epoch, "members": len(self.members)}
            log.warning("listener_lost", extra=extra)
            self._endpoint.start(self._return(backend.epoch))

    async def _return(self, epoch: int) -> None:
        try:
            await self.make_ready(epoch)
        except (BackendLost, ServerRefused) as error:
            # Nobody attaches before somebody has tried again.
            extra = {**self.log_keys, "epoch": epoch, "reason": str(error)}
            log.info("listener_waits", extra=extra)

    def _forget(self) -> Backend | None:
        backend, self._backend, self._conversation = self._backend, None, None
        self._names.clear()
        self._by_name.clear()
        for member in list(self.members):
            member.lost()
            if member.is_leaving:
                self.members.discard(member)
            else:
                self._unheard.add(member)
        self._unheard &= self.members
        self._doubt(self.members - self._at_rest)
        return backend
