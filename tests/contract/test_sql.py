"""The contract of what the agent asks of a started Postgres: ``Sql``."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Any, Protocol

import pytest

from support.agent import VERIFIER, AgentProcess, Agents, agents_in_a_folder
from support.fakes.compute import FakeCompute
from torpor_api.failures import NotFound, Unavailable
from torpor_api.messages import StoragePlace
from torpor_api.resource import DatabaseSpec
from torpor_api.sizes import Size
from torpor_compute.adapters.sql import AdminSql
from torpor_compute.core.kept_pages import PAGES_MIN
from torpor_compute.core.login_facts import RoleRow
from torpor_compute.ports import Launch, Sql, Stop

LAUNCH = Launch(StoragePlace(directory="/v"), Size(Decimal(1), Decimal(1)))

ROLES = [{"name": "app"}, {"name": "boss", "superuser": True}]

SUPERUSERS = ("boss",)


class World(Protocol):
    """A Postgres with the roles ``app`` and ``boss``, of which ``boss`` is a declared superuser."""

    sql: Sql

    async def make_role(self, name: str, *, superuser: bool = False) -> None:
        """Of a tenant's making: it may log in, as far as Postgres is concerned."""

    async def connect(self) -> None:
        """One client comes, as ``app``, and stays."""

    async def stop(self) -> None:
        """Postgres ends."""


class FakeWorld:
    def __init__(self, compute: FakeCompute) -> None:
        self._compute = compute
        self.sql: Sql = compute.sql_of()

    async def make_role(self, name: str, *, superuser: bool = False) -> None:
        row = RoleRow(name, None, True, superuser, False, None, -1)
        self._compute.postgres.server.put_role(row)

    async def connect(self) -> None:
        await self._compute.postgres.connect("app")

    async def stop(self) -> None:
        self._compute.postgres.signal(Stop.FAST)


@contextlib.asynccontextmanager
async def fake_world() -> AsyncIterator[World]:
    compute = FakeCompute()
    await compute.postgres.start(LAUNCH)
    world = FakeWorld(compute)
    await world.sql.make_match(DatabaseSpec.model_validate({"roles": ROLES}), {})
    yield world


class RealWorld:
    """A real agent has started it; the adapter is another one, of this process."""

    def __init__(self, agents: Agents, agent: AgentProcess) -> None:
        self._agents = agents
        self._agent = agent
        self._clients: list[Any] = []
        self.sql: Sql = AdminSql(agent.run_directory)

    async def make_role(self, name: str, *, superuser: bool = False) -> None:
        boss = await self._agent.connect("boss")
        await boss.execute(f"CREATE ROLE {name} LOGIN {'SUPERUSER' if superuser else ''}")
        await boss.close()

    async def connect(self) -> None:
        self._clients.append(await self._agent.connect())

    async def stop(self) -> None:
        self._agent.kill()
        await self._agents.no_postgres_left()

    def hang_up(self) -> None:
        for client in self._clients:
            client.terminate()


@contextlib.asynccontextmanager
async def real_world() -> AsyncIterator[World]:
    async with agents_in_a_folder() as agents:
        agent = await agents.agent()
        await agent.start(agents.volume(), roles=ROLES)
        world = RealWorld(agents, agent)
        yield world
        world.hang_up()
        await world.sql.close()


Make = Callable[[], AbstractAsyncContextManager[World]]

WORLDS: dict[str, Make] = {"fake": fake_world, "postgres": real_world}


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with WORLDS[request.param]() as made:
        yield made


# --- roles -------------------------------------------------------------------------------------


async def test_a_role_that_does_not_exist_is_none(world: World) -> None:
    assert await world.sql.role("ghost", SUPERUSERS) is None


async def test_a_new_role_is_admitted_by_being_asked_for(world: World) -> None:
    await world.make_role("fresh")
    assert not admitted(await world.sql.facts(SUPERUSERS))["fresh"]
    for _ in range(2):
        role = await world.sql.role("fresh", SUPERUSERS)
        assert role is not None and role.can_login and role.is_admitted
    assert admitted(await world.sql.facts(SUPERUSERS))["fresh"]


async def test_a_superuser_is_admitted_only_where_it_is_declared(world: World) -> None:
    await world.make_role("root", superuser=True)
    role = await world.sql.role("root", SUPERUSERS)
    assert role is not None and not role.is_admitted
    boss = await world.sql.role("boss", SUPERUSERS)
    assert boss is not None and boss.is_admitted
    assert admitted(await world.sql.facts(())) == {"app": True, "boss": False, "root": False}


