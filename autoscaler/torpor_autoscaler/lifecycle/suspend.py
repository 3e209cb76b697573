"""Suspend: from an idle database to a released one, or back to where it was with nothing changed.

Everything up to the stop can be called off: the gates open again and nobody has noticed. A stop
whose outcome is unknown can't: then the fencer decides (:mod:`settle`).
"""

from __future__ import annotations

from dataclasses import replace

from torpor_api.failures import Busy, Failure, Unavailable
from torpor_api.messages import (
    AskActivity,
    AskAgentState,
    Checkpoint,
    CloseGate,
    GateClosed,
    OpenGate,
    StopCompute,
    Stopped,
)
from torpor_api.phases import Phase
from torpor_api.transition import TransitionKind
from torpor_autoscaler.core.reasons import Weight, duration
from torpor_autoscaler.lifecycle import by_clock, facts, listening, outcomes
from torpor_autoscaler.lifecycle.actions import (
    AskAgent,
    AskProxies,
    NotAsked,
    NotReached,
    Plan,
    ask,
)
from torpor_autoscaler.lifecycle.chain import Trace
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Run
from torpor_autoscaler.lifecycle.settle import LOOK_AGAIN_S, pause
from torpor_autoscaler.lifecycle.writing import write

STILL_STOPPING = ("stopping", "stopped")
"""What an agent says of itself that has the order, and may be asked for the answer again."""


def suspend(database: Database, run: Run) -> Plan[None]:
    """Afterwards Postgres is stopped, or the database is as it was and the next try waits."""
    watch = Trace(TransitionKind.SUSPEND, database.world.now, _cause(database))
    try:
        yield from _refuse_what_runs_inside(database, run)
        watch.lap("see what runs inside", database.world.now)
        database.is_suspending = True
        yield from write(database, Phase.SUSPENDING, run.epoch, run.agent.compute)
        watch.lap("say so in the record", database.world.now)
        yield from ask(AskAgent(run.agent, Checkpoint(epoch=run.epoch)))
        watch.lap("checkpoint with the gates open", database.world.now)
        _refuse_if_used(database, run)
        yield from close_gates(database, run, database.world.limits.gate_hold_s)
        watch.lap("park every session", database.world.now)
        _refuse_if_used(database, run)
        stopped = yield from stop(database, run)
    except Failure as failure:
        yield from _call_off(database, run, failure)
        watch.lap("call it off", database.world.now)
        outcomes.went(database, watch, run.epoch, failure=failure.message)
        return
    if stopped is not None:
        watch.lap("stop the compute", database.world.now, stopped.steps)
        database.falling = watch
        is_wished = bool(database.wishes)
        released(database, run, stopped)
        database.learn(lambda known: known.sleep(by_itself=not is_wished))
        if database.waiters:
            database.learn(lambda known: known.wake(database.world.now))


def lay_down(database: Database) -> Plan[None]:
    """Record that no compute serves the database.

    One that did not release the data stays named: the next start has it confirmed gone first.
    """
    status = database.status
    if status.phase is Phase.ACTIVE:
        yield from write(database, Phase.SUSPENDING, status.epoch, status.compute)
    database.trouble = database.chosen_cu = database.measured_cu = database.sizing = None
    words = f"{database.name} was put to sleep: its next compute starts as its spec says"
    outcomes.answer_resizes(database, Busy(words))
    if database.status.phase is not Phase.SUSPENDED:
        is_released = database.released_epoch >= status.epoch
        compute = None if is_released else status.compute
        yield from write(database, Phase.SUSPENDED, status.epoch, compute)
        outcomes.note(database, "suspended")
    if database.switching is not None:
        database.must_return = False
        words = f"{database.name} was put to sleep before its fresh compute was started"
        outcomes.answer_switchover(database, Busy(words))
    _rest(database)
    database.world.pool.unbind(database.name)
    database.world.pool.stop_waiting(database.name)
    outcomes.answer_suspends(database, None)
    database.decisions.pack()


def _cause(database: Database) -> str:
    if database.wishes:
        return "somebody asked for it"
    return f"nobody has used it for {duration(database.world.now - database.used_at)}"


def _rest(database: Database) -> None:
    """It sleeps, and its record says so."""
    database.blocked_by = database.lost_at = None
    watch, database.falling = database.falling, None
    if watch is not None:
        watch.lap("say in the record that it sleeps", database.world.now)
        outcomes.went(database, watch, database.status.epoch)


def _refuse_what_runs_inside(database: Database, run: Run) -> Plan[None]:
    reply = yield from ask(AskAgent(run.agent, AskActivity()))
    if database.is_served_by(run):
        database.jobs = by_clock.jobs_known(database.jobs, reply.activity.jobs)
    if reply.activity.busy:
        raise Busy("; ".join(reply.activity.busy))


def _refuse_if_used(database: Database, run: Run) -> None:
    """What has become known since the decision counts, too."""
    if database.run is not run:
        raise Busy("its Postgres was lost meanwhile")
    weights = [Weight.KEPT, Weight.UNKNOWN, Weight.IN_USE]
    if not database.wishes:
        weights.append(Weight.TIME)
    against = database.decide(database.world.now).against(*weights)
    if against:
        raise Busy("; ".join(reason.line for reason in against))


