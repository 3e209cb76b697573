"""Writing the record: by compare-and-swap, and never into what somebody else has made of it."""

from __future__ import annotations

from torpor_api.failures import Conflict, Failure
from torpor_api.messages import GetResource, WriteStatus
from torpor_api.phases import Phase, may_follow
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import facts, status
from torpor_autoscaler.lifecycle.actions import AskCluster, GaveWay, Plan, ask
from torpor_autoscaler.lifecycle.database import Database

TRIES_MAX = 5
"""Each lost race means that somebody else wrote: a person's apply, seldom twice in a row."""

Identity = tuple[Phase, int, str | None]
"""What a claim is about; a changed spec or label is no reason to decide again."""


def write(
    database: Database,
    phase: Phase,
    epoch: int,
    compute: str | None,
    *,
    can_wait: bool = False,
) -> Plan[None]:
    """Store this phase, epoch and compute.

    Raises Conflict where somebody else has changed these in between, or keeps on writing. Another
    failure is raised as it is, once the record has been read: it may have been written after all.
    """
    before, wanted = _identity(database.status), (phase, epoch, compute)
    assert phase == before[0] or may_follow(before[0], phase), f"{before[0]} to {phase}"
    lost: Conflict | None = None
    for _ in range(TRIES_MAX):
        try:
            yield from _write_once(database, phase, epoch, compute, can_wait=can_wait)
            return
        except GaveWay:
            raise
        except Failure as failure:
            yield from read(database)
            found = _identity(database.status)
            if found == wanted and before != wanted:
                return  # This try or an earlier one had reached the record.
            if found != before:
                raise Conflict(f"{database.name}: somebody else made it {found}") from failure
            if not isinstance(failure, Conflict):
                raise  # To ask at once again is no help; whoever called knows when to.
            lost = failure
    raise Conflict(f"{database.name}: lost {TRIES_MAX} races for its record") from lost


def read(database: Database) -> Plan[None]:
    """The record as it is now."""
    stored = yield from ask(AskCluster(GetResource(name=database.name)))
    facts.observe(database, stored.resource)


def _write_once(
    database: Database, phase: Phase, epoch: int, compute: str | None, *, can_wait: bool
) -> Plan[None]:
    wish = status.rendered(database, phase, epoch, compute)
    request = WriteStatus(
        name=database.name,
        resource_version=database.resource.metadata.resource_version,
        status=wish,
    )
    stored = yield from ask(AskCluster(request, can_wait))
    facts.observe(database, stored.resource)
    if database.resource is stored.resource:
        database.written = wish


def _identity(found: DatabaseStatus) -> Identity:
    return found.phase, found.epoch, found.compute
