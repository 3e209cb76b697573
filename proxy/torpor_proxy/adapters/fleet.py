"""The autoscaler, over the control channel; and the agents of awake databases, for their roles."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol, TypeVar

from torpor_api import messages as m
from torpor_api.facts import RoleFacts
from torpor_api.failures import Failure, NotFound
from torpor_channel.address import Address, parse_address
from torpor_channel.client import Link, dial
from torpor_channel.peer import ConnectionLost, Handlers, Peer
from torpor_channel.tls import AUTOSCALER, COMPUTE, Identity, Trust

ReplyT = TypeVar("ReplyT", bound=m.Message)

log = logging.getLogger(__name__)

REGISTER_SECONDS_MAX = 30.0
"""For the first page of endpoints: an autoscaler that has just started knows them only when it has
read who may log in where."""

PAGE_SECONDS_MAX = 10.0
"""For each further one, of a mebibyte."""

SWITCHOVER_SECONDS_MAX = 90.0
"""For what follows once the sessions are parked; the autoscaler gives up before."""

LAST_WORD_SECONDS_MAX = 1.0
"""To be heard at the end, which takes a millisecond; unheard we count for a while as lost."""

WAKE_RETRY_SECONDS = 0.02
"""Until the link has noticed that its connection is gone, and looks for another one."""

AGENTS_MAX = 1000
"""Connections to agents that are kept; beyond it the one that was used least recently is closed."""


class Told(Protocol):
    """Takes what the autoscaler says."""

    def told(self, info: m.EndpointInfo) -> None:
        """A database is new or has changed, or there is another one under its name."""

    def listed(self, info: m.EndpointInfo) -> None:
        """As an autoscaler knows it that has just taken us up."""

    def removed(self, name: str) -> None:
        """A database is gone."""

    def keep_only(self, names: Sequence[str], unheard: Collection[str]) -> None:
        """All that there are."""

    async def close_gate(self, asked: m.CloseGate) -> m.GateClosed:
        """Raises Busy or another Failure."""

    def open_gate(self, asked: m.OpenGate) -> None:
        """Let sessions attach again."""

    async def stop_listening(self, asked: m.StopListening) -> m.ListeningStopped:
        """Raises Busy or another Failure."""

    async def start_listening(self, asked: m.StartListening) -> None:
        """Raises a Failure where those that are to be heard for are not."""

    def used_elsewhere(self, event: m.UsedElsewhere) -> None:
        """A database, by sessions of another proxy."""

    def last_use(self, asked: m.AskLastUse) -> m.LastUse:
        """Of a database by sessions of this proxy."""

    def list_sessions(self, asked: m.ListSessions) -> m.SessionList:
        """Every session of a database, or of all. Raises NotFound."""

    def end_session(self, asked: m.EndSession) -> None:
        """One of this proxy's. Raises NotFound."""

    async def cancel(self, process_id: int, secret: bytes) -> bool:
        """Cancel what the session of that key runs; whether there is one here."""


