"""How large: a compute is given its database's size, and Postgres's settings follow.

In place, under whatever its sessions do. What only another start brings comes by a switchover,
which is tried a few times and never at the cost of a session; so does the size itself where its
machine has no room for it and a warm compute on another one might.

Whatever the machine says of the compute's size comes as a fact of its agent, so it makes no
difference who else has changed it, nor whether we were there when it was asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from torpor_api.failures import Failure, Refused, Unavailable
from torpor_api.messages import AgentInfo, FollowSize, ResizeCompute, Resized
from torpor_api.sizes import Size, cpu_milli, memory_bytes, units_of
from torpor_api.values import CU_MAX
from torpor_autoscaler.lifecycle import outcomes
from torpor_autoscaler.lifecycle.actions import AskAgent, AskCluster, Plan, ask
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Run, Sizing, Switching
from torpor_autoscaler.lifecycle.leaving import NOBODY
from torpor_autoscaler.lifecycle.limits import backoff_s


@dataclass(frozen=True, slots=True)
class Shortcoming:
    """In what its compute is not as it shall be, for a person."""

    reason: str
    """In a word."""
    message: str


def is_due(database: Database, run: Run, now: float) -> bool:
    """Whether something can be done now, short of a switchover."""
    sizing = database.sizing_of(run)
    if now < sizing.retry_at:
        return False
    if not _has_size(database, run, sizing.size):
        return now >= _ask_again_at(database, sizing)
    has_come = bool(database.resizers) and not sizing.needs_restart
    return not sizing.has_followed or has_come


def resize(database: Database, run: Run) -> Plan[None]:
    """One step. A failure is kept, and the next try waits; what the machine refuses it says."""
    sizing = database.sizing_of(run)
    try:
        if not _has_size(database, run, sizing.size):
            if not _is_larger(database, sizing):
                # Less is taken from a container only where it does not have it in use.
                yield from _follow(database, run, sizing)
            yield from _ask_machine(database, run, database.sizing_of(run))
        elif not sizing.has_followed:
            yield from _follow(database, run, sizing)
        else:
            _answer_done(database, sizing)
    except Failure as failure:
        _hold_back(database, run, failure)


def _ask_machine(database: Database, run: Run, sizing: Sizing) -> Plan[None]:
    request = ResizeCompute(compute=run.agent.compute, cu=sizing.size.cu)
    asked = replace(sizing, asked_at=database.world.now, asks=sizing.asks + 1)
    database.sizing = asked
    yield from ask(AskCluster(request))
    database.sizing = replace(asked, failure=None, tries=0)
    outcomes.note(database, "resize_asked", cu=float(sizing.size.cu))


def _follow(database: Database, run: Run, sizing: Sizing) -> Plan[None]:
    size = sizing.size
    request = FollowSize(epoch=run.epoch, cu=size.cu, max_cu=size.max_cu)
    reply = yield from ask(AskAgent(run.agent, request))
    followed = replace(
        sizing, has_followed=True, failure=None, tries=0, needs_restart=reply.needs_restart
    )
    database.sizing = followed
    cu, needs_restart = float(size.cu), reply.needs_restart
    outcomes.note(database, "size_followed", cu=cu, needs_restart=needs_restart)


def _hold_back(database: Database, run: Run, failure: Failure) -> None:
    limits, sizing = database.world.limits, database.sizing_of(run)
    if database.sizing is not None and database.sizing.size != sizing.size:
        return  # Another size was chosen meanwhile: that one has not failed.
    pause_s = backoff_s(sizing.tries + 1, limits.resize_backoff_s_min, limits.resize_backoff_s_max)
    database.sizing = replace(
        sizing,
        asked_at=None,
        failure=failure,
        tries=sizing.tries + 1,
        retry_at=database.world.now + pause_s,
    )
    outcomes.warn(database, "not_resized", reason=failure.message)
    if not failure.retryable and not isinstance(failure, Refused):
        outcomes.answer_resizes(database, failure)  # A refusal is answered by :func:`take_up`.


# --- by a switchover -----------------------------------------------------------------------------


def take_up(database: Database, run: Run, now: float) -> None:
    """Begin a move to a fresh compute where only that helps, and answer who waits in vain."""
    sizing, limits = database.sizing_of(run), database.world.limits
    if database.switching is not None:
        return
    if not _is_move_needed(database, run, sizing):
        database.world.pool.stop_waiting(database.name)
    elif not _may_move(database, run, sizing, now):
        _give_up_for_now(database, run, sizing)
    elif database.has_own_volume or _reserve(database, run) is not None:
        moves = sizing.moves + 1
        pause_s = backoff_s(moves, limits.resize_backoff_s_min, limits.resize_backoff_s_max)
        database.sizing = replace(sizing, moves=moves, move_at=now + pause_s)
        database.switching = Switching(
            NOBODY, limits.resize_patience_s, because=_because(sizing), tries=sizing.moves
        )


def _because(sizing: Sizing) -> str:
    if sizing.needs_restart:
        return f"only another start changes it: {'; '.join(sizing.needs_restart)}"
    return f"only so does it get {_wanted(sizing)}"


def _reserve(database: Database, run: Run) -> AgentInfo | None:
    """A compute to move to; None: one is on its way, and nobody waits behind closed gates."""
    version = database.resource.spec.postgres_version
    avoided = _avoided_node(database, run)
    return database.world.pool.reserve(database.name, version, pool=database.pool, not_on=avoided)


def _is_move_needed(database: Database, run: Run, sizing: Sizing) -> bool:
    if sizing.needs_restart:
        return True
    return bool(_refusal(database, run, sizing)) and _is_worth_a_pause(database, run, sizing)


def _is_worth_a_pause(database: Database, run: Run, sizing: Sizing) -> bool:
    """What somebody wants: a smaller one once the machine was asked more than once, for it may have
    looked before what is in the way was gone. Of sizes that were measured only a larger one for
    what is in memory, for want of which Postgres would be ended: others wait until the machine has
    room."""
    is_larger = _is_larger(database, sizing)
    if database.chosen_cu is not None:
        return is_larger or sizing.asks > database.world.limits.shrink_asks
    if not is_larger:
        return False
    choice = None if database.watched is None else database.watched.choice
    is_for_memory = choice is not None and choice.is_for_memory
    return is_for_memory or sizing.size.cu <= database.min_cu


def _is_larger(database: Database, sizing: Sizing) -> bool:
    return sizing.size.cu > (current_cu(database) or Decimal(0))


def _may_move(database: Database, run: Run, sizing: Sizing, now: float) -> bool:
    """Where the machine has no room, another compute on the same one has none either."""
    if sizing.moves >= database.world.limits.resize_moves_max or now < sizing.move_at:
        return False
    avoided = _avoided_node(database, run)
    version = database.resource.spec.postgres_version
    pool = database.world.pool
    return avoided is None or pool.has_free(version, pool=database.pool, not_on=avoided)


def _avoided_node(database: Database, run: Run) -> str | None:
    """On which a fresh compute would be of no use."""
    sizing, agent = database.sizing_of(run), _agent(database, run)
    is_refused = isinstance(sizing.failure, Refused)
    is_full = is_refused or (agent.size is not None and agent.size.is_for_want_of_room)
    return agent.node if is_full and _refusal(database, run, sizing) else None


def _give_up_for_now(database: Database, run: Run, sizing: Sizing) -> None:
    """Whoever waits hears how far it has come."""
    refusal = _refusal(database, run, sizing)
    if refusal:
        words = f"{database.name} does not get {_wanted(sizing)}: {refusal}"
        hint = f"it stays asked for; see `torpor why {database.name}`"
        outcomes.answer_resizes(database, Unavailable(words, hint))
    elif _has_size(database, run, sizing.size) and sizing.has_followed:
        _answer_done(database, sizing)


def started(database: Database, run: Run, size: Size) -> None:
    """Its Postgres was started for this size. Moves that were made for it count as before."""
    database.measured_cu = size.cu
    before = database.sizing_of(run)
    moves = replace(before, has_followed=True)
    database.sizing = moves if before.size == size else Sizing(run.epoch, size, has_followed=True)


# --- what is known -------------------------------------------------------------------------------


def shortcomings(database: Database, run: Run) -> Iterator[Shortcoming]:
    """Nothing for a compute that is as it shall be."""
    sizing = database.sizing_of(run)
    wanted = _wanted(sizing)
    refusal = _refusal(database, run, sizing)
    if refusal:
        yield Shortcoming("NoRoom", f"it does not get {wanted}: {refusal}")
    elif sizing.failure is not None:
        yield Shortcoming("NotResized", f"it does not get {wanted}: {sizing.failure.message}")
    elif sizing.asks > 1 and not _has_size(database, run, sizing.size):
        yield Shortcoming("NotYet", f"it does not get {wanted}, and its kubelet does not say why")
    if sizing.needs_restart:
        held_back = f" ({sizing.moves} tries)" if sizing.moves else ""
        words = "; ".join(sizing.needs_restart)
        yield Shortcoming("NeedsSwitchover", f"a switchover is needed{held_back}: {words}")


def current_cu(database: Database) -> Decimal | None:
    """The size that the compute has now, in whole steps."""
    run = database.run
    if run is None:
        return None
    size = _agent(database, run).size
    if size is not None:
        return min(units_of(size.cpu_milli, size.memory_bytes), Decimal(CU_MAX))
    sizing = database.sizing_of(run)
    return sizing.size.cu if sizing.has_followed else database.status.current_cu


def is_limited(database: Database, run: Run) -> bool:
    """Whether its machine lets the compute use no more than its size."""
    return _agent(database, run).size is not None


def why_unlimited(database: Database, run: Run) -> str:
    """In the machine's words; empty: it does not say."""
    return _agent(database, run).why_unlimited


