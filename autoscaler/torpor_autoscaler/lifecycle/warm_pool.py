"""How many agents wait warm, and which one a database gets.

An agent that was taken once is never given out again, whatever came of it. How many wait follows
from how often databases wake (:mod:`stock`).

On a cluster there are several pools, each with a volume that only its own computes mount: a
database gets none of another pool's. One machine has one pool, and it has no name.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from torpor_api.messages import AgentInfo
from torpor_api.values import WARM_MAX

REMEMBERED_MAX = 10_000
"""News that is older than so many deaths of computes does not come any more; nor does word of a
claim that so many came after."""


@dataclass(frozen=True, slots=True)
class Need:
    """Of one pool: what the cluster should hear of again when it changes."""

    size: int
    """How many agents shall be warm."""
    claimed: tuple[str, ...]
    waiting: tuple[str, ...]


class WarmPool:
    """Every agent that the cluster has told of, of whichever pool, and who was taken."""

    def __init__(self, size: int, pool: str = "") -> None:
        """``size``: so many wait in this pool at first; in others none."""
        self._sizes = {pool: size}
        self._pool = pool
        self._pools = {pool}
        self._agents: dict[str, AgentInfo] = {}
        self._taken: set[str] = set()
        self._untaken: dict[str, AgentInfo] = {}
        """The agents that are not: few, where thousands serve somebody."""
        self._gone: dict[str, None] = {}
        """The latest that are gone: late news of them must not bring them back."""
        self._claiming: dict[str, set[str]] = {}
        """For whom computes were taken, where no record has been seen to say so: these claims may
        be under way, or be stored without our having heard of it. The latest."""
        self._waiting: dict[str, str | None] = {}
        """Databases, and in which pool; None: for a compute with its own volume, which is made for
        it, whatever is warm."""
        self._bound: dict[str, str] = {}
        self._reserved: dict[str, str] = {}
        """Kept for a database that may yet need none: not taken, and given to no other."""
        self._leaving: dict[str, float] = {}
        """Those that were told to end, and until when their Postgres goes on."""
        self._has_returned = False
        self.revision = 0
        """Grows whenever a need may have changed."""

    @property
    def pools(self) -> tuple[str, ...]:
        """Those that were ever spoken of."""
        return tuple(self._pools)

    @property
    def size_wanted(self) -> int:
        """In all pools."""
        return sum(self.need(pool).size for pool in self._pools)

    def set_size(self, pool: str, size: int) -> bool:
        """So many shall wait from now on; whether that is another number."""
        if self._sizes.get(pool, 0) == size:
            return False
        self._sizes[pool] = size
        self._pools.add(pool)
        self.revision += 1
        return True

    def missing(self, pool: str) -> int:
        """Members that are needed and not warm; below 0: so many are too many."""
        untaken = self._untaken.values()
        shared = (agent for agent in untaken if agent.pool == pool and not agent.database)
        warm = sum(not self._is_spent(agent.compute) for agent in shared)
        return self.need(pool).size - warm

    def need(self, pool: str) -> Need:
        """With a size of 0 an agent is started only when somebody waits for one.

        A reserved one is still warm, and none that others could have. On a cluster everybody who
        waits gets one started at once. On one machine they would only keep each other from the
        cores: one at a time, and the next when that is claimed.
        """
        waiting = tuple(name for name, where in self._waiting.items() if where == pool)
        started = len(waiting) if self._pool else min(len(waiting), 1)
        reserved = sum(self._is_warm_in(pool, compute) for compute in self._reserved.values())
        least = self._sizes.get(pool, 0)
        return Need(
            size=min(max(least, started) + reserved, WARM_MAX),
            # A cluster's records say who is claimed.
            claimed=() if self._pool else self.claimed,
            waiting=waiting,
        )

    def _is_warm_in(self, pool: str, compute: str) -> bool:
        agent = self._agents.get(compute)
        return agent is not None and agent.pool == pool and not agent.database

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
            if agent.compute not in self._taken:
                self._untaken[agent.compute] = agent
            self._note_pool(agent.pool)
            if agent.is_leaving:
                self.leaves(agent.compute, inf)
            if agent.is_taken:
                self._release_those_with(agent.compute)

    def _note_pool(self, pool: str) -> None:
        if pool and pool not in self._pools:
            self._pools.add(pool)
            self.revision += 1

    def leaves(self, compute: str, until: float) -> bool:
        """It was told to end, and nobody gets it any more; whether that is news."""
        if compute not in self._agents:
            return False
        is_news = compute not in self._leaving
        self._leaving[compute] = min(until, self._leaving.get(compute, inf))
        self._release_those_with(compute)
        return is_news

    def leaves_at(self, compute: str) -> float | None:
        """When its Postgres is ended, infinite where nobody has said when; None: it stays."""
        return self._leaving.get(compute)

    def _bury(self, compute: str) -> None:
        self.forget(compute)
        self._taken.discard(compute)
        self._gone[compute] = None
        _keep_latest(self._gone)

    def is_over(self, compute: str) -> bool:
        """It is gone, so that nobody gets it any more, and no claim of it may be under way."""
        return compute in self._gone and compute not in self._claiming

    @property
    def claimed(self) -> tuple[str, ...]:
        """Computes that are bound to a database now; the cluster ends used ones that are not."""
        return tuple(sorted(self._bound.values()))

    def bind(self, database: str, compute: str) -> None:
        """It serves the database, or may do so: never to be given out."""
        self._take(compute)
        self._bound[database] = compute
        self.revision += 1

    def spend(self, compute: str, database: str) -> None:
        """A record says that it serves the database, or has: never to be given out."""
        claiming = self._claiming.get(compute, set())
        claiming.discard(database)
        if not claiming:
            self._claiming.pop(compute, None)
        if compute not in self._gone:
            self._take(compute)

    def _take(self, compute: str) -> None:
        self._taken.add(compute)
        self._untaken.pop(compute, None)

    def unbind(self, database: str) -> None:
        """No compute serves the database; the one that did is of no more use."""
        self.release(database)
        if self._bound.pop(database, None) is not None:
            self.revision += 1

    def give_back(self, database: str, compute: str) -> None:
        """It was taken for a claim that never came to be, and nobody has asked it anything.

        On a cluster it is warm again. One machine has heard that it was claimed, and ends it.
        """
        self.unbind(database)
        if self._pool:
            self._taken.discard(compute)
            if compute in self._agents:
                self._untaken[compute] = self._agents[compute]
            self._has_returned = True

    def database_of(self, compute: str) -> str | None:
        """Whom the compute serves, or was meant to serve."""
        return next((name for name, bound in self._bound.items() if bound == compute), None)

    def forget(self, compute: str) -> None:
        """The cluster does not speak of it any more."""
        self._agents.pop(compute, None)
        self._untaken.pop(compute, None)
        self._leaving.pop(compute, None)
        self._release_those_with(compute)

    def _release_those_with(self, compute: str) -> None:
        for database in [name for name, kept in self._reserved.items() if kept == compute]:
            self.release(database)

    def find(self, compute: str) -> AgentInfo | None:
        return self._agents.get(compute)

    def template(self, pool: str) -> str:
        """That its computes are made of now; empty: none is there that could say so."""
        made = (agent for agent in reversed(self._agents.values()) if agent.pool == pool)
        return next((agent.template for agent in made if not agent.is_outdated), "")

    def may_claim(self, compute: str) -> bool:
        """It is there, and has not been told to end."""
        return compute in self._agents and compute not in self._leaving

    def computes(self) -> tuple[str, ...]:
        return tuple(self._agents)

    def take(
        self,
        database: str,
        postgres_version: str | None,
        *,
        pool: str = "",
        with_own_volume: bool = False,
    ) -> AgentInfo | None:
        """The agent that has been warm for longest, for good; None: the database waits.

        One that was reserved for the database comes first. ``with_own_volume``: one that was made
        for this database alone.
        """
        agent = self.reserve(database, postgres_version, pool=pool, with_own_volume=with_own_volume)
        if agent is not None:
            del self._reserved[database]
            self.bind(database, agent.compute)
            self._claiming.setdefault(agent.compute, set()).add(database)
            _keep_latest(self._claiming)
        return agent

    def has_free(self, postgres_version: str | None, *, pool: str = "", not_on: str) -> bool:
        """Whether one is warm on another node."""
        wanted = _Wanted(postgres_version, pool, "", not_on)
        return any(
            self._is_free(compute) and wanted.fits(agent)
            for compute, agent in self._untaken.items()
        )

    def reserve(
        self,
        database: str,
        postgres_version: str | None,
        *,
        pool: str = "",
        with_own_volume: bool = False,
        not_on: str | None = None,
        is_current: bool = False,
    ) -> AgentInfo | None:
        """As :meth:`take`, but it can be released; the same one however often this is asked.

        ``not_on``: a node that it must not be on. ``is_current``: none that is outdated itself.
        """
        owner = database if with_own_volume else ""
        wanted = _Wanted(postgres_version, pool, owner, not_on, is_current)
        kept = self._agents.get(self._reserved.get(database, ""))
        if kept is not None and wanted.fits(kept):
            return kept
        self.release(database)
        for compute, agent in self._untaken.items():
            if self._is_free(compute) and wanted.fits(agent):
                self._reserved[database] = compute
                self.revision += 1
                self.stop_waiting(database)
                return agent
        self._wait(database, None if with_own_volume else pool)
        return None

    def _wait(self, database: str, pool: str | None) -> None:
        if database not in self._waiting or self._waiting[database] != pool:
            self._waiting[database] = pool
            self._note_pool(pool or "")
            self.revision += 1

    def has_reserved(self, database: str) -> bool:
        """Still: it may have been told to end, or be gone."""
        return database in self._reserved

    def release(self, database: str) -> None:
        """What was reserved for it was never claimed: it is warm for whoever comes next."""
        if self._reserved.pop(database, None) is not None:
            self._has_returned = True
            self.revision += 1

    def collect_returned(self) -> bool:
        """Whether agents were released since this was last asked: those who wait look again."""
        has_returned, self._has_returned = self._has_returned, False
        return has_returned

    def is_free(self, compute: str) -> bool:
        """Whoever comes next may have it, if it suits him."""
        return compute in self._agents and self._is_free(compute)

    def is_taken(self, compute: str) -> bool:
        """By a database that we know."""
        return compute in self._taken

    def _is_free(self, compute: str) -> bool:
        return compute not in self._reserved.values() and not self._is_spent(compute)

    def _is_spent(self, compute: str) -> bool:
        is_kept = compute in self._taken or compute in self._leaving
        return is_kept or self._agents[compute].is_taken

    def stop_waiting(self, database: str) -> None:
        if database in self._waiting:
            del self._waiting[database]
            self.revision += 1


def _keep_latest(remembered: dict[str, Any]) -> None:
    if len(remembered) > REMEMBERED_MAX:
        del remembered[next(iter(remembered))]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an agent has to be like; ``owner``: made for this database alone."""

    postgres_version: str | None
    pool: str
    owner: str
    not_on: str | None
    is_current: bool = False

    def fits(self, agent: AgentInfo) -> bool:
        reaches_volume = agent.database == self.owner and bool(
            self.owner or agent.pool == self.pool
        )
        is_elsewhere = self.not_on is None or agent.node != self.not_on
        is_right = self.postgres_version in (None, agent.postgres_version)
        is_recent = not (self.is_current and agent.is_outdated)
        return reaches_volume and is_elsewhere and is_right and is_recent
