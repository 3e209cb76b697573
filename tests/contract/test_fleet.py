"""The contract of whoever knows the databases and wakes them, for a proxy: ``Fleet``.

The adapter talks to a real autoscaler over a real control channel; cluster and agents are fakes.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest

from support.fakes.town import Town, apply, opened_town
from support.ports import free_address
from torpor_api import messages as m
from torpor_api.chain import Chain, Step
from torpor_api.facts import RoleFacts
from torpor_api.failures import DataDamaged, NotFound, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import Keepalives
from torpor_autoscaler.lifecycle import endpoints
from torpor_channel.address import Address
from torpor_channel.admission import Admission
from torpor_channel.peer import Handlers, Peer
from torpor_channel.server import Server
from torpor_channel.tls import COMPUTE, PROXY
from torpor_proxy.adapters.fleet import ChannelFleet
from torpor_proxy.ports import Fleet

WAIT_SECONDS_MAX = 30.0

SHORT_S = 0.2
"""A time-out that a test waits for."""

KEY = bytes(range(32))
"""Of a session that each proxy here holds."""

PINNED = m.SessionInfo(
    session=7,
    user="app",
    dbname="app",
    application="",
    client="::1",
    state=m.SessionStanding.PINNED,
    since_s=1.0,
    reason="holds a cursor",
)


class Hearer:
    """A proxy that knows what it was told."""

    def __init__(self) -> None:
        self.known: dict[str, m.EndpointInfo] = {}
        self.gates: list[m.CloseGate | m.OpenGate] = []
        self.cancelled: list[tuple[int, bytes]] = []

    def told(self, info: m.EndpointInfo) -> None:
        self.known[info.name] = info

    def listed(self, info: m.EndpointInfo) -> None:
        self.told(info)

    def removed(self, name: str) -> None:
        del self.known[name]

    def keep_only(self, names: Sequence[str], unheard: Collection[str]) -> None:
        self.unheard = set(unheard)
        self.known = {name: info for name, info in self.known.items() if name in names}

    async def close_gate(self, asked: m.CloseGate) -> m.GateClosed:
        self.gates.append(asked)
        return m.GateClosed(parked=0)

    def open_gate(self, asked: m.OpenGate) -> None:
        self.gates.append(asked)

    async def stop_listening(self, asked: m.StopListening) -> m.ListeningStopped:
        return m.ListeningStopped(listens=False)

    async def start_listening(self, asked: m.StartListening) -> None: ...

    def used_elsewhere(self, event: m.UsedElsewhere) -> None: ...

    def last_use(self, asked: m.AskLastUse) -> m.LastUse:
        return m.LastUse(ago_s=None)

    def list_sessions(self, asked: m.ListSessions) -> m.SessionList:
        return m.SessionList(sessions=(PINNED,), total=1)

    def end_session(self, asked: m.EndSession) -> None: ...

    async def cancel(self, process_id: int, secret: bytes) -> bool:
        self.cancelled.append((process_id, secret))
        return secret == KEY


class World(Protocol):
    """A proxy's fleet in a town where the database ``shop`` sleeps and two agents are warm."""

    fleet: Fleet
    town: Town
    hearer: Hearer


class ChannelWorld:
    def __init__(self, town: Town) -> None:
        self.town = town
        self.hearer = Hearer()
        identity = town.identity(PROXY)
        self.channel = ChannelFleet(town.settings.listen, "proxy-1", identity)
        self.fleet: Fleet = self.channel


@contextlib.asynccontextmanager
async def channel_world(*, on_network: bool = False) -> AsyncIterator[World]:
    async with opened_town(on_network=on_network) as town:
        apply(town)
        for _ in range(2):
            await town.start_agent()
        await town.start_autoscaler()
        world = ChannelWorld(town)
        world.channel.start(world.hearer)
        await world.channel.ready(timeout_s=WAIT_SECONDS_MAX)
        try:
            yield world
        finally:
            await world.channel.close()


WORLDS: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[World]]] = {
    "channel": channel_world,
    "network": partial(channel_world, on_network=True),
}
"""Whoever makes another adapter, or a fake, adds it here."""


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with WORLDS[request.param]() as made:
        yield made


async def wake(world: World, name: str = "shop", lost_epoch: int = 0) -> m.Awake:
    return await world.fleet.wake(name, "session 7", lost_epoch, timeout_s=WAIT_SECONDS_MAX)


async def until(world: World, what: str, holds: Callable[[], object]) -> None:
    await world.town.until(what, holds)


async def why(world: World, words: str) -> None:
    """Until people hear this reason."""
    deadline, lines = asyncio.get_running_loop().time() + WAIT_SECONDS_MAX, ""
    while words not in lines:
        assert asyncio.get_running_loop().time() < deadline, f"{words!r} is not in {lines!r}"
        reply: m.WhyReply = await world.town.person(m.Why(name="shop"))
        lines = "\n".join(reply.reasons)


