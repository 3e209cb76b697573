"""What becomes of a database when something has come out: shared by plans and facts."""

from __future__ import annotations

from torpor_api.chain import Chain, Step
from torpor_api.facts import LoginFacts
from torpor_api.failures import Busy, Failure, Unavailable
from torpor_api.logs import Level
from torpor_api.messages import Awake, Resized, SwitchedOver
from torpor_api.resource import LastResume, LastSwitchover
from torpor_api.transition import Span, Transition, TransitionKind
from torpor_api.values import FENCED_MAX
from torpor_autoscaler.lifecycle import chain, endpoints, recorded
from torpor_autoscaler.lifecycle.actions import (
    AnswerResizes,
    AnswerSuspends,
    AnswerSwitchover,
    AnswerWakes,
    Note,
    Overwritten,
    Tell,
    Went,
)
from torpor_autoscaler.lifecycle.chain import Trace
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import HeldBack, OpenResume, Trouble
from torpor_autoscaler.lifecycle.limits import backoff_s
from torpor_autoscaler.lifecycle.recorded import Recorded
from torpor_autoscaler.lifecycle.times import exact_timestamp, timestamp

LAST_WORDS_CHARACTERS_MAX = 900
"""Of a start that failed, for people: the last lines of Postgres's log say why."""


def log_keys(database: Database) -> dict[str, object]:
    """What each line about it in the log has: whom it concerns, and which life of it."""
    run, status = database.run, database.status
    epoch = status.epoch if run is None else run.epoch
    compute = status.compute if run is None else run.agent.compute
    keys: dict[str, object] = {"database": database.name, "epoch": epoch}
    return keys | {"compute": compute} if compute else keys


def note(database: Database, event: str, **fields: object) -> None:
    """For the log: what has happened to it."""
    database.effects.append(Note(event, log_keys(database) | fields))


def warn(database: Database, event: str, **fields: object) -> None:
    """For the log: what mends itself."""
    database.effects.append(Note(event, log_keys(database) | fields, Level.WARNING))


def alarm(database: Database, event: str, **fields: object) -> None:
    """For the log: somebody must look."""
    database.effects.append(Note(event, log_keys(database) | fields, Level.ERROR))


def tell(database: Database, reason: str, note: str, *, is_warning: bool = True) -> None:
    """For people, where they look at the database."""
    database.effects.append(Tell(reason, note, is_warning))


def learn(database: Database, facts: LoginFacts, *, are_exact: bool) -> None:
    """What an agent says of who may log in: told to proxies and to be stored, if it is new.

    ``are_exact``: nothing can have changed since that we would not hear of.
    """
    database.facts_are_exact = are_exact
    if facts != database.facts or database.storing.failure is not None:
        database.facts = facts
        database.has_unstored_facts = True


def lose(database: Database, reason: str, now: float) -> None:
    """The compute serves no more and is to be fenced; sessions that it had get another one."""
    warn(database, "compute_lost", reason=reason)
    words = f"{database.name} has lost its compute: {reason}"
    answer_switchover(database, Unavailable(words, "who needs it gets a fresh one all the same"))
    database.must_return = database.world.proxies.sessions(database.name, now) > 0
    what_next = "its sessions get" if database.must_return else "whoever needs it next gets"
    compute = database.status.compute if database.run is None else database.run.agent.compute
    told = f"compute {compute} is lost: {reason}; {what_next} another one"
    tell(database, "ComputeLost", told)
    database.is_condemned = True
    database.facts_are_exact = False
    database.lost_at = now
    end_run(database)


def confirm_gone(database: Database, compute: str) -> None:
    """Nothing of it writes any more. Of many the first is kept: the last that served for certain,
    which the volume names unless a start of one of the latest has failed in its midst."""
    if compute not in database.fenced:
        first, *later = (*database.fenced, compute)
        database.fenced = (first, *later[-(FENCED_MAX - 1) :])
    if database.holder is not None and database.holder.compute == compute:
        database.holder = None
    database.world.silences.ended(database.name)
    note(database, "confirmed_gone", compute=compute)


