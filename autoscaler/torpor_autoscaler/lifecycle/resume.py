"""Resume: from a wish to a ready Postgres. One attempt; whoever calls it decides on the next.

The order is the safety: the last holder is out of the way, then the claim (compare-and-swap, epoch
plus one, a compute that nobody had before), then the start. Everything that may fail harmlessly
comes before the claim, because a claimed compute is never used again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torpor_api.failures import (
    BoundElsewhere,
    Conflict,
    DataDamaged,
    Failure,
    Holder,
    NotFenced,
    NoWarmCompute,
    StaleEpoch,
    Unavailable,
)
from torpor_api.messages import (
    AgentInfo,
    AskAgentState,
    FetchVerifiers,
    LocateStorage,
    StartCompute,
    Started,
    StoragePlace,
)
from torpor_api.phases import Phase
from torpor_api.resource import ServerlessDatabase
from torpor_api.sizes import Size
from torpor_api.transition import TransitionKind
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.lifecycle import listening, outcomes, resizing
from torpor_autoscaler.lifecycle.actions import (
    Action,
    AskAgent,
    AskCluster,
    NotAsked,
    Plan,
    Together,
    Wait,
    ask,
)
from torpor_autoscaler.lifecycle.chain import Trace
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.idling import Idling
from torpor_autoscaler.lifecycle.known import HeldBack, OpenResume, Run
from torpor_autoscaler.lifecycle.settle import LOOK_AGAIN_S, UNDECIDED, fence, pause, serves
from torpor_autoscaler.lifecycle.status import missing_storage
from torpor_autoscaler.lifecycle.writing import read, write

WAITED_FOR = "wait for a warm compute"
"""In the chain of a resume."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What a start needs to know; the resource is the one that it was asked for."""

    place: StoragePlace
    verifiers: dict[str, str]
    resource: ServerlessDatabase
    size: Size


def resume(database: Database) -> Plan[None]:
    """Afterwards the database is awake, or in trouble, or nobody wants it any more.

    Raises what the cluster or the fencer answered; nothing is started then.
    """
    watch = _begun(database)
    _remember(database, watch.cause)
    watch.lap("last compute ends", database.world.now)
    yield from fence(database)
    watch.lap("confirm it is gone", database.world.now)
    try:
        prepared = yield from _prepare(database)
    except DataDamaged as failure:
        outcomes.fail_start(database, failure, database.world.now, is_final=True)
        outcomes.went(database, watch, database.status.epoch, failure=failure.message)
        return
    watch.lap("locate storage", database.world.now)
    taken = yield from _take_agent(database)
    if taken is None:
        return
    agent, waited_for = taken
    watch.lap(waited_for, database.world.now)
    epoch = yield from _claim(database, agent)
    watch.lap("claim", database.world.now)
    started = yield from _start(database, agent, epoch, prepared)
    if started is None:
        watch.lap("tell the agent", database.world.now)
        why = "" if database.trouble is None else database.trouble.failure.message
        outcomes.went(database, watch, epoch, failure=why or "another compute is tried")
        return
    watch.lap("tell the agent", database.world.now, started.steps)
    run = _awake(database, agent, epoch, prepared, started)
    yield from listening.let_in(database, run, is_fresh=True)
    watch.lap("parked sessions are heard for", database.world.now, where="proxy")
    if database.is_served_by(run):
        _answer(database, watch)


def _begun(database: Database) -> Trace:
    """When the first who waits began to; in a switchover everybody waits from the stop on.

    A suspend that somebody has overtaken is as complete as it will be.
    """
    falling, database.falling = database.falling, None
    if falling is not None:
        outcomes.went(database, falling, database.status.epoch)
    cause = _cause(database)
    if database.switching is not None and database.switching.left_at is not None:
        return Trace(TransitionKind.SWITCHOVER, database.switching.left_at, cause)
    is_failover = database.lost_at is not None
    kind = TransitionKind.FAILOVER if is_failover else TransitionKind.RESUME
    since = [waiter.since for waiter in database.waiters.values()]
    if database.must_return and database.lost_at is not None:
        since.append(database.lost_at)
    return Trace(kind, min(since, default=database.world.now), cause)


def _cause(database: Database) -> str:
    """The first who asked; a database that is kept awake asks for itself."""
    for waiter in database.waiters.values():
        return waiter.cause
    if database.must_return:
        return "sessions of a lost compute"
    scheduled = database.scheduled
    return scheduled.line if scheduled is not None and scheduled.is_awake else "kept awake"


def _remember(database: Database, cause: str) -> None:
    """For people who ask. A database that is being moved does not wake."""
    if not _is_moved(database):
        wanted, follows = max(len(database.waiters), 1), f"wakes ({cause})"
        decision = Decision(Loop.AWAKE, "wanted by", wanted, 0, "", 0.0, follows)
        database.decisions.add(decision, database.world.wall_s)


