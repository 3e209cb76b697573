"""What a Postgres in memory says of itself: see the port ``Sql``."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Protocol

from support.fakes.pages import Buffers, FakePagesSql
from support.fakes.postgres import ENTRY_SECONDS_MAX, OWN, FakePostgres, Server
from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.failures import Failure, Unavailable
from torpor_api.messages import PostgresUse
from torpor_api.resource import DatabaseSpec, Role
from torpor_compute.core import login_facts
from torpor_compute.core.login_facts import RoleRow
from torpor_compute.core.working_set import SeenPage, SharedBuffers
from torpor_compute.ports import Clients


class Compute(Protocol):
    """What is asked."""

    story: list[str]
    postgres: FakePostgres
    clients_by_look: list[tuple[str, ...]]
    facts_fail: Failure | None
    buffers: Buffers


USE = PostgresUse(
    transactions=0.0,
    blocks_hit=0,
    blocks_read=0,
    temporary_bytes=0,
    read_bytes=0,
    written_bytes=0,
    evictions=0,
    wal_bytes=0,
    backends=0,
    active_backends=0,
    waiting_backends={},
)

BUFFERS = SharedBuffers(1 << 14, 8192)


class FakeSql:
    """Of one start of Postgres."""

    def __init__(self, compute: Compute) -> None:
        self._compute = compute
        self._is_closed = False
        self.samples = FakeSampleSql(compute, self._server)
        self.pages = FakePagesSql(compute.buffers, self._server)

    async def role(self, name: str, superusers: Collection[str]) -> RoleFacts | None:
        server = self._server()
        row = server.roles.get(name)
        if row is not None and login_facts.needs_admission(row, superusers):
            server.put_role(replace(row, is_member=True))
        row = server.roles.get(name)
        return None if row is None else login_facts.facts_of(row, superusers)

    async def facts(self, superusers: Collection[str]) -> LoginFacts:
        if self._compute.facts_fail is not None:
            raise self._compute.facts_fail
        return self._server().facts(superusers)

    async def activity(self) -> tuple[Activity, int]:
        changes = self._server().changes
        return Activity(backends=len(self._compute.postgres.clients)), changes

    async def clients(self) -> Clients:
        self._server()
        clients = self._compute.postgres.clients
        found = tuple(f"client backend {pid} of {user}" for pid, user in clients.items())
        if self._compute.clients_by_look:
            found = self._compute.clients_by_look.pop(0)
        return Clients(found, OWN | clients.keys(), ENTRY_SECONDS_MAX)

    async def make_match(self, spec: DatabaseSpec, verifiers: Mapping[str, str]) -> None:
        server = self._server()
        self._compute.story.append("make match")
        for role in spec.roles:
            server.put_role(_row(role, verifiers.get(role.name), server.roles.get(role.name)))
        wanted = {database.name for database in spec.databases}
        server.changes += bool(wanted - server.databases)
        server.databases |= wanted

    async def checkpoint(self) -> None:
        self._server()
        self._compute.story.append("checkpoint")

    async def close(self) -> None:
        self._is_closed = True
        self._compute.story.append("close")

    def _server(self) -> Server:
        if self._is_closed or not self._compute.postgres.is_running:
            raise Unavailable("Postgres does not answer its agent")
        return self._compute.postgres.server


class FakeSampleSql:
    """Nothing is in shared buffers when it is looked at."""

    def __init__(self, compute: Compute, server: Callable[[], Server]) -> None:
        self._compute = compute
        self._server = server

    async def use(self) -> PostgresUse:
        self._server()
        return USE.model_copy(update={"backends": len(self._compute.postgres.clients)})

    async def shared_buffers(self) -> SharedBuffers | None:
        self._server()
        return BUFFERS

    async def followed_pages(self, one_in: int) -> tuple[SeenPage, ...]:
        self._server()
        return ()


def _row(role: Role, verifier: str | None, before: RoleRow | None) -> RoleRow:
    """As it is made or altered; a role whose password is not given keeps the one that it has."""
    kept = before.password if before is not None else None
    until = before.valid_until_s if before is not None else None
    return RoleRow(
        name=role.name,
        password=verifier or kept,
        can_login=True,
        is_superuser=role.superuser,
        is_member=True,
        valid_until_s=until,
        connection_limit=role.connection_limit,
    )
