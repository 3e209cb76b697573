"""The record as it should be: rendered from what is known, compared with what is stored."""

from __future__ import annotations

from torpor_api.failures import Failure, NotFenced
from torpor_api.phases import Phase
from torpor_api.resource import Condition, DatabaseStatus
from torpor_api.rhythm import LearnedGaps
from torpor_api.values import AUTO
from torpor_autoscaler.lifecycle import decided, resizing
from torpor_autoscaler.lifecycle.database import FACTS_STORED, Database
from torpor_autoscaler.lifecycle.times import timestamp

READY_MESSAGES = {
    Phase.SUSPENDED: "asleep; the first query wakes it",
    Phase.RESUMING: "a compute is being started",
    Phase.ACTIVE: "awake",
    Phase.SUSPENDING: "falling asleep; the first query wakes it",
}

STORAGE_CONDITION = "StorageReady"
"""The operator's: False where a database has no volume to be started on."""

STORAGE_NOT_READY = "StorageNotReady"
"""Why one that sleeps is not Ready then."""

MOVING_MESSAGE = "moving to another compute; its sessions wait for a moment"

UNLIMITED = "Unlimited"
"""Of the condition Sized, on one machine."""

UNLIMITED_MESSAGE = "Postgres's settings follow the size; nothing limits its CPU and memory here"
"""And why, where that is known."""

REASON_CHARACTERS_MAX = 1000
"""Of a failure's message: the last lines of a log are enough in a resource."""

WHY_LINES_MAX = 25


def rendered(database: Database, phase: Phase, epoch: int, compute: str | None) -> DatabaseStatus:
    """The status to write for this phase, everything else as it is known at this moment."""
    return DatabaseStatus(
        phase=phase,
        epoch=epoch,
        compute=compute,
        fenced=database.fenced,
        endpoint=database.world.endpoint_of(database.name),
        observed_generation=database.observed_generation,
        conditions=_conditions(database, phase),
        last_resume=database.last_resume,
        last_switchover=database.last_switchover,
        why_awake=_why_awake(database, phase),
        decisions=decided.for_record(database.decisions) if phase is Phase.ACTIVE else (),
        learned_gaps=_learned_gaps(database, phase),
        cron_jobs=database.jobs,
        awaits_compute=database.awaits_compute,
        current_cu=resizing.current_cu(database),
        chosen_cu=database.chosen_cu,
        sessions=database.world.proxies.sessions(database.name, database.world.now),
    )


def is_rest_untold(database: Database) -> bool:
    """It sleeps, and its record does not say that it is ready as its spec is now, where that is to
    be said; or it says that a compute is awaited, which nobody does any more. Not before it is
    known who may log in: then proxies let its clients in. Or whether that is stored has changed."""
    generation, found = database.resource.metadata.generation, database.status
    if database.written == rendered(database, found.phase, found.epoch, found.compute):
        return False
    if database.status.phase is Phase.SUSPENDED and _is_unstored_untold(database):
        return True
    if not database.world.tells_of_rest or database.has_stale_facts:
        return False
    if database.status.awaits_compute:
        return True
    lacks_storage = missing_storage(database) is not None and not _is_unfenced(database)
    return database.status.phase is Phase.SUSPENDED and not any(
        condition.type == "Ready"
        and condition.observed_generation >= generation
        and (condition.reason == STORAGE_NOT_READY) == lacks_storage
        for condition in database.status.conditions
    )


def _is_unfenced(database: Database) -> bool:
    """Its last compute may still write: that comes before everything else."""
    return database.run is None and isinstance(database.blocked_by, NotFenced)


def missing_storage(database: Database) -> str | None:
    """Why it could not be woken, in the operator's words; None: it could."""
    for condition in database.status.conditions:
        if condition.type == STORAGE_CONDITION and condition.status == "False":
            return f"{condition.reason}: {condition.message}"
    return None


def _is_unstored_untold(database: Database) -> bool:
    says_so = any(condition.type == FACTS_STORED for condition in database.status.conditions)
    return says_so != (database.unstored_because is not None)


