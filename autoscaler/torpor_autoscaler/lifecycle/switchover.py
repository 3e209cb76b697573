"""Switchover: a database that is in use leaves its compute for a fresh one; its sessions wait.

Up to the stop it is a suspend that gives sessions time: checkpoint with the gates open, close them,
stop, and back to where it was with nothing changed whenever anything speaks against it. From the
stop on it is a resume like any other, with a compute that was reserved beforehand: so the pause
holds only what must be in it, and what goes wrong there is mended as in any resume.
"""

from __future__ import annotations

from dataclasses import replace

from torpor_api.failures import Busy, Failure
from torpor_api.messages import Checkpoint, Stopped
from torpor_api.phases import Phase
from torpor_api.transition import TransitionKind
from torpor_autoscaler.lifecycle import leaving, outcomes
from torpor_autoscaler.lifecycle.actions import AskAgent, Plan, ask
from torpor_autoscaler.lifecycle.chain import Trace
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Run, Switching
from torpor_autoscaler.lifecycle.suspend import close_gates, open_gates, released, stop
from torpor_autoscaler.lifecycle.writing import write

HINT = (
    "nothing was changed; `torpor sessions {name}` shows who it is: a busy one may need more "
    "patience, a pinned one has to let go first"
)


def switch_over(database: Database, run: Run, switching: Switching) -> Plan[None]:
    """Afterwards the old compute has stopped and a resume is due, or all is as it was."""
    watch = _trace(database, switching)
    try:
        yield from write(database, Phase.SUSPENDING, run.epoch, run.agent.compute)
        if not switching.insists:  # Then there may be no time for it, and the stop has its own.
            yield from ask(AskAgent(run.agent, Checkpoint(epoch=run.epoch)))
        _refuse_if_void(database, run, switching)
        watch = _trace(database, switching)  # From here on clients wait.
        switching = replace(switching, closed_at=database.world.now)
        database.switching = switching
        yield from _park_every_session(database, run, switching)
        _refuse_if_void(database, run, switching)
        watch.lap("park every session", database.world.now, where="proxy")
        stopped = yield from stop(database, run, force=switching.insists)
    except Failure as failure:
        yield from _call_off(database, run, switching, failure)
        watch.lap("call it off", database.world.now)
        outcomes.went(database, watch, run.epoch, failure=failure.message)
        return
    if stopped is not None:
        watch.lap("tell the agent", database.world.now, stopped.steps)
        _leave(database, run, replace(switching, trace=watch), stopped)


def _trace(database: Database, switching: Switching) -> Trace:
    cause = switching.because or "somebody asked for it"
    return Trace(TransitionKind.SWITCHOVER, database.world.now, cause)


def _park_every_session(database: Database, run: Run, switching: Switching) -> Plan[None]:
    """Raises why it can't be; or, where it insists, notes who is left behind and why."""
    patience_s, insists = switching.patience_s, switching.insists
    hold_s = patience_s + database.world.limits.switchover_hold_s
    try:
        yield from close_gates(database, run, hold_s, patience_s, insists=insists)
    except Failure as failure:
        if not insists:
            raise
        outcomes.warn(database, "left_behind", reason=failure.message)
        words = f"its compute ends, and whoever is not at rest with it: {failure.message}"
        outcomes.tell(database, "SessionsEnded", words)


def _refuse_if_void(database: Database, run: Run, switching: Switching) -> None:
    """What has become known since it was begun counts, too."""
    if database.run is not run:
        raise Busy("its Postgres was lost meanwhile")
    if database.switching is not switching:
        raise Busy("whoever asked for it has hung up")
    needs_reserved = not (switching.insists or database.has_own_volume)
    if needs_reserved and not database.world.pool.has_reserved(database.name):
        raise Busy("the compute that it was to move to is no longer to be had")


def _leave(database: Database, run: Run, switching: Switching, stopped: Stopped) -> None:
    """No way back. Whoever asks now is answered as if he had asked before."""
    asker = (database.switching or switching).asker
    database.switching = replace(switching, asker=asker, left_at=database.world.now)
    released(database, run, stopped)
    database.must_return = True


def _call_off(database: Database, run: Run, switching: Switching, failure: Failure) -> Plan[None]:
    """Everybody goes on as if nothing had been; the phase is written by whoever stays awake."""
    yield from open_gates(database, run, failure)
    database.world.pool.release(database.name)
    leaving.hold_back(database, run, failure.message, database.world.now)
    outcomes.note(database, "switchover_called_off", reason=failure.message)
    if switching.because and not switching.tries:
        words = (
            f"stays on its compute for now: {failure.message}; it is to move: {switching.because}"
        )
        outcomes.tell(database, "SwitchoverCalledOff", words)
    if database.switching is switching:
        words = f"{database.name} stays on its compute: {failure.message}"
        outcomes.answer_switchover(database, Busy(words, HINT.format(name=database.name)))
