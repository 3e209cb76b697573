"""The fleet as a person looks at it: a row a database, a row a compute, a row a pool. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_api.sizes import units_of
from torpor_autoscaler.lifecycle import why
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.warm_pool import WarmPool
from torpor_autoscaler.lifecycle.world import World

WHY_CHARACTERS_MAX = 200
"""Of a row: `torpor why` has the rest."""


def of_database(
    database: Database, now: float, wakes: int, slowest_wake_ms: float | None
) -> m.DatabaseRow:
    """As it is known at this moment; nobody is asked for it."""
    told = _sampled(database, now)
    sample = database.watched.history.latest if database.watched is not None else None
    last, memory = database.last_resume, sample.memory_bytes if sample is not None else None
    is_unready = database.trouble is not None and database.trouble.is_final
    return m.DatabaseRow(
        name=database.name,
        phase=database.phase,
        cu=database.size.cu,
        max_cu=database.resource.spec.max_cu,
        epoch=database.status.epoch,
        compute=database.run.agent.compute if database.run is not None else "",
        pool=database.pool,
        **told,
        queries_per_s=database.world.proxies.queries_per_s(database.name),
        cpu=sample.cpu if sample is not None else None,
        memory_bytes=None if memory is None else int(memory),
        wakes_last_hour=wakes,
        slowest_wake_ms=slowest_wake_ms,
        last_wake_ms=None if last is None else last.total_ms,
        last_wake_at="" if last is None else last.at,
        last_wake_cause="" if last is None else last.cause,
        why=_why(database, now),
        is_ready=not is_unready and database.phase is not Phase.FAILED,
        claim=database.status.storage.claim if database.status.storage is not None else "",
    )


def of_computes(world: World, databases: Mapping[str, Database]) -> m.Computes:
    """All that are there, in every pool."""
    pool = world.pool
    computes = [_of_compute(pool, name, databases) for name in pool.computes()]
    return m.Computes(
        pools=tuple(_of_pool(world, name, computes) for name, _ in world.stocks),
        computes=tuple(sorted(computes, key=lambda row: (row.pool, row.state, row.compute))),
        proxies=world.proxies.names,
    )


def _sampled(database: Database, now: float) -> dict[str, int]:
    """Summed over all proxies. Of a database without a compute their last samples may be older than
    that: whoever was attached is parked now."""
    fields = {"sessions": 0, "attached": 0, "parked": 0, "waiting": 0, "busy": 0, "pinned": 0}
    for view in database.world.proxies.views(database.name, now):
        if view.sample is not None:
            for field in fields:
                of_sample = "pinned_sessions" if field == "pinned" else field
                fields[field] += getattr(view.sample, of_sample)
    if database.run is None:
        parked = fields["parked"] + fields["attached"]
        fields |= {"attached": 0, "parked": parked, "busy": 0, "pinned": 0}
    return fields


def _why(database: Database, now: float) -> str:
    """The first of its reasons. What is decided for a moment only is said as well."""
    if database.run is None and database.trouble is None and database.blocked_by is None:
        return ""
    lines = why.lines(database, now)
    return lines[0][:WHY_CHARACTERS_MAX] if lines else ""


def _of_compute(pool: WarmPool, name: str, databases: Mapping[str, Database]) -> m.ComputeRow:
    agent, owner = pool.find(name), pool.database_of(name)
    assert agent is not None
    database = databases.get(owner or "")
    run = database.run if database is not None else None
    serves = run is not None and run.agent.compute == name
    size = agent.size
    return m.ComputeRow(
        compute=name,
        state=_state(pool, name),
        pool=agent.pool,
        node=agent.node,
        database=owner or agent.database,
        epoch=run.epoch if run is not None and serves else None,
        cu=None if size is None else units_of(size.cpu_milli, size.memory_bytes),
        is_outdated=agent.is_outdated,
    )


def _state(pool: WarmPool, name: str) -> m.ComputeState:
    if pool.leaves_at(name) is not None:
        return m.ComputeState.LEAVING
    if pool.is_free(name):
        return m.ComputeState.WARM
    return m.ComputeState.CLAIMED if pool.database_of(name) else m.ComputeState.RESERVED


def _of_pool(world: World, name: str, computes: list[m.ComputeRow]) -> m.PoolRow:
    need = world.pool.need(name)
    states = [row.state for row in computes if row.pool == name]
    stock = world.stocks.of(name)
    return m.PoolRow(
        name=name,
        wanted=need.size,
        warm=states.count(m.ComputeState.WARM),
        claimed=states.count(m.ComputeState.CLAIMED),
        waiting=len(need.waiting),
        why=stock.decision,
    )
