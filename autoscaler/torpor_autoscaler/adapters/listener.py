"""What proxies and people ask the autoscaler, on its own socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from torpor_api import messages as m
from torpor_api.failures import InvalidRequest
from torpor_autoscaler.adapters.proxies import ChannelProxies
from torpor_autoscaler.ports import FleetDesk, PeopleDesk, ProxyDesk
from torpor_channel.address import Address
from torpor_channel.admission import Admission, Rights
from torpor_channel.peer import Peer
from torpor_channel.server import Server
from torpor_channel.tls import CLIENT, OPERATOR, PROXY, Identity

_Messages = frozenset[type[m.Message]]

_Handlers = dict[type[m.Message], Callable[[Peer, Any], Awaitable[Any]]]

_OF_CONSOLE: _Messages = frozenset(
    {
        *(m.Wake, m.Suspend, m.Switchover, m.Resize),
        *(m.Sessions, m.Why, m.AskDecisions),
        *(m.AskFleet, m.AskComputes, m.AskTransitions),
    }
)
"""Asked by a proxy for whoever has logged in to its operator console, who is judged there. It adds
little to what a proxy could misuse: every session and every wake of every database goes through it,
so that it is trusted with them all."""

_OF_PROXIES: _Messages = _OF_CONSOLE | {
    *(m.RegisterProxy, m.MoreEndpoints, m.Wake, m.ProxySample, m.ResumeSeen),
    *(m.ForgetProxy, m.CancelQuery, m.AskLastUse, m.Switchover, m.HaveHeard),
}
"""A switchover is also asked for by a proxy that tries everybody's sessions out (chaos mode)."""

_OF_PEOPLE: _Messages = frozenset(
    {
        *(m.Wake, m.Suspend, m.AwaitKnown, m.Switchover, m.Resize),
        *(m.Sessions, m.EndSession, m.Why, m.AskDecisions, m.AskUses),
        *(m.AskFleet, m.AskNames, m.AskComputes, m.AskTransitions, m.AskDashboard),
    }
)

_OF_OPERATOR: _Messages = _OF_PEOPLE | {m.AskLetGo}

RIGHTS: Rights = {PROXY: _OF_PROXIES, OPERATOR: _OF_OPERATOR, CLIENT: _OF_PEOPLE}
"""Who may ask what, on a network."""


