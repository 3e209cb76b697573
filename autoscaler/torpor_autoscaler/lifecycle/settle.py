"""Bringing a record that speaks of a compute to a truth: it serves, or it is gone.

After a restart of the autoscaler, after a compute was lost, after a start whose outcome is unknown.
A compute that serves is left alone. Of every other one the fencer must confirm that it is gone
before anything else happens to the database: so, whenever a claim is made, every earlier holder has
either released the data or is known to be dead.
"""

from __future__ import annotations

from dataclasses import replace

from torpor_api.failures import Failure, NotFenced
from torpor_api.messages import AgentInfo, AgentState, ConfirmGone
from torpor_autoscaler.lifecycle import outcomes
from torpor_autoscaler.lifecycle.actions import AskCluster, NotAsked, Plan, Wait, ask
from torpor_autoscaler.lifecycle.asking import (
    Unanswered,
    ask_state,
    is_asked_later,
    until_asked_again,
)
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Run
from torpor_autoscaler.lifecycle.status import rendered
from torpor_autoscaler.lifecycle.writing import write

RUNNING, UNDECIDED = "running", ("starting", "stopping")
"""States of an agent, in its own words."""

LOOK_AGAIN_S = 0.2
"""Between two questions to an agent that has not made up its mind."""


def settle(database: Database) -> Plan[None]:
    """Afterwards the database has a run, or its last holder can't write any more."""
    compute = database.status.compute
    agent = None if compute is None else database.world.pool.find(compute)
    if agent is not None and not database.is_condemned:
        state = yield from _final_state(database, agent)
        if state is not None and serves(database, state):
            _adopt(database, agent, state)
            return
        if not _speaks_of(database, agent):
            return
        if state is not None and _is_anothers(database, state):
            # By its own word it has never had this volume, and is not to be ended for its sake.
            outcomes.confirm_gone(database, agent.compute)
    database.doubt = None
    yield from fence(database)


def _speaks_of(database: Database, agent: AgentInfo) -> bool:
    """Whether the record still names this compute, which nobody has confirmed to be gone."""
    return database.is_unsettled and database.status.compute == agent.compute


def fence(database: Database) -> Plan[None]:
    """Make sure that whom the record or the volume names is dead. Raises NotFenced, Unavailable."""
    for compute in database.unfenced:
        try:
            yield from ask(AskCluster(ConfirmGone(compute=compute, database=database.name)))
        except NotFenced as failure:
            failure = _in_context(database, compute, failure)
            yield from _say_what_is_missing(database, failure)
            raise failure from None
        outcomes.confirm_gone(database, compute)
    if isinstance(database.blocked_by, NotFenced):
        database.blocked_by = None
    database.is_condemned = False


def _in_context(database: Database, compute: str, failure: NotFenced) -> NotFenced:
    """With the reason why it is asked for, where the record does not name it."""
    holder = database.holder
    if holder is None or holder.compute != compute:
        return failure
    words = f"the volume is held by compute {compute}, under epoch {holder.epoch}"
    return NotFenced(f"{words}, of which the status knows nothing: {failure.message}", failure.hint)


def _say_what_is_missing(database: Database, failure: NotFenced) -> Plan[None]:
    """In the record, once: it may be a person who has to say that the compute is gone."""
    database.blocked_by = failure
    found = database.status
    if rendered(database, found.phase, found.epoch, found.compute).conditions != found.conditions:
        outcomes.tell(
            database, failure.kind, "; ".join(filter(None, (failure.message, failure.hint)))
        )
        try:
            yield from write(database, found.phase, found.epoch, found.compute)
        except Failure as unwritten:
            outcomes.warn(database, "not_said", reason=unwritten.message)


def verify(database: Database, run: Run) -> Plan[None]:
    """Ask a compute that is in doubt. It serves, or it is lost, or the doubt stays.

    As long as an agent has only not answered, its Postgres serves as far as we know.
    """
    doubt = database.doubt
    assert doubt is not None
    if is_asked_later(database):
        if database.waiters and database.is_open:
            outcomes.answer_awake(database)
        yield from until_asked_again(database)
        return
    try:
        state = yield from ask_state(database, run.agent)
    except Unanswered:
        return
    except NotAsked:
        raise
    except Failure as failure:
        if database.run is run:
            outcomes.lose(database, f"{doubt.reason}; {failure.message}", database.world.now)
        return
    if database.doubt is doubt:
        database.doubt = None  # Else something was heard meanwhile that the answer may not know.
    if database.run is not run:
        return
    if serves(database, state):
        _adopt(database, run.agent, state)
    elif state.state in UNDECIDED and run.is_up:
        database.facts_are_exact = False
        database.run = run.down(database.world.now, database.world.limits.restart_s_max)
    elif state.state not in UNDECIDED:
        outcomes.lose(database, f"{doubt.reason}; it is {state.state}", database.world.now)


def serves(database: Database, state: AgentState) -> bool:
    """It is this very compute, for this database, under the record's epoch, and ready."""
    return (
        state.state == RUNNING
        and (state.database, state.epoch) == (database.name, database.status.epoch)
        and state.compute == database.status.compute
        and state.address is not None
    )


def _is_anothers(database: Database, state: AgentState) -> bool:
    """This very compute works for another database, as it does for life."""
    return state.compute == database.status.compute and state.database not in (None, database.name)


def _final_state(database: Database, agent: AgentInfo) -> Plan[AgentState | None]:
    """What the agent says once it is neither starting nor stopping; None: nothing of use."""
    deadline = database.world.now + database.world.limits.start_s_max
    while _speaks_of(database, agent):
        try:
            state = yield from ask_state(database, agent)
        except Unanswered as failure:
            database.blocked_by = failure
            yield from until_asked_again(database)
            continue
        except NotAsked:
            raise  # No reason to have a compute ended that may be sound.
        except Failure as failure:
            outcomes.warn(database, "agent_given_up", compute=agent.compute, reason=failure.message)
            return None
        if state.state not in UNDECIDED or _is_anothers(database, state):
            return state
        if database.world.now >= deadline:
            return None
        yield from pause(database, LOOK_AGAIN_S)
    return None


def pause(database: Database, pause_s: float) -> Plan[None]:
    """Let time pass, whatever becomes known meanwhile."""
    until = database.world.now + pause_s
    while database.world.now < until:
        yield from ask(Wait(until))


def _adopt(database: Database, agent: AgentInfo, state: AgentState) -> None:
    was_serving = database.run is not None
    assert state.address is not None
    before = database.run
    database.run = Run(agent, state.epoch, state.address, state.max_connections)
    if before is not None and before.is_up:
        database.run = replace(database.run, is_open=before.is_open, listening=before.listening)
    database.blocked_by = None
    database.must_return = False
    outcomes.own_volume(database, state.epoch)
    database.world.pool.bind(database.name, agent.compute)
    if not was_serving:
        database.used_at = database.world.now
        outcomes.note(database, "compute_found", compute=agent.compute)
        if database.switching is not None:
            outcomes.end_switchover(database, agent.compute)
