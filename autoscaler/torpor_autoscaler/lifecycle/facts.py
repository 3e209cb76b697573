"""Facts about one database, as they come in: each changes the state and decides nothing else."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from torpor_api.chain import Chain
from torpor_api.facts import Activity, LoginFacts
from torpor_api.failures import Busy, Failure, Holder, InvalidRequest, Refused, Unavailable
from torpor_api.messages import PostgresBack, PostgresLost
from torpor_api.quantities import parse_cu
from torpor_api.resource import ServerlessDatabase
from torpor_api.sizes import least_cu
from torpor_autoscaler.core import reasons
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.lifecycle import by_clock, outcomes
from torpor_autoscaler.lifecycle.actions import AnswerResizes, AnswerSwitchover, AnswerWakes
from torpor_autoscaler.lifecycle.database import AT_REST, Database
from torpor_autoscaler.lifecycle.known import Inside, Switching, Waiter


def wake(database: Database, id: int, cause: str, lost_epoch: int, now: float) -> None:
    """Somebody wants it awake. Answered at once where it is, or where it has just failed."""
    if len(database.waiters) >= database.world.limits.waiters_max:
        refusal = Unavailable(f"{database.name}: {len(database.waiters)} wakes wait for it already")
        database.effects.append(AnswerWakes(refusal, (id,)))
        return
    database.waiters[id] = Waiter(cause, now)
    if database.run is None:
        database.learn(lambda known: known.wake(now))
    run = database.run
    serves = run.is_up if run is not None else database.is_unsettled
    if serves and lost_epoch == database.status.epoch:
        words = f"a proxy could not reach compute {database.status.compute}"
        database.put_in_doubt(words, is_shared=True)
    if database.is_resting(now) and database.trouble is not None:
        outcomes.answer_wakes(database, database.trouble.failure)
    elif database.is_open and not database.is_suspending and not _is_doubt_shared(database):
        outcomes.answer_awake(database)


def _is_doubt_shared(database: Database) -> bool:
    return database.doubt is not None and database.doubt.is_shared


def leave(database: Database, id: int) -> None:
    """A waiter has hung up, or has waited for too long."""
    database.waiters.pop(id, None)


def wish_asleep(database: Database, id: int, now: float) -> None:
    """A person wants it asleep."""
    database.wishes[id] = now
    if database.is_kept:
        words = ", ".join(reason.words for reason in reasons.kept(database.resource.spec))
        hint = "change spec.minCU and spec.keepAwake first"
        if not words and database.scheduled is not None:
            words = database.scheduled.line
            hint = "change spec.schedules first, or ask again when its window is over"
        outcomes.answer_suspends(database, Refused(f"{database.name} is kept awake: {words}", hint))


def withdraw(database: Database, id: int) -> None:
    database.wishes.pop(id, None)


def ask_switchover(database: Database, id: int, patience_s: float) -> None:
    """Somebody wants it on a fresh compute. Refused where there is nothing to move."""
    refusal = _why_no_switchover(database)
    if refusal is None:
        database.switching = Switching(id, patience_s)
    else:
        database.effects.append(AnswerSwitchover(refusal, id))


def withdraw_switchover(database: Database, id: int) -> None:
    """Whoever asked has hung up, or has waited for too long; behind its stop it goes on."""
    switching = database.switching
    if switching is not None and switching.asker == id and switching.left_at is None:
        database.switching = None
        database.world.pool.stop_waiting(database.name)


def choose_size(database: Database, id: int, cu: Decimal) -> None:
    """Somebody wants it of this size, until its next sleep. Refused out of bounds, and asleep."""
    refusal = _why_not_of_size(database, cu)
    if refusal is not None:
        database.effects.append(AnswerResizes(refusal, (id,)))
        return
    if cu != database.chosen_cu:
        words = f"{database.name}: somebody has chosen {cu.normalize():f} CU meanwhile"
        outcomes.answer_resizes(database, Busy(words))
    database.chosen_cu = cu
    database.resizers[id] = cu


def withdraw_resize(database: Database, id: int) -> None:
    """Whoever asked waits no longer; the size stays chosen."""
    database.resizers.pop(id, None)


def _why_not_of_size(database: Database, cu: Decimal) -> Failure | None:
    name, spec = database.name, database.resource.spec
    try:
        parse_cu(cu)
    except ValueError as error:
        return InvalidRequest(str(error))
    least = least_cu(database.min_cu)
    if not least <= cu <= spec.max_cu:
        bounds = f"{least.normalize():f} to {spec.max_cu.normalize():f} CU"
        words = f"{name} can't have {cu.normalize():f} CU: its spec allows {bounds}"
        return Refused(words, "change spec.minCU or spec.maxCU first")
    if database.run is not None:
        return None
    if database.phase in AT_REST:
        words = f"{name} is {database.phase}: there is no compute to resize"
        return Refused(words, "ask again once it is awake")
    return Busy(f"{name} has no compute at this moment: it is {database.phase}", "ask again")


def _why_no_switchover(database: Database) -> Failure | None:
    name, phase = database.name, database.phase
    if database.switching is not None:
        return Busy(f"{name} is being moved to another compute already")
    if database.run is not None:
        return None
    if phase in AT_REST:
        words = f"{name} is {phase}: there is no compute to move it from"
        return Refused(words, "nothing to do: its next wake starts a fresh one with today's spec")
    words = f"{name} has no compute at this moment: it is {phase}"
    return Busy(words, "ask again once it is awake")


def observe(database: Database, resource: ServerlessDatabase) -> None:
    """The record, as the cluster tells it; one older than what we have seen changes nothing."""
    if _version(resource) < _version(database.resource):
        return
    if resource.metadata.generation != database.resource.metadata.generation:
        database.has_stale_facts |= database.run is None
        database.facts_retry_at = 0.0
        database.spec_retry_at = 0.0
        database.decisions.withdraw(Loop.SIZE)  # It may be one that leaves no choice.
    if resource.metadata.resource_version != database.resource.metadata.resource_version:
        database.written = None
    if resource.status.epoch < database.status.epoch:
        # Restored from an older state; proxies and agents have heard of the later epoch all the
        # same, and believe no lower one.
        database.seen_epoch = max(database.seen_epoch, database.status.epoch)
    database.resource = resource
    run, status = database.run, resource.status
    if run is not None and (status.epoch > run.epoch or status.phase in AT_REST):
        # Somebody else has claimed the database or stopped it: our compute is not its owner.
        phase, epoch = status.phase, status.epoch
        outcomes.warn(database, "run_superseded", found_phase=phase, found_epoch=epoch)
        if status.epoch < run.epoch:
            # Restored from an older state: nobody else has it, and our compute holds the volume.
            database.holder = Holder(run.epoch, run.agent.compute)
        database.facts_are_exact = False
        outcomes.end_run(database)


def agent_gone(database: Database, compute: str, now: float) -> None:
    """Confirmed: nothing of the compute is left."""
    if compute in database.unfenced:
        outcomes.confirm_gone(database, compute)
    if database.run is not None and database.run.agent.compute == compute:
        outcomes.lose(database, f"compute {compute} is gone", now)


def agent_leaves(database: Database, compute: str, *, is_news: bool) -> None:
    """It was told to end: what is done about it the plan decides (:mod:`leaving`)."""
    if is_news and database.run is not None and database.run.agent.compute == compute:
        outcomes.note(database, "compute_leaves", compute=compute)


def agent_unheard(database: Database, compute: str) -> None:
    """The connection to the agent is lost; that alone says nothing of its Postgres."""
    if database.run is not None and database.run.agent.compute == compute:
        database.put_in_doubt(f"the connection to compute {compute} was lost")


def heard(database: Database, epoch: int, now: float) -> None:
    """An agent has said something by itself. A former one is no sign that the present one lives."""
    database.world.silences.heard(now)
    if database.run is not None and epoch == database.run.epoch:
        database.world.silences.ended(database.name)


def postgres_lost(database: Database, event: PostgresLost, now: float) -> None:
    if database.run is None or event.epoch != database.run.epoch:
        return
    outcomes.warn(database, "postgres_lost", reason=event.reason)
    database.facts_are_exact, database.inside = False, None
    if event.restarting:
        database.run = database.run.down(now, database.world.limits.restart_s_max)
    else:
        outcomes.lose(database, event.reason, now)


def postgres_back(database: Database, event: PostgresBack) -> None:
    run, started = database.run, event.started
    if run is None or event.epoch != run.epoch:
        return
    database.run = replace(
        run,
        down_since=None,
        ask_again_at=None,
        address=started.address,
        max_connections=started.max_connections,
        is_open=False,
    )
    if database.sizing is not None:
        # What needed a restart has had one.
        database.sizing = replace(database.sizing, has_followed=False, needs_restart=())
    if started.facts is not None:
        outcomes.learn(database, started.facts, are_exact=True)
    outcomes.note(database, "postgres_back")


def facts_changed(database: Database, epoch: int, facts: LoginFacts) -> None:
    if database.run is not None and epoch == database.run.epoch:
        outcomes.learn(database, facts, are_exact=database.is_up)


def looked_inside(database: Database, epoch: int, activity: Activity, now: float) -> bool:
    """Whether anything goes on inside, or has just ended, or its jobs are other ones."""
    if not database.is_up or database.run is None or epoch != database.run.epoch:
        return False
    before = dict(database.inside.since) if database.inside is not None else {}
    since = tuple((what, before.get(what, now)) for what in activity.busy)
    database.inside = Inside(activity, now, since)
    jobs_before = database.jobs
    database.jobs = by_clock.jobs_known(jobs_before, activity.jobs)
    return bool(before or since) or database.jobs != jobs_before


def used(database: Database, at: float) -> None:
    """By sessions of a proxy that has none any more, and does not report it."""
    database.used_at = max(database.used_at, at)
    database.learn(lambda known: known.use(at))


def resume_seen(database: Database, epoch: int, rest: Chain) -> None:
    """The first client has its first row; later ones say nothing new."""
    if database.run is not None and epoch == database.run.epoch:
        outcomes.close_resume(database, rest)


def _version(resource: ServerlessDatabase) -> int:
    """Versions grow; Kubernetes promises that they compare as numbers, too."""
    version = resource.metadata.resource_version
    return int(version) if version.isdigit() else 0
