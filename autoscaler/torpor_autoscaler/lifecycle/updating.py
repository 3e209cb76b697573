"""A compute that is not as its pool makes them now: its database leaves it when nobody is at work.

That it is so says the compute's own :class:`AgentInfo`, and only where its pool wants this. It is a
switchover like any other: sessions are parked, and their clients' next bytes wait for a moment.
"""

from __future__ import annotations

from torpor_autoscaler.core.reasons import Weight
from torpor_autoscaler.core.sleep import SleepChoice, was_seen_idle
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Run, Switching
from torpor_autoscaler.lifecycle.leaving import NOBODY

BECAUSE = "its compute was of an older image or pool spec"

WORDS = "its compute is of an older image or pool spec: it moves when nobody is at work"


def is_outdated(database: Database, run: Run) -> bool:
    """A volume of its own lets the next compute begin only when the last one has ended: that takes
    too long to be done unasked."""
    agent = database.world.pool.find(run.agent.compute)
    return agent is not None and agent.is_outdated and not database.has_own_volume


def take_up(database: Database, run: Run, decision: SleepChoice, now: float) -> None:
    """Begin a move where it is its turn and a fresh compute waits for it."""
    updates = database.world.updates
    if database.switching is not None:
        return
    if not is_outdated(database, run):
        updates.forget(database.name)
    elif not _is_at_rest(database, decision, now):
        updates.pass_on(database.name)
    elif _is_its_turn(database, now) and _has_reserved(database):
        tries = updates.times_put_off(database.name)
        patience_s = database.world.limits.update_patience_s
        database.switching = Switching(NOBODY, patience_s, because=BECAUSE, tries=tries)


def let_others_go_first(database: Database) -> None:
    """It can't move as long as its compute does not serve, or does not answer."""
    if database.switching is None:
        database.world.updates.pass_on(database.name)


def look_again_at(database: Database, run: Run) -> tuple[float, ...]:
    """When time alone may make a move due."""
    if not is_outdated(database, run):
        return ()
    world = database.world
    at_rest_at = database.used_at + world.limits.update_idle_s
    template = world.pool.template(database.pool)
    turn_at = world.updates.may_begin_at(database.pool, database.name, world.now, template)
    return at_rest_at, turn_at


def _is_at_rest(database: Database, decision: SleepChoice, now: float) -> bool:
    """Nobody has used it for a moment, nothing runs inside, and every session can be parked."""
    if decision.against(Weight.IN_USE, Weight.UNKNOWN, Weight.INSIDE):
        return False
    at = database.used_at + database.world.limits.update_idle_s
    return now >= at and was_seen_idle(database.world.proxies.views(database.name, now), at)


def _is_its_turn(database: Database, now: float) -> bool:
    world = database.world
    template = world.pool.template(database.pool)
    return world.updates.take_turn(database.pool, database.name, now, template)


def _has_reserved(database: Database) -> bool:
    version = database.resource.spec.postgres_version
    pool = database.world.pool
    found = pool.reserve(database.name, version, pool=database.pool, is_current=True)
    return found is not None