def _is_moved(database: Database) -> bool:
    """A switchover that was asked for in the last moment begins with this compute."""
    return database.switching is not None and database.switching.left_at is not None


def _prepare(database: Database) -> Plan[Prepared]:
    """Where the volume is does not change: it is asked for once, and again after a failed start."""
    resource, size, questions = database.resource, database.size, list[Action[Any]]()
    if database.place is None:
        questions.append(AskCluster(LocateStorage(name=database.name)))
    if resource.metadata.generation > database.observed_generation:
        questions.append(AskCluster(FetchVerifiers(name=database.name)))
    answers = (yield from ask(Together(tuple(questions)))) if questions else ()
    verifiers: dict[str, str] = {}
    for answer in answers:
        if isinstance(answer, StoragePlace):
            database.place = answer
        else:
            verifiers = answer.verifiers
    assert database.place is not None
    return Prepared(database.place, verifiers, resource, size)


def _take_agent(database: Database) -> Plan[tuple[AgentInfo, str] | None]:
    """A warm agent as soon as there is one, and as what waiting for it stands in the chain; None
    when nobody wants it any more, or one its sleep.

    One that was taken for a claim that came to nothing is still there for the next claim.
    """
    pool, waited_for = database.world.pool, ""
    while database.wants_compute and not database.wishes:
        agent = database.reserved
        if agent is None or not pool.may_claim(agent.compute):
            agent = pool.take(
                database.name,
                database.resource.spec.postgres_version,
                pool=database.pool,
                with_own_volume=database.has_own_volume,
            )
            waited_for = waited_for or _come(database, is_cold=agent is None)
        if agent is not None:
            database.blocked_by, database.reserved = None, agent
            database.awaits_compute = False  # The claim says so.
            return agent, waited_for or WAITED_FOR
        if database.has_own_volume:
            yield from _have_one_made(database)
        else:
            database.blocked_by = _no_warm_compute(database)
        yield from ask(Wait())
    pool.stop_waiting(database.name)
    database.awaits_compute = False
    return None


def _come(database: Database, *, is_cold: bool) -> str:
    """Who takes a member is a part of the demand for them, and so is who waits for one: a cold
    start, whose chain says why."""
    world = database.world
    if is_cold:
        own = database.has_own_volume
        miss = world.stocks.missed(database.pool, world.now, world.wall_s, has_own_volume=own)
        database.decisions.add(miss.decision, world.wall_s)
        outcomes.note(database, "cold_start", reason=miss.reason.value, decision=miss.line)
        return f"{WAITED_FOR}: {miss.reason.value}"
    database.decisions.withdraw(Loop.WARM_POOL)
    if not database.has_own_volume:
        world.stocks.of(database.pool).came(world.wall_s)
    return WAITED_FOR


def _no_warm_compute(database: Database) -> NoWarmCompute:
    """With what the pool's own condition says, or where to read it."""
    words = f"{database.name} waits for a warm compute"
    if not database.world.has_volumes:
        return NoWarmCompute(words)
    hint = f"`kubectl describe warmpool {database.pool}`, where Torpor is installed, says why"
    return NoWarmCompute(f"{words} of the pool {database.pool}", missing_storage(database) or hint)


def give_back(database: Database) -> Plan[None]:
    """Nobody wants it awake any more, and of its last claim nobody knows what came of it.

    Unless the record names the compute, no other database should go without it.
    """
    agent = database.reserved
    assert agent is not None
    yield from read(database)
    if database.wants_compute:
        return
    database.reserved = None
    if database.status.compute != agent.compute:
        database.world.pool.give_back(database.name, agent.compute)


def _have_one_made(database: Database) -> Plan[None]:
    """Whoever makes computes reads the record."""
    words = f"{database.name} has a volume of its own: a compute is being made for it"
    database.blocked_by = NoWarmCompute(words, "see `kubectl get pods` where Torpor is installed")
    database.awaits_compute = True
    status = database.status
    if not status.awaits_compute:
        yield from write(database, status.phase, status.epoch, status.compute)


def _claim(database: Database, agent: AgentInfo) -> Plan[int]:
    """Under an epoch that neither the record nor, as far as is known, the volume has seen."""
    # Objects that were restored from an older state may run again under their old names.
    database.fenced = tuple(one for one in database.fenced if one != agent.compute)
    epoch = max(database.status.epoch, database.seen_epoch) + 1
    yield from write(database, Phase.RESUMING, epoch, agent.compute)
    return epoch


