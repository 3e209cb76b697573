"""How many agents wait warm, and which one a database gets.

An agent that was taken once is never given out again, whatever came of it. How many wait is a fixed
number here; this is the place where it will follow from how often databases wake.
"""

from __future__ import annotations

from torpor_api.messages import AgentInfo

GONE_REMEMBERED_MAX = 10_000
"""News that is older than so many deaths of computes does not come any more."""


class WarmPool:
    """Every agent that the cluster has told of, and who was taken."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._agents: dict[str, AgentInfo] = {}
        self._taken: set[str] = set()
        self._gone: dict[str, None] = {}
        """The latest that are gone: late news of them must not bring them back."""
        self._waiting: dict[str, None] = {}
        self._bound: dict[str, str] = {}
        self.revision = 0
        """Grows whenever the cluster should hear of ``size_wanted`` or ``claimed`` again."""

    @property
    def size_wanted(self) -> int:
        """With a pool of 0 an agent is started only when somebody waits for one."""
        return max(self._size, 1 if self._waiting else 0)

    @property
    def waiting(self) -> tuple[str, ...]:
        """Databases that found no warm agent, first come first."""
        return tuple(self._waiting)

    def learn(self, agent: AgentInfo) -> None:
        """The cluster says that it is there, or that it is gone."""
        if agent.is_gone:
            self._bury(agent.compute)
        elif agent.compute not in self._gone:
            self._agents[agent.compute] = agent

    def _bury(self, compute: str) -> None:
        self._agents.pop(compute, None)
        self._taken.discard(compute)
        self._gone[compute] = None
        if len(self._gone) > GONE_REMEMBERED_MAX:
            del self._gone[next(iter(self._gone))]

    @property
    def claimed(self) -> tuple[str, ...]:
        """Computes that are bound to a database now; the cluster ends used ones that are not."""
        return tuple(sorted(self._bound.values()))

    def bind(self, database: str, compute: str) -> None:
        """It serves the database, or may do so: never to be given out."""
        self._taken.add(compute)
        self._bound[database] = compute
        self.revision += 1

    def spend(self, compute: str) -> None:
        """It has served, or may have: never to be given out."""
        self._taken.add(compute)

    def unbind(self, database: str) -> None:
        """No compute serves the database; the one that did is of no more use."""
        if self._bound.pop(database, None) is not None:
            self.revision += 1

    def database_of(self, compute: str) -> str | None:
        """Whom the compute serves, or was meant to serve."""
        return next((name for name, bound in self._bound.items() if bound == compute), None)

    def forget(self, compute: str) -> None:
        """The cluster does not speak of it any more."""
        self._agents.pop(compute, None)

    def find(self, compute: str) -> AgentInfo | None:
        return self._agents.get(compute)

    def computes(self) -> tuple[str, ...]:
        return tuple(self._agents)

    def take(self, database: str, postgres_version: str | None) -> AgentInfo | None:
        """The agent that has been warm for longest, for good; None: the database waits."""
        for compute, agent in self._agents.items():
            if compute in self._taken or postgres_version not in (None, agent.postgres_version):
                continue
            self.bind(database, compute)
            self.stop_waiting(database)
            return agent
        if database not in self._waiting:
            self._waiting[database] = None
            self.revision += 1
        return None

    def stop_waiting(self, database: str) -> None:
        if database in self._waiting:
            del self._waiting[database]
            self.revision += 1
