"""A fleet under all policies: shards of databases on some processes, added in order.

A database's die is seeded by its number, and sums are made shard by shard, so a run is the same to
the last bit on any number of processes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import get_all_start_methods, get_context
from random import Random
from typing import Final

from torpor_autoscaler.core.idle_timeout import Terms
from torpor_simulator import learned, scheduled
from torpor_simulator.arrivals import Arrivals
from torpor_simulator.falling import Hold
from torpor_simulator.life import Life
from torpor_simulator.policies import Policy
from torpor_simulator.pool import Pooled, pooled, together
from torpor_simulator.recorded import Recording
from torpor_simulator.replay import Account, accounts, hold_of, knocked
from torpor_simulator.tally import Moments, Tally, no_moments
from torpor_simulator.trace_file import Trace

SHARD: Final = 1_000
"""Databases; fewer would be more sums of seconds, more would be a rougher progress."""

POOL_SHARDS: Final = 10
"""Databases that share a warm pool, in shards: ten thousand wake some hundred times a second when
they sleep after a second, and a pool has at most a thousand members."""

POOLS_MAX: Final = 2
"""Pools that are simulated, the first ones; their share of cold starts and their cost stand for the
others'."""

WAITING_PRICE: Final = Terms().waiting_price

Progress = Callable[[int, int], None]
"""How many databases are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be simulated."""

    source: Trace | Recording
    policies: tuple[Policy, ...]
    databases: int
    """Of a recording: at most those that it has."""
    seed: int = 0
    waiting_price: float = WAITING_PRICE
    """CU-seconds that a second of a client's waiting is worth to ``auto``."""

    @property
    def number(self) -> int:
        if isinstance(self.source, Recording):
            return min(self.databases, len(self.source.databases))
        return self.databases


@dataclass(slots=True)
class Sum:
    """Of some databases under all policies."""

    tallies: list[Tally]
    databases: int = 0
    used: int = 0
    """Databases with any query."""
    queries: int = 0

    def add(self, other: Sum) -> None:
        for mine, its in zip(self.tallies, other.tallies, strict=True):
            mine.add(its)
        self.databases += other.databases
        self.used += other.used
        self.queries += other.queries


class Fleet:
    """One process's part of the work."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self._duration_s = order.source.duration_s
        self._arrivals = Arrivals(order.source) if isinstance(order.source, Trace) else None
        self._terms: dict[float, Terms] = {}

    def shard(self, number: int) -> Sum:
        order = self._order
        found = Sum([Tally() for _ in order.policies])
        if number < POOL_SHARDS * POOLS_MAX:
            for policy, tally in zip(order.policies, found.tallies, strict=True):
                tally.moments = no_moments(self._duration_s) if policy.is_ours else None
        for at in range(number * SHARD, min((number + 1) * SHARD, order.number)):
            self._count(self.life(at), found)
        return found

    def life(self, at: int) -> Life:
        """Of the database with this number."""
        if self._arrivals is not None:
            return self._arrivals.life(Random((self._order.seed << 40) + at))
        assert isinstance(self._order.source, Recording)
        return self._order.source.databases[at].life(self._duration_s)

    def _count(self, life: Life, found: Sum) -> None:
        found.databases += 1
        found.used += life.is_used
        found.queries += life.queries
        policies = self._order.policies
        holds = {
            policy.name: hold_of(policy, life, policy.timeout_s)
            for policy in policies
            if policy.timeout_s is not None
        }
        fixed = accounts(life, tuple(holds.values()), self._duration_s)
        for policy, tally in zip(policies, found.tallies, strict=True):
            tally.count(policy, life, self._account(policy, life, holds, fixed))

    def _account(
        self, policy: Policy, life: Life, holds: dict[str, Hold], fixed: dict[Hold, Account]
    ) -> Account:
        if policy.timeout_s is None:
            return learned.account(life, self._terms_of(life.cu), policy.falls, self._duration_s)
        if policy.is_scheduled and life.period_s:
            return scheduled.account(life, policy.timeout_s, policy.falls, self._duration_s)
        if policy.knock_wakes and life.knocks:
            return knocked(life, holds[policy.name].until_s, policy.timeout_s, self._duration_s)
        return fixed[holds[policy.name]]

    def _terms_of(self, cu: float) -> Terms:
        if cu not in self._terms:
            self._terms[cu] = learned.terms_for(cu, self._order.waiting_price)
        return self._terms[cu]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of a whole run."""

    total: Sum
    pools: tuple[Pooled | None, ...]
    """Of each policy, as if all pools had been simulated; None: it has none of ours."""


def run(order: Order, processes: int, progress: Progress) -> Outcome:
    """All shards, on so many processes, and then the pools."""
    total = Sum([Tally() for _ in order.policies])
    shards = range(-(-order.number // SHARD))
    pools: dict[tuple[int, int], Moments] = {}
    for number, part in enumerate(_parts(order, shards, processes)):
        for at, tally in enumerate(part.tallies):
            if tally.moments is not None:
                _gather(pools, (at, number // POOL_SHARDS), tally.moments)
        total.add(part)
        progress(total.databases, order.number)
    share = min(POOL_SHARDS * POOLS_MAX * SHARD / max(order.number, 1), 1.0)
    return Outcome(
        total, tuple(_pooled(order, at, pools, share) for at in range(len(order.policies)))
    )


def _gather(pools: dict[tuple[int, int], Moments], key: tuple[int, int], found: Moments) -> None:
    if key in pools:
        pools[key].add(found)
    else:
        pools[key] = found


def _pooled(
    order: Order, at: int, pools: dict[tuple[int, int], Moments], share: float
) -> Pooled | None:
    """``share``: of the fleet, that these pools serve."""
    if not order.policies[at].is_ours:
        return None
    mine = [
        pooled(moments, Random((order.seed << 40) + number))
        for (policy, number), moments in sorted(pools.items(), key=lambda item: item[0])
        if policy == at
    ]
    found = together(mine)
    return Pooled(found.wakes, found.cold, found.cu_s / share, found.size_max)


def _parts(order: Order, shards: Sequence[int], processes: int) -> Iterator[Sum]:
    if processes == 1 or len(shards) < 2:
        fleet = Fleet(order)
        yield from map(fleet.shard, shards)
        return
    # Nothing here has started a thread, which is what a fork would have to fear; and a spawned one
    # leaves a tracker of resources behind.
    method = "fork" if "fork" in get_all_start_methods() else "spawn"
    with get_context(method).Pool(processes, _begin, (order,)) as pool:
        yield from pool.imap(_shard, shards)


_fleet: list[Fleet] = []
"""Of a process of the pool."""


def _begin(order: Order) -> None:
    _fleet.append(Fleet(order))


def _shard(number: int) -> Sum:
    return _fleet[0].shard(number)