class Listener:
    """One server for both: their questions differ, their sockets need not."""

    def __init__(
        self,
        desk: ProxyDesk,
        people: PeopleDesk,
        overview: FleetDesk,
        proxies: ChannelProxies,
        identity: Identity | None = None,
    ) -> None:
        """``identity``: to listen on a network with."""
        self._desk = desk
        self._people = people
        self._overview = overview
        self._proxies = proxies
        self._watches: set[asyncio.Task[None]] = set()
        admission = None if identity is None else Admission(identity, RIGHTS)
        answers = self._of_proxies() | self._of_people() | self._of_fleet()
        self._server = Server(answers, admission)

    async def listen(self, address: Address) -> None:
        await self._server.listen(address)

    async def close(self) -> None:
        await self._server.close()
        for watch in list(self._watches):
            watch.cancel()
        await asyncio.gather(*self._watches, return_exceptions=True)

    def _of_proxies(self) -> _Handlers:
        desk = self._desk

        async def wake(_: Peer, asked: m.Wake) -> m.Awake:
            return await desk.wake(asked)

        async def more(_: Peer, asked: m.MoreEndpoints) -> m.Endpoints:
            # As in _register: nothing may be awaited.
            return desk.more_endpoints(asked.after)

        async def sampled(_: Peer, event: m.ProxySample) -> None:
            desk.proxy_sampled(event)

        async def seen(_: Peer, event: m.ResumeSeen) -> None:
            desk.resume_seen(event)

        async def have_heard(_: Peer, asked: m.HaveHeard) -> m.Done:
            return m.Done()

        async def cancel(_: Peer, asked: m.CancelQuery) -> m.Cancelled:
            return await desk.cancel(asked)

        async def last_use(_: Peer, asked: m.AskLastUse) -> m.LastUse:
            return await desk.last_use(asked)

        return {
            m.RegisterProxy: self._register,
            m.ForgetProxy: self._forget,
            m.MoreEndpoints: more,
            m.Wake: wake,
            m.ProxySample: sampled,
            m.ResumeSeen: seen,
            m.CancelQuery: cancel,
            m.AskLastUse: last_use,
            m.HaveHeard: have_heard,
        }

    def _of_people(self) -> _Handlers:
        people = self._people

        async def suspend(_: Peer, asked: m.Suspend) -> m.Done:
            await people.suspend(asked.name)
            return m.Done()

        async def known(_: Peer, asked: m.AwaitKnown) -> m.Done:
            await people.known(asked.name, asked.generation)
            return m.Done()

        async def switchover(_: Peer, asked: m.Switchover) -> m.SwitchedOver:
            return await people.switchover(asked)

        async def resize(_: Peer, asked: m.Resize) -> m.Resized:
            return await people.resize(asked)

        async def sessions(_: Peer, asked: m.Sessions) -> m.SessionList:
            return await people.sessions(asked)

        async def end_session(_: Peer, asked: m.EndSession) -> m.Done:
            await people.end_session(asked)
            return m.Done()

        async def why(_: Peer, asked: m.Why) -> m.WhyReply:
            return await people.why(asked.name)

        async def uses(_: Peer, asked: m.AskUses) -> m.Uses:
            return people.uses(asked)

        async def decisions(_: Peer, asked: m.AskDecisions) -> m.DecisionList:
            return people.decisions(asked.name)

        async def let_go(_: Peer, asked: m.AskLetGo) -> m.LetGo:
            return people.let_go(asked)

        return {
            m.Suspend: suspend,
            m.AwaitKnown: known,
            m.Switchover: switchover,
            m.Resize: resize,
            m.Sessions: sessions,
            m.EndSession: end_session,
            m.Why: why,
            m.AskUses: uses,
            m.AskDecisions: decisions,
            m.AskLetGo: let_go,
        }

    def _of_fleet(self) -> _Handlers:
        overview = self._overview

        async def fleet(_: Peer, asked: m.AskFleet) -> m.FleetPage:
            return overview.fleet(asked)

        async def names(_: Peer, asked: m.AskNames) -> m.Names:
            return overview.names(asked)

        async def computes(_: Peer, asked: m.AskComputes) -> m.Computes:
            return overview.computes()

        async def transitions(_: Peer, asked: m.AskTransitions) -> m.TransitionList:
            return await overview.transitions(asked)

        async def dashboard(_: Peer, asked: m.AskDashboard) -> m.DashboardLink:
            return overview.dashboard()

        return {
            m.AskFleet: fleet,
            m.AskNames: names,
            m.AskComputes: computes,
            m.AskTransitions: transitions,
            m.AskDashboard: dashboard,
        }

    async def _register(self, peer: Peer, asked: m.RegisterProxy) -> m.Endpoints:
        await self._desk.all_known()
        # From here to the answer nothing may be awaited: what is told next must not overtake it.
        self._proxies.add(asked.proxy, peer)
        watch = asyncio.create_task(self._until_hung_up(asked.proxy, peer))
        self._watches.add(watch)
        watch.add_done_callback(self._watches.discard)
        return self._desk.proxy_registered(asked.proxy)

    async def _forget(self, peer: Peer, asked: m.ForgetProxy) -> m.Done:
        if not self._proxies.remove(asked.proxy, peer):
            raise InvalidRequest(f"proxy {asked.proxy!r} is not registered over this connection")
        self._desk.proxy_ended(asked)
        return m.Done()

    async def _until_hung_up(self, proxy: str, peer: Peer) -> None:
        await peer.closed.wait()
        if self._proxies.remove(proxy, peer):
            self._desk.proxy_hung_up(proxy)
