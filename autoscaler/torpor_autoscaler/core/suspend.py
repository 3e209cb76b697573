"""Suspend: from an idle database to a released one, or back to where it was with nothing changed.

Everything up to the stop can be called off: the gates open again and nobody has noticed. A stop
whose outcome is unknown can't: then the fencer decides (:mod:`settle`).
"""

from __future__ import annotations

from torpor_api.failures import Busy, Failure
from torpor_api.messages import (
    AskActivity,
    Checkpoint,
    CloseGate,
    OpenGate,
    StopCompute,
    Stopped,
)
from torpor_api.phases import Phase
from torpor_autoscaler.core import outcomes
from torpor_autoscaler.core.actions import AskAgent, AskProxies, NotAsked, Plan, ask
from torpor_autoscaler.core.database import Database, Run
from torpor_autoscaler.core.reasons import Weight
from torpor_autoscaler.core.writing import write


def suspend(database: Database, run: Run) -> Plan[None]:
    """Afterwards Postgres is stopped, or the database is as it was and the next try waits."""
    try:
        yield from _refuse_what_runs_inside(database, run)
        database.is_suspending = True
        yield from write(database, Phase.SUSPENDING, run.epoch, run.agent.compute)
        yield from ask(AskAgent(run.agent, Checkpoint(epoch=run.epoch)))
        _refuse_if_used(database, run)
        yield from _close_gates(database, run)
        _refuse_if_used(database, run)
    except Failure as failure:
        yield from _call_off(database, run, failure)
        return
    yield from _stop(database, run)


def lay_down(database: Database) -> Plan[None]:
    """Record that no compute serves the database.

    One that did not release the data stays named: the next start has it confirmed gone first.
    """
    status = database.status
    if status.phase is Phase.ACTIVE:
        yield from write(database, Phase.SUSPENDING, status.epoch, status.compute)
    database.trouble = None
    if database.status.phase is not Phase.SUSPENDED:
        is_released = database.released_epoch == status.epoch
        compute = None if is_released else status.compute
        yield from write(database, Phase.SUSPENDED, status.epoch, compute)
        outcomes.note(database, "suspended")
    database.blocked_by = None
    database.world.pool.unbind(database.name)
    outcomes.answer_suspends(database, None)


def _refuse_what_runs_inside(database: Database, run: Run) -> Plan[None]:
    reply = yield from ask(AskAgent(run.agent, AskActivity()))
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


def _close_gates(database: Database, run: Run) -> Plan[None]:
    database.is_gate_closed = True
    hold_s = database.world.limits.gate_hold_s
    request = CloseGate(name=database.name, epoch=run.epoch, hold_s=hold_s)
    yield from ask(AskProxies(request))


def _stop(database: Database, run: Run) -> Plan[None]:
    request = StopCompute(epoch=run.epoch, grace_s=database.world.limits.stop_grace_s)
    try:
        stopped = yield from ask(AskAgent(run.agent, request))
    except (Busy, NotAsked) as failure:
        yield from _call_off(database, run, failure)
    except Failure as failure:
        if database.is_served_by(run):
            outcomes.lose(database, f"its stop: {failure.message}", database.world.now)
    else:
        _stopped(database, run, stopped)


def _stopped(database: Database, run: Run, stopped: Stopped) -> None:
    database.released_epoch = database.gone_epoch = run.epoch
    database.is_condemned = database.must_return = False
    outcomes.learn(database, stopped.facts, are_exact=True)
    outcomes.end_run(database)


def _call_off(database: Database, run: Run, failure: Failure) -> Plan[None]:
    """Everybody goes on as if nothing had been; the phase is written by whoever stays awake."""
    if database.is_gate_closed and database.is_served_by(run):
        try:
            yield from ask(AskProxies(OpenGate(name=database.name, epoch=run.epoch)))
        except Failure as closed:
            outcomes.note(database, "gate_opens_by_itself", closed.message)
    database.is_gate_closed = database.is_suspending = False
    outcomes.answer_suspends(database, Busy(f"{database.name}: {failure.message}"))
    if database.run is None:
        return
    if not isinstance(failure, Busy):
        database.doubt = f"a suspend failed: {failure.message}"
    if database.waiters:
        database.used_at = database.world.now
        outcomes.note(database, "suspend_called_off", "woken")
    else:
        outcomes.hold_back(database, failure.message, database.world.now)