def own_volume(database: Database, epoch: int) -> None:
    """A compute of ours has the volume under this epoch: who had it before matters no more."""
    database.fenced, database.holder, database.lost_at = (), None, None
    database.world.silences.ended(database.name)
    database.seen_epoch = max(database.seen_epoch, epoch)


def end_run(database: Database) -> None:
    """No compute serves the database any more, as far as we are concerned."""
    close_resume(database, Chain())
    if database.switching is not None and database.switching.left_at is None:
        answer_switchover(database, Busy(f"{database.name} was stopped before it could be moved"))
    if database.switching is None:
        database.world.updates.forget(database.name)
    database.run = database.inside = database.watched = None
    database.doubt = None
    database.world.silences.ended(database.name)
    database.is_gate_closed = False
    database.is_suspending = False


def fail_start(database: Database, failure: Failure, now: float, *, is_final: bool = False) -> None:
    """After too many failures in a row, or one that would repeat itself, the database rests."""
    limits, before = database.world.limits, database.trouble
    attempts = (before.attempts if before else 0) + 1
    is_final = is_final or attempts >= limits.start_attempts_max
    if before is None or (is_final and not before.is_final):
        words = "it rests for now" if is_final else "another compute is tried"
        tell(database, "StartFailed", f"{words}: {failure.message[-LAST_WORDS_CHARACTERS_MAX:]}")
    if is_final:
        pause_s = backoff_s(attempts, limits.failed_rest_s_min, limits.failed_rest_s_max)
    else:
        pause_s = backoff_s(attempts, limits.start_backoff_s_min, limits.start_backoff_s_max)
    database.trouble = Trouble(failure, attempts, now + pause_s, is_final)
    database.blocked_by = failure
    warn(database, "start_failed", kind=failure.kind, reason=failure.message, attempts=attempts)
    if is_final:
        alarm(database, "start_given_up", kind=failure.kind, attempts=attempts, rests_s=pause_s)
        database.must_return = False
        answer_wakes(database, failure)
        answer_switchover(database, failure)


def hold_back(database: Database, reason: str, now: float) -> None:
    """A suspend was forbidden late: the next try waits, longer each time."""
    limits, times = database.world.limits, database.held_back.times + 1
    pause_s = backoff_s(times, limits.suspend_backoff_s_min, limits.suspend_backoff_s_max)
    database.held_back = HeldBack(now + pause_s, reason, times)
    note(database, "suspend_called_off", reason=reason)


def answer_awake(database: Database) -> None:
    """Everybody who waits gets the open endpoint, and the chain if this was its resume."""
    resume = database.open_resume
    steps = resume.trace.chain.steps if resume is not None else ()
    answer_wakes(database, Awake(endpoint=endpoints.info(database), steps=steps))


def answer_wakes(database: Database, answer: Awake | Failure) -> None:
    if database.waiters:
        database.effects.append(AnswerWakes(answer, tuple(database.waiters)))
        database.waiters.clear()


def answer_suspends(database: Database, refusal: Failure | None) -> None:
    if database.wishes:
        database.effects.append(AnswerSuspends(refusal, tuple(database.wishes)))
        database.wishes.clear()


def answer_switchover(database: Database, answer: SwitchedOver | Failure) -> None:
    """It has come to its end, this one or another."""
    switching, world = database.switching, database.world
    if switching is not None:
        failure = answer if isinstance(answer, Failure) else None
        had_left = switching.left_at is not None
        world.updates.ended(database.name, failure, world.now, had_left=had_left)
        database.effects.append(AnswerSwitchover(answer, switching.asker))
        database.switching = None


def answer_resizes(database: Database, answer: Resized | Failure) -> None:
    if database.resizers:
        database.effects.append(AnswerResizes(answer, tuple(database.resizers)))
        database.resizers.clear()