async def test_facts_name_roles_and_databases(world: World) -> None:
    facts = await world.sql.facts(SUPERUSERS)
    assert admitted(facts) == {"app": True, "boss": True}
    assert "app" in facts.databases


async def test_the_number_of_changes_is_another_after_each_change(world: World) -> None:
    seen = [(await world.sql.activity())[1]]
    assert (await world.sql.activity())[1] == seen[0]
    await world.make_role("one")
    seen.append((await world.sql.activity())[1])
    await world.sql.role("one", SUPERUSERS)
    seen.append((await world.sql.activity())[1])
    assert len(set(seen)) == 3


# --- what goes on ------------------------------------------------------------------------------


async def test_nobody_is_there_but_the_agent_itself(world: World) -> None:
    activity, _ = await world.sql.activity()
    assert (activity.backends, activity.busy, activity.memory_bytes) == (0, (), 0)
    clients = await world.sql.clients()
    assert clients.described == () and clients.processes


async def test_clients_are_counted_and_named(world: World) -> None:
    before = await world.sql.clients()
    for _ in range(2):
        await world.connect()
    clients = await world.sql.clients()
    assert len(clients.described) == 2 and all("app" in line for line in clients.described)
    assert len(clients.processes - before.processes) == 2
    assert (await world.sql.activity())[0].backends == 2
    use = await world.sql.samples.use()
    assert use is not None and use.backends == 2


# --- making it match ---------------------------------------------------------------------------

WIDER = {
    "roles": [*ROLES, {"name": "extra", "connection_limit": 3}],
    "databases": [{"name": "app", "owner": "app"}, {"name": "more", "owner": "extra"}],
}


async def test_roles_and_databases_match_the_spec_however_often(world: World) -> None:
    spec = DatabaseSpec.model_validate(WIDER)
    for _ in range(2):
        await world.sql.make_match(spec, {"extra": VERIFIER})
    facts = await world.sql.facts(SUPERUSERS)
    (extra,) = [role for role in facts.roles if role.name == "extra"]
    assert (extra.verifier, extra.connection_limit, extra.is_admitted) == (VERIFIER, 3, True)
    assert {"app", "more"} <= set(facts.databases)


async def test_a_role_whose_password_is_not_given_keeps_its_own(world: World) -> None:
    spec = DatabaseSpec.model_validate(WIDER)
    await world.sql.make_match(spec, {"extra": VERIFIER})
    await world.sql.make_match(spec, {})
    role = await world.sql.role("extra", SUPERUSERS)
    assert role is not None and role.verifier == VERIFIER


async def test_a_checkpoint_is_nothing_that_anybody_sees(world: World) -> None:
    await world.sql.checkpoint()
    assert (await world.sql.clients()).described == ()


# --- shared buffers ----------------------------------------------------------------------------


async def test_what_is_found_is_each_page_once_or_too_little_to_be_noted(world: World) -> None:
    found = await world.sql.pages.found()
    if found is not None:
        blocks = [(each.file, block) for each in found for block in each.blocks]
        assert PAGES_MIN <= len(set(blocks)) == len(blocks)
        assert all(list(each.blocks) == sorted(each.blocks) for each in found)


async def test_there_is_room_and_nobody_at_work(world: World) -> None:
    room = await world.sql.pages.room()
    assert room is not None and room.unused_buffers > PAGES_MIN and not room.is_used


async def test_a_database_that_is_gone_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        async with world.sql.pages.loading(4_000_000_000):
            pass


# --- the end -----------------------------------------------------------------------------------


async def test_after_close_whatever_is_asked_fails(world: World) -> None:
    await world.sql.facts(SUPERUSERS)
    for _ in range(2):
        await world.sql.close()
    await is_unavailable(world.sql)


async def test_without_a_postgres_whatever_is_asked_fails(world: World) -> None:
    await world.sql.facts(SUPERUSERS)
    await world.stop()
    await is_unavailable(world.sql)


async def is_unavailable(sql: Sql) -> None:
    spec = DatabaseSpec()
    for ask in (
        lambda: sql.role("app", ()),
        lambda: sql.facts(()),
        sql.activity,
        sql.clients,
        sql.samples.use,
        sql.samples.shared_buffers,
        sql.pages.found,
        sql.pages.room,
        sql.checkpoint,
        lambda: sql.make_match(spec, {}),
    ):
        with pytest.raises(Unavailable):
            await ask()


def admitted(facts: Any) -> dict[str, bool]:
    return {role.name: role.is_admitted for role in facts.roles}
