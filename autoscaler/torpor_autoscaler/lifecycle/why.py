"""Why a database is awake, or can't wake: one line a reason, for the person who asks now."""

from __future__ import annotations

from torpor_api.failures import Busy, Failure, NoWarmCompute, Unavailable
from torpor_autoscaler.core import reasons
from torpor_autoscaler.lifecycle import leaving, resizing, updating
from torpor_autoscaler.lifecycle.database import Database

WAITERS_SHOWN_MAX = 5
"""Of those who wait; the first are the ones that matter."""

MOVING = "it is being moved to another compute"

RESTARTING = "Postgres has crashed and is being started again"


def lines(database: Database, now: float) -> tuple[str, ...]:
    """Nothing for a database that sleeps and that nobody wants."""
    moving = (MOVING,) if database.switching is not None else ()
    return moving + (_awake(database, now) if database.run is not None else _absent(database, now))


def _absent(database: Database, now: float) -> tuple[str, ...]:
    found = [_in_words(failure) for failure in _failures(database)]
    waiters = list(database.waiters.values())[:WAITERS_SHOWN_MAX]
    found += [f"wanted by {w.cause} for {reasons.duration(now - w.since)}" for w in waiters]
    return tuple(found) + _unstored(database)


def inside(database: Database, now: float) -> tuple[str, ...]:
    """No reason, but what a person who asks for reasons wants to know next."""
    if database.inside is None:
        return ()
    activity, ago_s = database.inside.activity, now - database.inside.at
    return (
        f"inside, {reasons.duration(ago_s)} ago: connections {activity.backends},"
        f" queries running {activity.active_queries},"
        f" memory {activity.memory_bytes >> 20} MiB,"
        f" shared buffers filled {activity.working_set_bytes >> 20} MiB",
    )


def unanswered(database: Database, waited_s: float) -> Failure:
    """For a wake whose time is up: what the database has been waiting for."""
    failures = _failures(database)
    hint = f"it goes on trying; ask again, or see `torpor why {database.name}`"
    if not failures:
        return Unavailable(f"{database.name} did not wake within {waited_s:g} s", hint)
    last = failures[0]
    words = f"{database.name} did not wake within {waited_s:g} s: {last.message}"
    return type(last)(words, last.hint or hint)


def unmoved(database: Database, waited_s: float) -> Failure:
    """For a switchover whose time is up: how far it has come."""
    words = f"{database.name} was not moved within {waited_s:g} s"
    if database.run is None:
        found = _failures(database)
        reason = found[0].message if found else "its fresh compute is being started"
        return Unavailable(f"{words}: {reason}", f"it goes on; see `torpor status {database.name}`")
    if database.name in database.world.pool.waiting:
        return NoWarmCompute(f"{words}: it waits for a warm compute", "nothing was changed")
    return Busy(words, f"see `torpor why {database.name}`")


def unsized(database: Database, waited_s: float) -> Failure:
    """For a resize whose time is up."""
    found = resizing.shortcomings(database, database.run) if database.run else ()
    reasons = "; ".join(one.message for one in found) or "it is still under way"
    words = f"{database.name} did not have its size within {waited_s:g} s: {reasons}"
    return Unavailable(words, f"it goes on trying; see `torpor why {database.name}`")


def _awake(database: Database, now: float) -> tuple[str, ...]:
    found = [reason.line for reason in database.decide(now).reasons]
    if database.doubt is not None:
        found.insert(0, f"in doubt: {database.doubt.reason}{_silence(database, now)}")
    if database.run is not None and leaving.is_leaving(database, database.run):
        found.insert(0, leaving.WORDS)
    if database.run is not None and not database.run.is_up:
        found.insert(0, RESTARTING)
    if database.run is not None:
        found += [one.message for one in resizing.shortcomings(database, database.run)]
        found += [updating.WORDS] if updating.is_outdated(database, database.run) else []
    if database.spec_failure is not None:
        found.append(f"the spec could not be applied: {database.spec_failure.message}")
    return tuple(found) + _unstored(database)


def _unstored(database: Database) -> tuple[str, ...]:
    failure = database.unstored_because
    return () if failure is None else (f"who may log in could not be stored: {failure.message}",)


def _silence(database: Database, now: float) -> str:
    silence = database.world.silences.of(database.name)
    if silence is None:
        return ""
    others = "; neither do others" if database.world.silences.is_deaf else ""
    return f"; it has not answered for {reasons.duration(now - silence.since)}{others}"


def _failures(database: Database) -> list[Failure]:
    """What it waits for now first, then why the last attempts failed."""
    found: list[Failure] = []
    if database.run is not None and not database.run.is_up:
        found.append(Unavailable(RESTARTING))
    if database.blocked_by is not None:
        found.append(database.blocked_by)
    if database.trouble is not None and database.trouble.failure is not database.blocked_by:
        found.append(database.trouble.failure)
    return found


def _in_words(failure: Failure) -> str:
    return f"{failure.kind}: {failure.message}"