def look_again_at(database: Database, run: Run) -> tuple[float, ...]:
    """When time alone will make something due."""
    sizing = database.sizing_of(run)
    found = [sizing.retry_at]
    if not _has_size(database, run, sizing.size):
        found.append(_ask_again_at(database, sizing))
    if _is_move_needed(database, run, sizing):
        found.append(sizing.move_at)
    return tuple(found)


def _wanted(sizing: Sizing) -> str:
    return f"{sizing.size.cu.normalize():f} CU"


def _answer_done(database: Database, sizing: Sizing) -> None:
    last = database.last_switchover
    pause_ms = last.pause_ms if sizing.moves and last is not None else None
    needs_restart = sizing.needs_restart
    answer = Resized(
        cu=sizing.size.cu,
        pause_ms=None if needs_restart else pause_ms,
        needs_restart=needs_restart,
    )
    outcomes.answer_resizes(database, answer)


def _agent(database: Database, run: Run) -> AgentInfo:
    """As it was last heard of; the one that the run was begun with knew less."""
    return database.world.pool.find(run.agent.compute) or run.agent


def _has_size(database: Database, run: Run, size: Size) -> bool:
    """Where nobody limits computes, each has any size."""
    found = _agent(database, run).size
    wanted = (cpu_milli(size.cu), memory_bytes(size.cu))
    return found is None or (found.cpu_milli, found.memory_bytes) == wanted


def _refusal(database: Database, run: Run, sizing: Sizing) -> str:
    """Of what was asked for last: the cluster's, which knows the node, or the kubelet's own."""
    if _has_size(database, run, sizing.size):
        return ""
    if isinstance(sizing.failure, Refused):
        return sizing.failure.message
    found = _agent(database, run).size
    return found.refusal if found is not None and sizing.asked_at is not None else ""


def _ask_again_at(database: Database, sizing: Sizing) -> float:
    """The machine goes on trying by itself; that it was asked may have been undone."""
    if sizing.asked_at is None:
        return float("-inf")
    return sizing.asked_at + database.world.limits.resize_again_s
