"""The proxy's links to the autoscaler and to agents, over real control channels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from pathlib import Path

import pytest

from torpor_api import messages as m
from torpor_api.facts import RoleFacts
from torpor_api.failures import Busy, Failure, InvalidRequest, NotFound, StartFailed, Unavailable
from torpor_api.phases import Phase
from torpor_channel.peer import Peer
from torpor_channel.server import Server
from torpor_proxy.adapters.fleet import ChannelFleet

AWAKE = m.Awake(endpoint=m.EndpointInfo(name="shop", phase=Phase.ACTIVE, epoch=1))

SERVING = AWAKE.endpoint.model_copy(
    update={
        "name": "serving",
        "epoch": 7,
        "address": m.ComputeAddress(socket_directory="/run/c1"),
    }
)


class Hearer:
    """Notes what the autoscaler says."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.wholes: list[set[str]] = []
        """What there is, each time all of it is known."""
        self.opened: list[m.OpenGate] = []
        self.unheard: set[str] = set()

    def told(self, info: m.EndpointInfo) -> None:
        self.names.append(info.name)

    def listed(self, info: m.EndpointInfo) -> None:
        self.told(info)

    def removed(self, name: str) -> None:
        self.names.remove(name)

    def keep_only(self, names: Sequence[str], unheard: Collection[str]) -> None:
        self.wholes.append(set(names))
        self.unheard = set(unheard)

    async def close_gate(self, asked: m.CloseGate) -> m.GateClosed:
        if asked.name not in self.names:
            raise NotFound(f"no endpoint {asked.name!r}")
        return m.GateClosed(parked=1)

    def open_gate(self, asked: m.OpenGate) -> None:
        self.opened.append(asked)

    async def stop_listening(self, asked: m.StopListening) -> m.ListeningStopped:
        return m.ListeningStopped(listens=False)

    async def start_listening(self, asked: m.StartListening) -> None: ...

    def used_elsewhere(self, event: m.UsedElsewhere) -> None: ...

    def last_use(self, asked: m.AskLastUse) -> m.LastUse:
        return m.LastUse(ago_s=None)

    def list_sessions(self, asked: m.ListSessions) -> m.SessionList:
        return m.SessionList()

    def end_session(self, asked: m.EndSession) -> None: ...

    async def cancel(self, process_id: int, secret: bytes) -> bool:
        return False


class Autoscaler:
    """Answers wakes by what the test has put into ``answers``; None hangs up instead."""

    def __init__(self) -> None:
        self.answers: list[m.Awake | Exception | None] = []
        self.asked = 0
        self.switchovers: list[m.Switchover] = []
        self.forgotten: list[m.ForgetProxy] = []
        self.does_not_forget = False
        self.why_not: Failure | None = None
        """Where it says that; else it says nothing."""
        self.endpoints: tuple[m.EndpointInfo, ...] = (AWAKE.endpoint,)
        self.tells_at_once: tuple[m.EndpointInfo, ...] = ()
        """In one breath with the answer to a registration."""
        self.closes_first: tuple[m.CloseGate, ...] = ()
        """Before that answer."""
        self.unheard: tuple[str, ...] = ()
        self.pages: dict[str, m.Endpoints] = {}
        """Behind the first one, by the name that each is asked for with."""
        self.before_page: Callable[[Peer], Awaitable[None]] | None = None
        self.peer: Peer | None = None

    async def wake(self, peer: Peer, request: m.Wake) -> m.Awake:
        self.asked += 1
        answer = self.answers.pop(0)
        if answer is None:
            peer._writer.transport.abort()
            await asyncio.Event().wait()
        if isinstance(answer, Exception):
            raise answer
        assert answer is not None
        return answer

    async def forget(self, _: Peer, request: m.ForgetProxy) -> m.Done:
        self.forgotten.append(request)
        if self.does_not_forget:
            if self.why_not is not None:
                raise self.why_not
            await asyncio.Event().wait()
        return m.Done()

    async def switch_over(self, _: Peer, request: m.Switchover) -> m.SwitchedOver:
        self.switchovers.append(request)
        if len(self.switchovers) > 1:
            raise Busy("shop is being moved to another compute already")
        return m.SwitchedOver(epoch=2, pause_ms=80.0)

    async def register(self, peer: Peer, request: m.RegisterProxy) -> m.Endpoints:
        self.peer = peer
        for asked in self.closes_first:
            await peer.ask(asked, timeout_s=10)
        # A task that is made here writes after the answer and before anybody can have read it.
        self.after = asyncio.create_task(self._goes_on(peer))
        return m.Endpoints(
            endpoints=self.endpoints, has_more=bool(self.pages), unheard=self.unheard
        )

    async def more(self, peer: Peer, request: m.MoreEndpoints) -> m.Endpoints:
        if self.before_page is not None:
            await self.before_page(peer)
        return self.pages[request.after]

    async def _goes_on(self, peer: Peer) -> None:
        for info in self.tells_at_once:
            peer.tell(m.EndpointChanged(endpoint=info))


