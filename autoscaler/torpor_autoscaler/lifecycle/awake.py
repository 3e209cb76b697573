"""Awake: what a database is owed while a compute serves it, the most urgent first."""

from __future__ import annotations

from dataclasses import replace

from torpor_api.chain import Chain
from torpor_api.failures import Busy, Failure
from torpor_api.messages import ApplySpec, FetchVerifiers
from torpor_api.phases import Phase
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.reasons import Weight
from torpor_autoscaler.core.sleep import GOES_TO_SLEEP, SleepChoice
from torpor_autoscaler.lifecycle import (
    leaving,
    listening,
    login_facts,
    outcomes,
    resizing,
    status,
    updating,
)
from torpor_autoscaler.lifecycle.actions import AskAgent, AskCluster, Plan, Wait, ask
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Run
from torpor_autoscaler.lifecycle.settle import verify
from torpor_autoscaler.lifecycle.suspend import suspend
from torpor_autoscaler.lifecycle.switchover import switch_over
from torpor_autoscaler.lifecycle.writing import write


def stay_awake(database: Database, run: Run) -> Plan[None]:
    """One step; called again as long as there is a run."""
    now, limits = database.world.now, database.world.limits
    if database.doubt is not None or not run.is_up:
        updating.let_others_go_first(database)
    if database.doubt is not None:
        yield from verify(database, run)
    elif run.down_since is not None and now >= run.down_since + limits.start_s_max:
        outcomes.lose(database, "Postgres did not come back", now)
    elif run.ask_again_at is not None and now >= run.ask_again_at:
        yield from _ask_after(database, run, now)
    elif run.is_up and not run.is_open:
        yield from listening.let_in(database, run, is_fresh=False)
    elif database.waiters and run.is_up:
        outcomes.answer_awake(database)
    elif _is_record_due(database, run, now):
        yield from write(database, Phase.ACTIVE, run.epoch, run.agent.compute)
        database.noted_at = now
    elif login_facts.are_due(database):
        yield from login_facts.store(database, run.epoch)
    elif _is_spec_due(database, now):
        yield from _apply_spec(database, run)
    elif run.is_up and resizing.is_due(database, run, now):
        yield from resizing.resize(database, run)
    elif database.open_resume is not None and now >= database.open_resume.until:
        outcomes.close_resume(database, Chain())
    elif run.is_up:
        yield from _sleep_or_wait(database, run, now)
    else:
        yield from ask(Wait(run.ask_again_at))


def awaits_word(database: Database) -> bool:
    """Whether it matters to it that a proxy tells once more what it told before: with that it may
    sleep or move, or a time without use becomes certain."""
    run, now, learned = database.run, database.world.now, database.learned
    if run is None or not run.is_up or database.doubt is not None:
        return True
    if database.wishes or database.switching is not None or updating.is_outdated(database, run):
        return True
    is_over = now >= database.used_at + database.timeout_s and not database.is_kept
    return is_over or (learned is not None and learned.awaits_look(now))


def _ask_after(database: Database, run: Run, now: float) -> Plan[None]:
    """A crashed Postgres may need long for its recovery; its agent knows whether it goes on."""
    waiting = replace(run, ask_again_at=now + database.world.limits.restart_s_max)
    database.run = waiting
    database.put_in_doubt("Postgres has not come back yet")
    yield from verify(database, waiting)


def _is_record_due(database: Database, run: Run, now: float) -> bool:
    """A change of ``whyAwake`` alone waits for a while, and one of the sessions' number or of what
    policies say of themselves for longer: each write is an fsync."""
    stored, limits = database.status, database.world.limits
    wanted = status.rendered(database, Phase.ACTIVE, run.epoch, run.agent.compute)
    if wanted == database.written:
        return False
    slow = {"sessions": wanted.sessions, "decisions": wanted.decisions}
    counted = stored.model_copy(update=slow)
    if wanted == counted:
        return wanted != stored and now >= database.noted_at + limits.count_s_min
    is_note_only = wanted == counted.model_copy(update={"why_awake": wanted.why_awake})
    is_late = now >= database.noted_at + limits.note_s_min
    # With no reason left the next write is that of the suspend.
    return not is_note_only or (is_late and bool(wanted.why_awake))


def _is_spec_due(database: Database, now: float) -> bool:
    is_newer = database.resource.metadata.generation > database.observed_generation
    return is_newer and now >= database.spec_retry_at