def close_gates(
    database: Database, run: Run, hold_s: float, patience_s: float = 0.0, *, insists: bool = False
) -> Plan[None]:
    """Every session is parked, or this raises why one can't be; then :func:`open_gates`."""
    database.is_gate_closed = database.is_suspending = True
    asked_at = database.world.now
    request = CloseGate(
        name=database.name,
        epoch=run.epoch,
        hold_s=hold_s,
        patience_s=patience_s,
        insists=insists,
    )
    answers = yield from ask(AskProxies(request))
    closed = [answer for answer in answers.values() if isinstance(answer, GateClosed)]
    for told in closed:
        # What was done since the latest sample nobody else tells. It counts from the question: no
        # suspend is called off because another proxy took its time to answer.
        if told.idle_s is not None:
            facts.used(database, asked_at - told.idle_s)
    if not any(told.left for told in closed):
        yield from listening.stop(database, run)


def open_gates(database: Database, run: Run, why: Failure) -> Plan[None]:
    """Sessions attach again to the compute that they had; it is asked, unless it is just busy."""
    if database.is_gate_closed and database.is_served_by(run):
        try:
            yield from _open(database, run)
        except Failure as closed:
            outcomes.warn(database, "gate_opens_by_itself", reason=closed.message)
    database.is_gate_closed = database.is_suspending = False
    database.blocked_by = None
    if database.run is not None and not isinstance(why, Busy):
        database.put_in_doubt(f"its compute was not stopped: {why.message}")


def _open(database: Database, run: Run) -> Plan[None]:
    heard = run.listening
    if database.has_stopped_listening:
        heard = yield from listening.start(database)
        if database.run is not None:
            database.run = replace(database.run, listening=heard)
    request = OpenGate(name=database.name, epoch=run.epoch, listening=heard)
    yield from ask(AskProxies(request))


def stop(database: Database, run: Run, *, force: bool = False) -> Plan[Stopped | None]:
    """Raises why it was not stopped, with nothing changed. None: who knows; it is lost.

    ``force``: whoever is still connected is ended with it.
    """
    grace_s = 0.0 if force else database.world.limits.stop_grace_s
    request = StopCompute(epoch=run.epoch, grace_s=grace_s, force=force)
    try:
        return (yield from _answer_to_stop(database, run, request))
    except (Busy, NotAsked, NotReached):
        raise
    except Failure as failure:
        if database.is_served_by(run):
            outcomes.lose(database, f"its stop: {failure.message}", database.world.now)
        return None


def _answer_to_stop(database: Database, run: Run, request: StopCompute) -> Plan[Stopped]:
    """Raises NotAsked, NotReached only where nothing was asked. An agent that goes on stopping is
    asked again.

    The checkpoint of a shutdown takes as long as its disk does. Ending it would lose the login
    facts, and make the next start recover what the checkpoint was about to write.
    """
    limits = database.world.limits
    try:
        return (yield from ask(AskAgent(run.agent, request)))
    except (NotAsked, NotReached):
        raise
    except Unavailable as unheard:
        failure = unheard
    deadline = database.world.now + limits.stop_s_max
    database.blocked_by = Unavailable(f"compute {run.agent.compute} is still stopping Postgres")
    while database.world.now < deadline and (yield from _is_stopping(database, run)):
        try:
            return (yield from ask(AskAgent(run.agent, request)))
        except Unavailable as unheard:
            failure = unheard
        yield from pause(database, LOOK_AGAIN_S)
    database.blocked_by = None
    raise Unavailable(failure.message)


def _is_stopping(database: Database, run: Run) -> Plan[bool]:
    """What an agent says whose answer to StopCompute was not heard."""
    if not database.is_served_by(run):
        return False  # It is gone, or somebody else has the database.
    try:
        state = yield from ask(AskAgent(run.agent, AskAgentState()))
    except NotAsked:
        return True
    except Failure:
        return False
    claim = (state.database, state.epoch)
    return state.state in STILL_STOPPING and claim == (database.name, run.epoch)


def released(database: Database, run: Run, stopped: Stopped) -> None:
    """Its compute has given the data back, and has said who may log in."""
    database.released_epoch = run.epoch
    database.is_condemned = database.must_return = False
    outcomes.learn(database, stopped.facts, are_exact=True)
    database.has_unstored_facts = True  # Known or not: a suspend is complete when they are kept.
    database.storing = replace(database.storing, retry_at=database.world.now)
    outcomes.end_run(database)


def _call_off(database: Database, run: Run, failure: Failure) -> Plan[None]:
    """Everybody goes on as if nothing had been; the phase is written by whoever stays awake."""
    yield from open_gates(database, run, failure)
    outcomes.answer_suspends(database, Busy(f"{database.name}: {failure.message}"))
    if database.run is None:
        return
    if database.waiters:
        database.used_at = database.world.now
        outcomes.note(database, "suspend_called_off", reason="woken")
    elif database.used_at + database.timeout_s > database.world.now:
        # Somebody has used it since, which by itself puts the next try off.
        outcomes.note(database, "suspend_called_off", reason=failure.message)
    else:
        outcomes.hold_back(database, failure.message, database.world.now)
