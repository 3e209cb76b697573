"""A compute in memory: the agent's three ports over one make-believe machine.

Each part keeps its port's word (see ``tests/contract``); ``story`` is what they were told, in
order, because that is what matters between them.
"""

from __future__ import annotations

from dataclasses import dataclass

from support.fakes.files import Disk, FakeVolume
from support.fakes.pages import Buffers
from support.fakes.postgres import FakePostgres
from support.fakes.sql import FakeSql
from torpor_api import messages as m
from torpor_api.facts import LoginFacts
from torpor_api.failures import Failure
from torpor_api.identity import ComputeId
from torpor_compute.executor import Agent


@dataclass
class Served:
    """What an agent has in its hands: see ``Serving``."""

    volume: FakeVolume
    sql: FakeSql


class FakeCompute:
    """A compute that nobody has claimed, beside the volume of a database that sleeps."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.disk = Disk()
        self.volume = FakeVolume(self.disk, "c1", self.story)
        self.postgres = FakePostgres(self.story)
        self.clients_by_look: list[tuple[str, ...]] = []
        """Who is said to be there at each look, whoever is; the truth once it is used up."""
        self.facts_fail: Failure | None = None
        self.buffers = Buffers()

    def volume_of(self, storage: m.StoragePlace) -> FakeVolume:
        return self.volume

    def sql_of(self) -> FakeSql:
        """A new one for each start, as the agent's is."""
        return FakeSql(self)

    def served(self, sql: FakeSql | None = None) -> Served:
        """By a new start, or the one of this ``sql``."""
        return Served(self.volume, sql or self.sql_of())

    @property
    def login_facts(self) -> LoginFacts:
        """The truth."""
        return self.postgres.server.facts(())


def agent_of(world: FakeCompute, told: list[m.Event], user_id: int | None = None) -> Agent:
    return Agent(
        ComputeId("c1"),
        m.ComputeAddress(agent="/run/c1.sock", user_id=user_id),
        world.postgres,
        sql_of=world.sql_of,
        volume_of=world.volume_of,
        tell=told.append,
    )