def _why_awake(database: Database, phase: Phase) -> tuple[str, ...]:
    if phase is not Phase.ACTIVE:
        return ()
    found = database.decide(database.world.now).reasons
    words = {reason.words for reason in found if not reason.is_passing}
    return tuple(sorted(words))[:WHY_LINES_MAX]


def _learned_gaps(database: Database, phase: Phase) -> LearnedGaps | None:
    """Written with what is written anyway when it wakes and sleeps, and not at each gap."""
    known, world = database.idling, database.world
    if phase is Phase.ACTIVE:
        return database.status.learned_gaps
    if database.resource.spec.idle_timeout != AUTO:
        return None
    if known is None:
        return database.status.learned_gaps
    return known.stored(timestamp(world.wall_s - known.idle_s(world.now)))


def _conditions(database: Database, phase: Phase) -> tuple[Condition, ...]:
    """Our own, and then those of others that we are shown, as they are."""
    others = [one for one in database.status.conditions if one.type == STORAGE_CONDITION]
    own = [one for one in _own_conditions(database, phase) if one.type != STORAGE_CONDITION]
    return (*own, *others)


def _own_conditions(database: Database, phase: Phase) -> tuple[Condition, ...]:
    trouble = database.trouble.failure if database.trouble else None
    if isinstance(database.blocked_by, NotFenced) and _is_unfenced(database):
        found = [_unfenced(database.blocked_by), *_unstored(database)]
        return tuple(_since(each, database) for each in found)
    if phase is Phase.FAILED and trouble is None:
        return database.status.conditions  # Failed before our start: the reason stands there.
    is_moving = database.switching is not None and phase is not Phase.ACTIVE
    missing = missing_storage(database)
    if phase is Phase.SUSPENDED and missing is not None:
        found = [_false("Ready", STORAGE_NOT_READY, missing)]
    else:
        found = [_ready(phase, trouble, is_moving=is_moving)]
    found += _sized(database) + _unstored(database)
    if database.spec_failure is not None:
        found.append(_refused("SpecApplied", database.spec_failure))
    return tuple(_since(each, database) for each in found)


def _ready(phase: Phase, trouble: Failure | None, *, is_moving: bool) -> Condition:
    if trouble is not None and phase is not Phase.ACTIVE:
        return _refused("Ready", trouble)
    return Condition(
        type="Ready",
        status="Unknown" if phase is Phase.RESUMING else "True",
        reason=phase.value,
        message=MOVING_MESSAGE if is_moving else READY_MESSAGES[phase],
    )


def _unfenced(failure: NotFenced) -> Condition:
    """Whatever it was before, nobody is served; and a person is told what would help."""
    words = "; ".join(filter(None, (failure.message, failure.hint)))
    return _refused("Ready", NotFenced(words))


def _sized(database: Database) -> list[Condition]:
    """Where it does not have the size that it shall have, and where a size is no limit."""
    run = database.run
    if run is None:
        return []
    for one in resizing.shortcomings(database, run):
        return [_false("Sized", one.reason, one.message)]
    if resizing.is_limited(database, run):
        return []
    words = ": ".join(filter(None, (UNLIMITED_MESSAGE, resizing.why_unlimited(database, run))))
    return [Condition(type="Sized", status="True", reason=UNLIMITED, message=words)]


def _unstored(database: Database) -> list[Condition]:
    """Only where it is so: then nobody can be judged by what the cluster has."""
    failure = database.unstored_because
    return [] if failure is None else [_refused(FACTS_STORED, failure)]


def _refused(type: str, failure: Failure) -> Condition:
    return _false(type, failure.kind, failure.message)


def _false(type: str, reason: str, message: str) -> Condition:
    message = message[-REASON_CHARACTERS_MAX:]
    return Condition(type=type, status="False", reason=reason, message=message)


def _since(condition: Condition, database: Database) -> Condition:
    """With the time at which its status last changed, and the generation that it speaks of."""
    before = [each for each in database.status.conditions if each.type == condition.type]
    is_same = bool(before) and before[0].status == condition.status
    at = before[0].last_transition_time if is_same else timestamp(database.world.wall_s)
    return condition.model_copy(
        update={
            "last_transition_time": at,
            "observed_generation": database.resource.metadata.generation,
        }
    )