def _start(
    database: Database, agent: AgentInfo, epoch: int, prepared: Prepared
) -> Plan[Started | None]:
    """None when it failed: the compute is used up, and confirmed gone before the next attempt."""
    request = StartCompute(
        database=database.name,
        epoch=epoch,
        storage=prepared.place,
        fenced=database.fenced,
        spec=prepared.resource.spec,
        generation=prepared.resource.metadata.generation,
        verifiers=prepared.verifiers,
        cu=prepared.size.cu,
    )
    database.reserved = database.place = None
    database.blocked_by = Unavailable(
        f"compute {agent.compute} has not yet started Postgres",
        "after a crash Postgres first recovers what was written since its last checkpoint",
    )
    try:
        started = yield from _started(database, agent, request)
    except (NotFenced, StaleEpoch) as refused:
        database.is_condemned = True
        yield from _believe_volume(database, (request.epoch, agent.compute), refused.holder)
        raise refused  # No fault of the database: it goes on for as long as somebody waits.
    except BoundElsewhere as refused:
        # By its own word it has never had this volume: it is as good as gone, and another is free.
        outcomes.note(database, "compute_taken", compute=agent.compute, reason=refused.message)
        outcomes.confirm_gone(database, agent.compute)
        return None
    except Failure as failure:
        database.is_condemned = True
        is_final = not failure.retryable
        outcomes.fail_start(database, failure, database.world.now, is_final=is_final)
        return None
    if database.status.epoch > epoch:
        raise Conflict(f"{database.name}: somebody else has claimed it since")
    return started


def _believe_volume(database: Database, claim: tuple[int, str], found: Holder | None) -> Plan[None]:
    """The volume is right where the record is not: the next claim goes above what it has seen, when
    whom it names is gone. Unless somebody else has claimed the database since we did."""
    if found is None:
        return
    if found.epoch >= claim[0]:
        yield from read(database)
        record = (database.status.epoch, database.status.compute)
        if record != claim and found.epoch <= database.status.epoch:
            return
    database.seen_epoch = max(database.seen_epoch, found.epoch)
    database.facts_are_exact = False  # Those that we know may be as old as the record was.
    if found.compute:
        database.holder = found
    outcomes.warn(
        database, "volume_knows_more", found_epoch=found.epoch, found_compute=found.compute
    )


def _started(database: Database, agent: AgentInfo, request: StartCompute) -> Plan[Started]:
    """Raises why it failed. An agent that goes on starting is asked again: the start is the same.

    Recovery takes longer than any answer is waited for, and ending it would make it begin anew.
    """
    deadline = database.world.now + database.world.limits.start_s_max
    is_unheard = False
    while True:
        try:
            return (yield from ask(AskAgent(agent, request)))
        except BoundElsewhere as failure:
            if is_unheard:  # It may have been another's word, who has its address by now.
                raise Conflict(failure.message) from failure
            raise
        except Unavailable as failure:
            is_unheard = True
            is_late = database.world.now >= deadline
            if is_late or not (yield from _may_still_start(database, agent, request.epoch)):
                raise failure
        yield from pause(database, LOOK_AGAIN_S)


def _may_still_start(database: Database, agent: AgentInfo, epoch: int) -> Plan[bool]:
    """What an agent says whose answer to StartCompute was not heard."""
    if not database.is_unsettled:
        return False  # It is gone, or somebody else has the database.
    try:
        state = yield from ask(AskAgent(agent, AskAgentState()))
    except NotAsked:
        return True
    except Failure:
        return False
    claim = (database.name, epoch)
    is_starting = state.state in UNDECIDED and (state.database, state.epoch) == claim
    return is_starting or serves(database, state)


def _awake(
    database: Database, agent: AgentInfo, epoch: int, prepared: Prepared, started: Started
) -> Run:
    run = Run(agent, epoch, started.address, started.max_connections)
    database.run = run
    database.used_at = database.world.now
    database.observed_generation = prepared.resource.metadata.generation
    database.trouble = database.blocked_by = database.spec_failure = None
    database.must_return = False
    database.learn(Idling.rouse)
    _tell_if_taken_over(database, agent, epoch)
    outcomes.own_volume(database, epoch)
    database.held_back = database.move_held_back = HeldBack()
    # From now on there is a volume: one that is missing was lost, and is not to be made anew.
    database.place = prepared.place.model_copy(update={"may_create": False})
    resizing.started(database, run, prepared.size)
    if started.facts is not None:
        outcomes.learn(database, started.facts, are_exact=True)
    return run


def _tell_if_taken_over(database: Database, agent: AgentInfo, epoch: int) -> None:
    """From a compute that had not given the data back."""
    if database.fenced:
        gone = ", ".join(database.fenced)
        words = f"compute {agent.compute} has taken over under epoch {epoch}"
        told = f"{words}; {gone} can't write to its data any more"
        outcomes.tell(database, "TakenOver", told, is_warning=False)


def _answer(database: Database, watch: Trace) -> None:
    world = database.world
    if _is_moved(database) and database.run is not None:
        outcomes.end_switchover(database, database.run.agent.compute, watch)
    else:
        until = world.now + world.limits.resume_seen_s_max
        outcomes.open_resume(database, OpenResume(watch, world.wall_s_at(watch.started_at), until))
        outcomes.note(database, "awake", cause=watch.cause)
    outcomes.answer_awake(database)