def _apply_spec(database: Database, run: Run) -> Plan[None]:
    resource = database.resource
    try:
        fetched = yield from ask(AskCluster(FetchVerifiers(name=database.name)))
        request = ApplySpec(
            epoch=run.epoch,
            spec=resource.spec,
            generation=resource.metadata.generation,
            verifiers=fetched.verifiers,
        )
        reply = yield from ask(AskAgent(run.agent, request))
    except Failure as failure:
        before = database.spec_failure
        if not failure.retryable and (before is None or before.message != failure.message):
            outcomes.tell(database, "SpecNotApplied", failure.message)
        database.spec_failure = failure
        database.spec_retry_at = database.world.now + database.world.limits.retry_s_max
        outcomes.warn(database, "spec_not_applied", reason=failure.message)
        return
    database.spec_failure = None
    database.observed_generation = resource.metadata.generation
    outcomes.learn(database, reply.facts, are_exact=database.is_up)


def _sleep_or_wait(database: Database, run: Run, now: float) -> Plan[None]:
    decision = database.decide(now)
    _log_if_new(database, decision)
    _remember(database, decision)
    if database.wishes:
        yield from _grant_wish(database, run, decision)
    elif decision.sleeps and database.switching is None:
        yield from suspend(database, run)
    else:
        leaving.take_up(database, run, now)
        resizing.take_up(database, run, now)
        updating.take_up(database, run, decision, now)
        yield from _switch_over_or_wait(database, run, decision)


def _log_if_new(database: Database, decision: SleepChoice) -> None:
    words = tuple(reason.words for reason in decision.reasons if not reason.is_passing)
    if decision.sleeps:
        outcomes.note(database, "decided_to_sleep")
        database.decided = ()
    elif words and words != database.decided:
        outcomes.note(database, "decided_to_stay_awake", reasons=words)
        database.decided = words


def _remember(database: Database, choice: SleepChoice) -> None:
    """For people who ask. Who is being moved does not go to sleep."""
    decision = choice.decision
    if decision is not None and not (choice.sleeps and database.switching is not None):
        database.decisions.add(decision, database.world.wall_s)


def _grant_wish(database: Database, run: Run, decision: SleepChoice) -> Plan[None]:
    """A person's wish need not wait for time; for reports of sessions it does. No session of which
    only an older report speaks is held against him: he may just have ended it."""
    against = decision.against(Weight.IN_USE, Weight.KEPT)
    if against and not _are_reports_due(database):
        lines = "; ".join(reason.line for reason in against)
        outcomes.answer_suspends(database, Busy(f"{database.name}: {lines}"))
    elif against or decision.against(Weight.UNKNOWN):
        yield from ask(Wait(_next_look(database, run, decision)))
    else:
        wishes = len(database.wishes)
        granted = Decision(Loop.AWAKE, "people who ask for it", wishes, 0, "", 0.0, GOES_TO_SLEEP)
        database.decisions.add(granted, database.world.wall_s)
        yield from suspend(database, run)


def _are_reports_due(database: Database) -> bool:
    """Whether a proxy with sessions has said nothing since the first of the wishes."""
    wished_at, now = min(database.wishes.values()), database.world.now
    views = database.world.proxies.views(database.name, now)
    return any(
        view.sampled_at is not None and view.sampled_at < wished_at
        for view in views
        if view.sample is not None and view.forget_at is None
    )


def _switch_over_or_wait(database: Database, run: Run, decision: SleepChoice) -> Plan[None]:
    """Not while a proxy may not have registered again, whose gate nobody could close."""
    switching, world = database.switching, database.world
    is_blind = world.now < world.blind_until
    if switching is not None and (switching.insists or (not is_blind and _has_reserved(database))):
        yield from switch_over(database, run, switching)
    else:
        yield from ask(Wait(_next_look(database, run, decision)))


def _has_reserved(database: Database) -> bool:
    """The fresh compute comes first: nobody shall wait for one behind closed gates.

    But where the volume is the database's own, the next compute can only be made when the last one
    has ended: then everybody waits for as long as that takes.
    """
    if database.has_own_volume:
        return True
    version = database.resource.spec.postgres_version
    return database.world.pool.reserve(database.name, version, pool=database.pool) is not None


def _next_look(database: Database, run: Run, decision: SleepChoice) -> float | None:
    """When time alone will change something: the decision, the record, the chain, the spec."""
    world = database.world
    moments = [
        decision.look_again_at,
        database.noted_at + world.limits.note_s_min,
        database.noted_at + world.limits.count_s_min,
        database.next_facts_at,
        *leaving.look_again_at(database, run),
        *resizing.look_again_at(database, run),
        *updating.look_again_at(database, run),
    ]
    if database.open_resume is not None:
        moments.append(database.open_resume.until)
    if database.resource.metadata.generation > database.observed_generation:
        moments.append(database.spec_retry_at)
    return min((m for m in moments if m is not None and m > world.now), default=None)