class ChannelFleet:
    """One link to the autoscaler, made again whenever it is lost."""

    def __init__(
        self,
        address: Address,
        name: str = f"proxy-{os.getpid()}",
        identity: Identity | None = None,
    ) -> None:
        """``name``: no other proxy's. ``identity``: for an autoscaler and agents on a network."""
        self.name = name
        self._link: Link | None = None
        self._address = address
        self._identity = identity
        self._agents: dict[str, Peer] = {}
        self._there: set[str] = set()
        """Databases heard of since the connection was made: once all are listed, there are no
        others."""
        self._unheard: tuple[str, ...] = ()
        self._closed_meanwhile: set[str] = set()
        self._is_listed = asyncio.Event()

    def start(self, hearer: Told) -> None:
        """From now on the autoscaler is listened to."""

        async def register(peer: Peer) -> None:
            self._there, self._closed_meanwhile = set(), set()
            self._is_listed.clear()
            request = m.RegisterProxy(proxy=self.name)
            page = await peer.ask(request, timeout_s=REGISTER_SECONDS_MAX)
            while last := self._take_in(hearer, page):
                page = await peer.ask(m.MoreEndpoints(after=last), timeout_s=PAGE_SECONDS_MAX)
            hearer.keep_only(tuple(self._there), self._unheard)
            self._is_listed.set()

        handlers = {**self._events(hearer), **self._gates(hearer), **self._questions(hearer)}
        # On a network another one takes over from an autoscaler that is silent.
        pulse = None if self._identity is None else m.HaveHeard()
        self._link = Link(self._address, handlers, register, self._trust(AUTOSCALER), pulse)
        self._link.start()

    def _take_in(self, hearer: Told, page: m.Endpoints) -> str:
        """The name behind which the next page begins; empty: there is none.

        Answers and events come in the order in which they were told, so the last word counts.
        """
        self._unheard = page.unheard
        names = [*(info.name for info in page.endpoints), *page.unknown]
        self._there.update(names)
        for info in page.endpoints:
            hearer.listed(info)
            if info.address is not None and info.name not in self._closed_meanwhile:
                # Whoever closed its gate may have died; a gate that is closed has none.
                hearer.open_gate(m.OpenGate(name=info.name, epoch=info.epoch))
        return max(names, default="") if page.has_more else ""

    def _events(self, hearer: Told) -> Handlers:
        async def changed(_: Peer, event: m.EndpointChanged) -> None:
            self._there.add(event.endpoint.name)
            hearer.told(event.endpoint)

        async def removed(_: Peer, event: m.EndpointRemoved) -> None:
            self._there.discard(event.name)
            hearer.removed(event.name)

        async def used_elsewhere(_: Peer, event: m.UsedElsewhere) -> None:
            if event.proxy != self.name:
                hearer.used_elsewhere(event)

        return {
            m.EndpointChanged: changed,
            m.EndpointRemoved: removed,
            m.UsedElsewhere: used_elsewhere,
        }

    def _gates(self, hearer: Told) -> Handlers:
        async def close_gate(_: Peer, asked: m.CloseGate) -> m.GateClosed:
            self._closed_meanwhile.add(asked.name)
            return await self._of_listed(hearer.close_gate(asked), m.GateClosed(parked=0))

        async def open_gate(_: Peer, asked: m.OpenGate) -> m.Done:
            hearer.open_gate(asked)
            return m.Done()

        async def stop_listening(_: Peer, asked: m.StopListening) -> m.ListeningStopped:
            nobody = m.ListeningStopped(listens=False)
            return await self._of_listed(hearer.stop_listening(asked), nobody)

        async def start_listening(_: Peer, asked: m.StartListening) -> m.Done:
            await hearer.start_listening(asked)
            return m.Done()

        return {
            m.CloseGate: close_gate,
            m.OpenGate: open_gate,
            m.StopListening: stop_listening,
            m.StartListening: start_listening,
        }

    async def _of_listed(self, answer: Awaitable[ReplyT], of_nobody: ReplyT) -> ReplyT:
        """``of_nobody``: of a database that a proxy which has just begun has not heard of yet, and
        has no session of. It will hear of it as it is then, its gate closed or not."""
        try:
            return await answer
        except NotFound:
            if self._is_listed.is_set():
                raise
            return of_nobody

    def _questions(self, hearer: Told) -> Handlers:
        async def last_use(_: Peer, asked: m.AskLastUse) -> m.LastUse:
            return hearer.last_use(asked)

        async def list_sessions(_: Peer, asked: m.ListSessions) -> m.SessionList:
            return hearer.list_sessions(asked)

        async def end_session(_: Peer, asked: m.EndSession) -> m.Done:
            hearer.end_session(asked)
            return m.Done()

        async def cancel(_: Peer, asked: m.CancelQuery) -> m.Cancelled:
            secret = bytes.fromhex(asked.secret)
            return m.Cancelled(is_known=await hearer.cancel(asked.process_id, secret))

        async def have_heard(_: Peer, asked: m.HaveHeard) -> m.Done:
            # What was told before it has been heard before it; what there was before that, once
            # all of it is listed.
            await self._is_listed.wait()
            return m.Done()

        return {
            m.AskLastUse: last_use,
            m.ListSessions: list_sessions,
            m.EndSession: end_session,
            m.CancelQuery: cancel,
            m.HaveHeard: have_heard,
        }

    async def ready(self, *, timeout_s: float) -> None:
        """Wait until all endpoints are known. Raises Unavailable."""
        await self._linked.ready(timeout_s=timeout_s)

    async def leave(self, used: Sequence[m.DatabaseUse]) -> None:
        """The last word: no session is left here, and none will come. Never raises.

        An autoscaler of a release that does not know the word passes over it.
        """
        request = m.ForgetProxy(proxy=self.name, used=tuple(used))
        try:
            await self._linked.ask(request, timeout_s=LAST_WORD_SECONDS_MAX)
        except Failure as failure:
            log.info("last_word_unheard", extra={"reason": failure.message})

    async def close(self) -> None:
        """Hang up on everybody."""
        await self._linked.close()
        await asyncio.gather(*(peer.close() for peer in self._agents.values()))

    async def wake(self, name: str, cause: str, lost_epoch: int, *, timeout_s: float) -> m.Awake:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        request = m.Wake(name=name, cause=cause, lost_epoch=lost_epoch)
        while True:
            try:
                return await self._linked.ask(request, timeout_s=deadline - loop.time())
            except ConnectionLost:
                # The autoscaler has ended; its successor is asked, which does no harm.
                if loop.time() >= deadline:
                    raise
                await asyncio.sleep(WAKE_RETRY_SECONDS)

    async def role(
        self, address: m.ComputeAddress, role: str, *, timeout_s: float
    ) -> RoleFacts | None:
        agent = await self._agent(address.agent)
        reply = await agent.ask(
            m.AskRoleFacts(role=role, compute=address.compute), timeout_s=timeout_s
        )
        return reply.role

    async def switch_over(self, name: str, *, patience_s: float) -> None:
        request = m.Switchover(name=name, patience_s=patience_s)
        await self._linked.ask(request, timeout_s=patience_s + SWITCHOVER_SECONDS_MAX)

    async def cancel(self, process_id: int, secret: bytes, *, timeout_s: float) -> bool:
        request = m.CancelQuery(process_id=process_id, secret=secret.hex())
        return (await self._linked.ask(request, timeout_s=timeout_s)).is_known

    async def ask(self, request: m.Request[ReplyT], *, timeout_s: float) -> ReplyT:
        return await self._linked.ask(request, timeout_s=timeout_s)

    async def last_use(self, name: str, *, timeout_s: float) -> m.LastUse:
        request = m.AskLastUse(name=name, proxy=self.name)
        return await self._linked.ask(request, timeout_s=timeout_s)

    def report(self, samples: Sequence[m.EndpointSample]) -> None:
        self._linked.tell(m.ProxySample(proxy=self.name, samples=tuple(samples)))

    def resume_seen(self, seen: m.ResumeSeen) -> None:
        self._linked.tell(seen)

    @property
    def _linked(self) -> Link:
        assert self._link is not None, "not started"
        return self._link

    def _trust(self, name: str) -> Trust | None:
        return None if self._identity is None else Trust(self._identity, name)

    def _kept(self, address: str) -> Peer | None:
        peer = self._agents.get(address)
        return None if peer is None or peer.closed.is_set() else peer

    async def _agent(self, address: str) -> Peer:
        """The kept connection to an agent, or a new one. Raises Unavailable."""
        peer = self._kept(address)
        if peer is None:
            dialled = await dial(parse_address(address), {}, self._trust(COMPUTE))
            # Somebody else may have dialled meanwhile, and may be asking over that one.
            peer = self._kept(address) or dialled
            if peer is not dialled:
                await dialled.close()
        self._agents.pop(address, None)
        self._agents[address] = peer
        gone = [key for key, kept in self._agents.items() if kept.closed.is_set()]
        for key in gone or list(self._agents)[:-AGENTS_MAX]:
            if (unused := self._agents.pop(key, None)) is not None:
                await unused.close()
        return peer