@pytest.fixture
async def autoscaler(tmp_path: Path) -> AsyncIterator[Autoscaler]:
    made = Autoscaler()
    server = Server(
        {
            m.Wake: made.wake,
            m.Switchover: made.switch_over,
            m.RegisterProxy: made.register,
            m.MoreEndpoints: made.more,
            m.ForgetProxy: made.forget,
        }
    )
    await server.listen(tmp_path / "a.sock")
    yield made
    await server.close()


@pytest.fixture
async def fleet(autoscaler: Autoscaler, tmp_path: Path) -> AsyncIterator[ChannelFleet]:
    made = ChannelFleet(tmp_path / "a.sock", "proxy")
    made.start(Hearer())
    await made.ready(timeout_s=10)
    yield made
    await made.close()


async def test_the_last_word_is_heard_before_the_connection_ends(
    fleet: ChannelFleet, autoscaler: Autoscaler
) -> None:
    used = m.DatabaseUse(name="shop", ago_s=3.0)
    await fleet.leave([used])
    assert autoscaler.forgotten == [m.ForgetProxy(proxy="proxy", used=(used,))]


@pytest.mark.parametrize("failure", [InvalidRequest("it is not known to this release"), None])
async def test_whoever_does_not_hear_the_last_word_holds_up_nobodys_end(
    fleet: ChannelFleet,
    autoscaler: Autoscaler,
    failure: Failure | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """An autoscaler of the release before, and one that is stuck."""
    monkeypatch.setattr("torpor_proxy.adapters.fleet.LAST_WORD_SECONDS_MAX", 0.1)
    autoscaler.does_not_forget = True
    autoscaler.why_not = failure
    async with asyncio.timeout(5):
        await fleet.leave([])


async def test_a_wake_is_asked_again_of_the_next_autoscaler(
    fleet: ChannelFleet, autoscaler: Autoscaler
) -> None:
    autoscaler.answers = [None, None, AWAKE]
    assert await fleet.wake("shop", "a test", 0, timeout_s=10) == AWAKE
    assert autoscaler.asked == 3


async def test_a_gate_that_a_dead_autoscaler_had_closed_is_opened_by_the_next(
    autoscaler: Autoscaler, tmp_path: Path
) -> None:
    """It says that the compute serves; of a gate that is closed it tells no address."""
    autoscaler.endpoints = (AWAKE.endpoint, SERVING)
    hearer, fleet = Hearer(), ChannelFleet(tmp_path / "a.sock", "proxy")
    fleet.start(hearer)
    await fleet.ready(timeout_s=10)
    await fleet.close()
    assert hearer.names == ["shop", "serving"]
    assert hearer.opened == [m.OpenGate(name="serving", epoch=7)]


async def test_so_it_is_where_news_of_the_database_come_in_one_breath_with_the_answer(
    autoscaler: Autoscaler, tmp_path: Path
) -> None:
    autoscaler.endpoints = autoscaler.tells_at_once = (SERVING,)
    hearer, fleet = Hearer(), ChannelFleet(tmp_path / "a.sock", "proxy")
    fleet.start(hearer)
    await fleet.ready(timeout_s=10)
    await autoscaler.after
    await fleet.close()
    assert hearer.opened == [m.OpenGate(name="serving", epoch=7)]


async def test_a_gate_that_the_next_autoscaler_has_closed_itself_stays_closed(
    autoscaler: Autoscaler, tmp_path: Path
) -> None:
    autoscaler.endpoints = (SERVING,)
    autoscaler.closes_first = (m.CloseGate(name="serving", epoch=7, hold_s=60.0),)
    hearer, fleet = Hearer(), ChannelFleet(tmp_path / "a.sock", "proxy")
    fleet.start(hearer)
    await fleet.ready(timeout_s=10)
    await fleet.close()
    assert hearer.names == ["serving"] and not hearer.opened


def asleep(name: str) -> m.EndpointInfo:
    return m.EndpointInfo(name=name, phase=Phase.SUSPENDED)


async def test_what_is_gone_is_known_only_with_the_last_page(
    autoscaler: Autoscaler, tmp_path: Path
) -> None:
    """Of what changes meanwhile the last word counts, whatever page it is on."""
    hearer, fleet = Hearer(), ChannelFleet(tmp_path / "a.sock", "proxy")
    autoscaler.endpoints = (asleep("a"), asleep("b"))
    autoscaler.pages = {
        "b": m.Endpoints(endpoints=(asleep("c"),), unknown=("d",), has_more=True),
        "d": m.Endpoints(endpoints=(asleep("e"),)),
    }
    listed_before_pages: list[int] = []

    async def meanwhile(peer: Peer) -> None:
        listed_before_pages.append(len(hearer.wholes))
        if len(listed_before_pages) == 1:
            peer.tell(m.EndpointChanged(endpoint=asleep("z")))
            peer.tell(m.EndpointRemoved(name="a"))

    autoscaler.before_page = meanwhile
    fleet.start(hearer)
    await fleet.ready(timeout_s=10)
    await fleet.close()
    assert listed_before_pages == [0, 0]
    assert hearer.wholes == [{"b", "c", "d", "e", "z"}]
    assert hearer.names == ["b", "z", "c", "e"]


async def test_a_gate_closes_although_its_database_is_on_a_later_page(
    autoscaler: Autoscaler, tmp_path: Path
) -> None:
    """Whoever has not heard of it has no session of it, and holds up nobody's suspend."""
    hearer, fleet = Hearer(), ChannelFleet(tmp_path / "a.sock", "proxy")
    autoscaler.pages = {"shop": m.Endpoints(endpoints=(SERVING,))}
    answers: list[m.GateClosed] = []

    async def meanwhile(peer: Peer) -> None:
        asked = m.CloseGate(name="serving", epoch=7, hold_s=60.0)
        answers.append(await peer.ask(asked, timeout_s=10))

    autoscaler.before_page = meanwhile
    fleet.start(hearer)
    await fleet.ready(timeout_s=10)
    assert answers == [m.GateClosed(parked=0)]
    with pytest.raises(NotFound, match="ghost"):
        assert autoscaler.peer is not None
        await autoscaler.peer.ask(m.CloseGate(name="ghost", epoch=1, hold_s=1.0), timeout_s=10)
    await fleet.close()


async def test_nothing_was_heard_before_all_pages_were(
    autoscaler: Autoscaler, tmp_path: Path
) -> None:
    hearer, fleet = Hearer(), ChannelFleet(tmp_path / "a.sock", "proxy")
    autoscaler.pages = {"shop": m.Endpoints(endpoints=(SERVING,))}
    may_go_on = asyncio.Event()
    heard: list[asyncio.Task[m.Done]] = []

    async def meanwhile(peer: Peer) -> None:
        heard.append(asyncio.create_task(peer.ask(m.HaveHeard(), timeout_s=10)))
        await peer.ask(m.ListSessions(name="shop"), timeout_s=10)
        assert not heard[0].done()
        may_go_on.set()

    autoscaler.before_page = meanwhile
    fleet.start(hearer)
    await may_go_on.wait()
    await heard[0]
    assert hearer.names == ["shop", "serving"]
    await fleet.close()


async def test_a_reason_is_not_asked_again(fleet: ChannelFleet, autoscaler: Autoscaler) -> None:
    for failure in (StartFailed("no luck"), Unavailable("no compute")):
        autoscaler.answers = [failure]
        with pytest.raises(type(failure), match=failure.message):
            await fleet.wake("shop", "a test", 0, timeout_s=10)
    assert autoscaler.asked == 2


async def test_a_switchover_is_asked_once_and_a_refusal_is_heard(
    fleet: ChannelFleet, autoscaler: Autoscaler
) -> None:
    await fleet.switch_over("shop", patience_s=5.0)
    with pytest.raises(Busy, match="already"):
        await fleet.switch_over("shop", patience_s=5.0)
    assert autoscaler.switchovers == [m.Switchover(name="shop", patience_s=5.0)] * 2


async def test_logins_that_come_at_once_share_an_agent_s_connection(
    fleet: ChannelFleet, tmp_path: Path
) -> None:
    peers: set[Peer] = set()

    async def role(peer: Peer, request: m.AskRoleFacts) -> m.RoleFactsReply:
        peers.add(peer)
        for _ in range(10):
            await asyncio.sleep(0)
        return m.RoleFactsReply(role=RoleFacts(name=request.role))

    agent = Server({m.AskRoleFacts: role})
    await agent.listen(tmp_path / "b.sock")
    address = m.ComputeAddress(agent=str(tmp_path / "b.sock"))
    try:
        names = [f"role {number}" for number in range(20)]
        found = await asyncio.gather(*(fleet.role(address, name, timeout_s=10) for name in names))
        assert [each.name for each in found if each is not None] == names
        again = await fleet.role(address, "again", timeout_s=10)
        assert again is not None and len(agent.peers) == 1
    finally:
        await agent.close()


async def test_namespaces_that_the_autoscaler_does_not_see_are_told(
    autoscaler: Autoscaler, tmp_path: Path
) -> None:
    autoscaler.unheard = ("blog",)
    hearer, fleet = Hearer(), ChannelFleet(tmp_path / "a.sock", "proxy")
    fleet.start(hearer)
    await fleet.ready(timeout_s=10)
    await fleet.close()
    assert (hearer.wholes, hearer.unheard) == ([{"shop"}], {"blog"})