def end_switchover(database: Database, compute: str, rest: Trace | None = None) -> None:
    """The gate is open again; ``rest``: since the old compute had stopped, where that is known."""
    switching, run = database.switching, database.run
    assert switching is not None and run is not None
    epoch = run.epoch  # The record may have fallen back meanwhile.
    pause_ms = round((database.world.now - switching.closed_at) * 1000.0, 3)
    trace = switching.trace or Trace(TransitionKind.SWITCHOVER, switching.closed_at)
    if rest is not None:
        trace.go_on_with(rest)
    whole = trace.chain.steps[: chain.STEPS_MAX]
    went(database, trace, epoch, total_ms=pause_ms, compute=compute)
    wall_s = database.world.wall_s
    _set_aside(database, recorded.switchover(database.name, database.last_switchover, wall_s))
    at = timestamp(database.world.wall_s_at(switching.closed_at))
    database.last_switchover = LastSwitchover(at=at, epoch=epoch, pause_ms=pause_ms, steps=whole)
    note(database, "switched_over", compute=compute, pause_ms=pause_ms)
    if switching.because:
        words = (
            f"is on compute {compute} now, after a pause of {pause_ms:g} ms: {switching.because}"
        )
        tell(database, "SwitchedOver", words, is_warning=False)
    answer = SwitchedOver(epoch=epoch, compute=compute, pause_ms=pause_ms, steps=whole)
    answer_switchover(database, answer)


def open_resume(database: Database, resume: OpenResume) -> None:
    """Who looks sees its chain from now on, as far as it is known."""
    wall_s = database.world.wall_s
    _set_aside(database, recorded.wake(database.name, database.last_resume, wall_s))
    database.open_resume = resume
    database.last_resume = _last_resume(resume, resume.trace.chain)


def close_resume(database: Database, rest: Chain) -> None:
    """The chain of the latest resume is as whole as it will be."""
    resume = database.open_resume
    if resume is None:
        return
    database.open_resume = None
    known = resume.trace.chain
    whole = chain.completed(known, rest)
    behind = whole.steps[len(known.steps) :]
    epoch, total_ms = database.status.epoch, whole.total_ms
    went(database, resume.trace, epoch, total_ms=total_ms, rest=behind)
    database.last_resume = _last_resume(resume, whole)
    database.learn(lambda known: known.took(whole.total_ms / 1000.0))


def _set_aside(database: Database, last: Recorded | None) -> None:
    """Before its record tells of a later one."""
    if last is not None:
        database.effects.append(Overwritten(last))


def _last_resume(resume: OpenResume, known: Chain) -> LastResume:
    at = timestamp(resume.began_wall_s)
    return LastResume(steps=known.steps, total_ms=known.total_ms, at=at, cause=resume.trace.cause)


def so_far(database: Database) -> Transition | None:
    """Of a wake whose first row is not told yet, what is known: who looks need not wait for it."""
    resume = database.open_resume
    if resume is None:
        return None
    trace, status = resume.trace, database.status
    spans = trace.spans(tuple(database.seen))
    told = _told(database, trace, status.epoch, trace.chain.total_ms, status.compute or "", spans)
    return told.model_copy(update={"is_unfinished": True})


def went(
    database: Database,
    trace: Trace,
    epoch: int,
    *,
    total_ms: float | None = None,
    compute: str | None = None,
    rest: tuple[Step, ...] = (),
    failure: str = "",
) -> None:
    """A transition has come to its end, this one or another; for people who ask how it went."""
    world, seen = database.world, tuple(database.seen)
    # The next one may have begun: a resume is told when its first row is, or its compute goes.
    database.seen.clear()
    database.seen.extend(one for one in seen if one.begun_at >= trace.ended_at)
    took_ms = (world.now - trace.started_at) * 1000.0 if total_ms is None else total_ms
    compute = database.status.compute or "" if compute is None else compute
    told = _told(database, trace, epoch, took_ms, compute, trace.spans(seen, rest), failure)
    database.effects.append(Went(told))


def _told(
    database: Database,
    trace: Trace,
    epoch: int,
    total_ms: float,
    compute: str,
    spans: tuple[Span, ...],
    failure: str = "",
) -> Transition:
    return Transition(
        database=database.name,
        kind=trace.kind,
        at=exact_timestamp(database.world.wall_s_at(trace.started_at)),
        epoch=epoch,
        compute=compute,
        cause=trace.cause,
        total_ms=total_ms,
        failure=failure,
        spans=spans,
    )
