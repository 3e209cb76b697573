"""The life of one database: what to do next, decided anew from the whole of its state each time.

A *plan* is a generator: it yields actions, is sent their results and has failures thrown into it,
so that a resume reads as the steps of a resume. Plans do no input or output and know no clock but
the one that is passed in. A database that sleeps is a plan that waits for a fact: it costs nothing.

There is no special path for a restart or a loss: whatever happened, the record and what we know of
its compute say what is to be done (:func:`_step`).
"""

from __future__ import annotations

from typing import Any

from torpor_api.failures import DataDamaged, Failure, Unavailable
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import login_facts, outcomes, status
from torpor_autoscaler.lifecycle.actions import (
    Action,
    AskAgent,
    AskCluster,
    GaveWay,
    Plan,
    Wait,
    ask,
)
from torpor_autoscaler.lifecycle.awake import stay_awake
from torpor_autoscaler.lifecycle.database import AT_REST, Database
from torpor_autoscaler.lifecycle.limits import backoff_s
from torpor_autoscaler.lifecycle.resume import give_back, resume
from torpor_autoscaler.lifecycle.settle import pause, settle
from torpor_autoscaler.lifecycle.suspend import lay_down
from torpor_autoscaler.lifecycle.writing import write

IDLE_TURNS_MAX = 100
"""Without this bound a defect in one database's plan would stop all of them."""


class Lifecycle:
    """A database with its plan. The shell carries ``action`` out and says what came of it."""

    __slots__ = ("_plan", "action", "database")

    def __init__(self, database: Database) -> None:
        self.database = database
        self._plan = live(database)
        self.action: Action[Any] = next(self._plan)

    @property
    def gives_way(self) -> bool:
        """Somebody waits for what comes behind the present action, and that can wait."""
        is_patient = isinstance(self.action, AskCluster) and self.action.can_wait
        return is_patient and self.database.is_pressed

    def proceed(self, outcome: object) -> Action[Any]:
        """The next action, after the result or the Failure of the last one."""
        self.database.idle_turns = 0
        if isinstance(self.action, AskAgent) and not isinstance(outcome, Unavailable):
            self.database.world.silences.heard(self.database.world.now)
        if isinstance(outcome, Failure):
            self.action = self._plan.throw(outcome)
        else:
            self.action = self._plan.send(outcome)
        return self.action


def live(database: Database) -> Plan[None]:
    """For ever. A cluster or fencer without a good answer is asked again after a pause."""
    while True:
        database.idle_turns += 1
        assert database.idle_turns < IDLE_TURNS_MAX, (
            f"{database.name}: the plan turns and does nothing"
        )
        try:
            yield from _step(database)
            database.retries = 0
        except Failure as failure:
            yield from _pause_after(database, failure)


def _step(database: Database) -> Plan[None]:
    now, phase = database.world.now, database.status.phase
    if database.has_stale_facts and now >= database.facts_retry_at:
        yield from login_facts.fetch(database)
    elif database.run is not None:
        yield from stay_awake(database, database.run)
    elif database.is_unsettled:
        yield from settle(database)
    elif database.is_resting(now) and not database.wishes:
        yield from _rest(database)
    elif database.wants_compute and not database.wishes:
        yield from _resume_in_time(database, now)
    elif _is_failure_untold(database) and not database.wishes:
        yield from _rest(database)
    elif phase not in AT_REST or database.wishes:
        yield from _lay_down(database)
    elif database.reserved is not None:
        yield from give_back(database)
    elif login_facts.are_due(database):
        yield from login_facts.store(database, database.status.epoch, can_wait=True)
    elif status.is_rest_untold(database):
        yield from _tell_of_rest(database)
    else:
        yield from ask(Wait(_earliest(database.next_facts_at, database.clock_at)))


def _lay_down(database: Database) -> Plan[None]:
    """A suspend is complete only when what the agent exported is kept, or the record will say that
    it is not."""
    if login_facts.are_due(database):
        yield from login_facts.store(database, database.status.epoch)
    elif database.has_unstored_facts and database.unstored_because is None:
        yield from ask(Wait(database.storing.retry_at))
    else:
        yield from lay_down(database)


def _tell_of_rest(database: Database) -> Plan[None]:
    """For people who wait for its condition; nobody's wake stands behind that."""
    record = database.status
    try:
        yield from write(database, record.phase, record.epoch, record.compute, can_wait=True)
    except GaveWay:
        return


def _resume_in_time(database: Database, now: float) -> Plan[None]:
    """Attempts after a failed one keep their distance."""
    if database.trouble is not None and now < database.trouble.retry_at:
        yield from ask(Wait(database.trouble.retry_at))
    else:
        yield from resume(database)


def _is_failure_untold(database: Database) -> bool:
    """It rested for as long as its last compute took to be confirmed gone, and the record does not
    say yet why."""
    is_final = database.trouble is not None and database.trouble.is_final
    return is_final and database.status.phase not in AT_REST


def _rest(database: Database) -> Plan[None]:
    """Failed, with the reason in the record; only one that is kept awake tries by itself."""
    assert database.trouble is not None
    record = database.status
    if record.phase is not Phase.FAILED:
        yield from write(database, Phase.FAILED, record.epoch, record.compute)
        database.world.pool.unbind(database.name)
    if login_facts.are_due(database):
        yield from login_facts.store(database, record.epoch)
    retry_at = database.trouble.retry_at if database.is_kept else None
    yield from ask(Wait(_earliest(retry_at, database.next_facts_at, database.clock_at)))


def _earliest(*moments: float | None) -> float | None:
    return min((moment for moment in moments if moment is not None), default=None)


def _pause_after(database: Database, failure: Failure) -> Plan[None]:
    limits = database.world.limits
    database.retries += 1
    database.blocked_by = failure
    if database.retries == 1:
        outcomes.warn(database, "blocked", kind=failure.kind, reason=failure.message)
    if database.retries == 1 and isinstance(failure, DataDamaged):
        outcomes.alarm(database, "data_damaged", reason=failure.message)
    yield from pause(database, backoff_s(database.retries, limits.retry_s_min, limits.retry_s_max))