# --- cancelling --------------------------------------------------------------------------------


async def test_a_key_of_a_session_elsewhere_is_found_and_others_are_not(world: World) -> None:
    assert await world.fleet.cancel(7, KEY, timeout_s=WAIT_SECONDS_MAX)
    assert not await world.fleet.cancel(7, KEY[:4], timeout_s=WAIT_SECONDS_MAX)
    assert world.hearer.cancelled == [(7, KEY), (7, KEY[:4])]


# --- waking ------------------------------------------------------------------------------------


async def test_a_wake_is_answered_with_the_open_endpoint_and_again_with_the_same(
    world: World,
) -> None:
    awake = await wake(world)
    endpoint = awake.endpoint
    assert (endpoint.name, endpoint.phase, endpoint.epoch) == ("shop", Phase.ACTIVE, 1)
    assert endpoint.address is not None and endpoint.max_connections > 0
    assert awake.steps
    assert (await wake(world)).endpoint == endpoint


async def test_a_compute_that_can_not_be_reached_is_asked_how_it_is(world: World) -> None:
    """It serves, so it stays; a proxy's bad day is no reason to lose a database's memory."""
    await wake(world)
    assert (await wake(world, lost_epoch=1)).endpoint.epoch == 1


async def test_a_lost_compute_is_replaced_by_another(world: World) -> None:
    await wake(world)
    await world.town.lose_agent(next(iter(world.town.cluster.agents.values())))
    assert (await wake(world, lost_epoch=1)).endpoint.epoch == 2


async def test_the_reason_why_it_does_not_wake_is_raised(world: World) -> None:
    world.town.cluster.volumes["shop"].is_damaged = True
    with pytest.raises(DataDamaged, match="shop"):
        await wake(world)
    with pytest.raises(NotFound, match="ghost"):
        await wake(world, "ghost")


async def test_who_waits_for_an_autoscaler_that_ends_is_served_by_the_next(world: World) -> None:
    for agent in list(world.town.cluster.agents.values()):
        await world.town.lose_agent(agent)
    waking = asyncio.create_task(wake(world))
    await why(world, "wanted by session 7")
    await world.town.stop_autoscaler()
    await world.town.start_autoscaler()
    await world.town.start_agent()
    assert (await waking).endpoint.epoch == 1


async def test_once_it_is_ready_again_what_came_meanwhile_is_known(world: World) -> None:
    await world.town.stop_autoscaler()
    with pytest.raises(Unavailable):
        await world.fleet.ready(timeout_s=0.2)
    apply(world.town, "blog")
    await world.town.start_autoscaler()
    await world.fleet.ready(timeout_s=WAIT_SECONDS_MAX)
    assert sorted(world.hearer.known) == ["blog", "shop"]


async def test_a_wake_has_a_time_out(world: World) -> None:
    for agent in list(world.town.cluster.agents.values()):
        await world.town.lose_agent(agent)
    with pytest.raises(Unavailable):
        await world.fleet.wake("shop", "session 7", 0, timeout_s=SHORT_S)


async def test_a_switchover_moves_it_behind_its_gate(world: World) -> None:
    await wake(world)
    await world.fleet.switch_over("shop", patience_s=3.0)
    closed = world.hearer.gates[0]
    assert isinstance(closed, m.CloseGate) and (closed.name, closed.epoch) == ("shop", 1)
    assert closed.patience_s == 3.0
    assert (await wake(world)).endpoint.epoch == 2
    with pytest.raises(NotFound, match="ghost"):
        await world.fleet.switch_over("ghost", patience_s=3.0)


# --- telling -----------------------------------------------------------------------------------


async def test_what_sessions_do_is_known_to_people(world: World) -> None:
    await wake(world)
    await why(world, "proxy proxy-1 has not reported its sessions")
    world.fleet.report([m.EndpointSample(name="shop", epoch=1, sessions=1)])
    await why(world, "session 7, user app from ::1: holds a cursor")


async def test_the_end_of_a_chain_is_written(world: World) -> None:
    await wake(world)
    rest = Chain().then(Step(name="first row", where="proxy", ms=1.0))
    world.fleet.resume_seen(m.ResumeSeen(name="shop", epoch=1, chain=rest, cause="session 7"))

    def is_whole() -> bool:
        found = world.town.status().last_resume
        return found is not None and found.steps[-1] == rest.steps[0]

    await until(world, "it is written", is_whole)


async def test_what_is_told_to_nobody_is_no_error(world: World) -> None:
    await world.town.stop_autoscaler()
    await asyncio.sleep(SHORT_S)
    world.fleet.report([m.EndpointSample(name="shop", epoch=1)])
    world.fleet.resume_seen(m.ResumeSeen(name="shop", epoch=1, chain=Chain(), cause=""))
    await world.town.start_autoscaler()
    assert (await wake(world)).endpoint.epoch == 1


async def test_databases_that_come_change_and_go_are_heard_of(world: World) -> None:
    assert world.hearer.known["shop"].phase is Phase.SUSPENDED
    apply(world.town, "other")
    await until(world, "it is heard of", lambda: "other" in world.hearer.known)
    apply(world.town, "other", keepalives="wake")
    wanted = Keepalives.WAKE
    await until(world, "its spec is", lambda: world.hearer.known["other"].keepalives is wanted)
    world.town.cluster.delete("other")
    await until(world, "it is gone", lambda: set(world.hearer.known) == {"shop"})


async def test_what_has_changed_while_nobody_told_it_is_known_from_the_next(world: World) -> None:
    await world.town.stop_autoscaler()
    world.town.cluster.delete("shop")
    apply(world.town, "other")
    await world.town.start_autoscaler()
    await until(world, "all is known", lambda: set(world.hearer.known) == {"other"})


async def test_another_database_under_the_name_has_another_uid(world: World) -> None:
    def uid() -> str:
        known = world.hearer.known.get("shop")
        return "" if known is None else known.uid

    before = uid()
    apply(world.town, keepalives="wake")
    await until(world, "it has changed", lambda: world.hearer.known["shop"].keepalives == "wake")
    assert uid() == before != ""
    await world.town.stop_autoscaler()
    world.town.cluster.delete("shop")
    apply(world.town)
    await world.town.start_autoscaler()
    await until(world, "the other is known", lambda: uid() not in ("", before))


async def test_a_list_that_does_not_go_into_a_page_comes_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next autoscaler's; databases are on pages of one or two each."""
    names = {"shop", *(f"shop-{number}" for number in range(20))}
    for name in names - {"shop"}:
        apply(world.town, name)
    await until(world, "all are heard of", lambda: set(world.hearer.known) == names)
    size = len(world.hearer.known["shop-19"].model_dump_json())
    monkeypatch.setattr(endpoints, "PAGE_BYTES_MAX", 2 * size)
    await world.town.stop_autoscaler()
    world.town.cluster.delete("shop-7")
    apply(world.town, "other")
    await world.town.start_autoscaler()
    names = (names - {"shop-7"}) | {"other"}
    await until(world, "all is known", lambda: set(world.hearer.known) == names)
    assert (await wake(world)).endpoint.uid == world.hearer.known["shop"].uid != ""


# --- roles, asked of agents --------------------------------------------------------------------


class RoleAgent:
    """An agent as far as roles go."""

    def __init__(self) -> None:
        self.roles = {"app": RoleFacts(name="app", verifier="v1")}
        self.is_slow = False

    async def answer(self, _: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        if self.is_slow:
            await asyncio.Event().wait()
        if asked.role == "unreadable":
            raise Unavailable("Postgres does not answer its agent")
        return m.RoleFactsReply(role=self.roles.get(asked.role))


@contextlib.asynccontextmanager
async def role_agent(town: Town, place: Address) -> AsyncIterator[RoleAgent]:
    agent = RoleAgent()
    handlers: Handlers = {m.AskRoleFacts: agent.answer}
    identity = town.identity(COMPUTE)
    admission = None if identity is None else Admission(identity, {PROXY: handlers.keys()})
    server = Server(handlers, admission)
    await server.listen(place)
    try:
        yield agent
    finally:
        await server.close()


@pytest.fixture
def place(world: World, tmp_path: Path) -> Address:
    """For an agent."""
    return tmp_path / "a.sock" if world.town.settings.tls is None else free_address()


async def test_a_role_is_as_its_agent_says_now(world: World, place: Address) -> None:
    address = m.ComputeAddress(agent=str(place))
    async with role_agent(world.town, place) as agent:

        async def ask(role: str, timeout_s: float = WAIT_SECONDS_MAX) -> RoleFacts | None:
            return await world.fleet.role(address, role, timeout_s=timeout_s)

        assert await ask("app") == agent.roles["app"]
        agent.roles["app"] = RoleFacts(name="app", verifier="v2")
        assert await ask("app") == agent.roles["app"]
        assert await ask("ghost") is None
        with pytest.raises(Unavailable, match="does not answer"):
            await ask("unreadable")
        agent.is_slow = True
        with pytest.raises(Unavailable):
            await ask("app", SHORT_S)


async def test_an_agent_that_is_gone_is_unavailable_and_its_successor_is_asked(
    world: World, place: Address
) -> None:
    address = m.ComputeAddress(agent=str(place))
    for _ in range(2):
        with pytest.raises(Unavailable):
            await world.fleet.role(address, "app", timeout_s=WAIT_SECONDS_MAX)
        async with role_agent(world.town, place):
            assert await world.fleet.role(address, "app", timeout_s=WAIT_SECONDS_MAX)
