"""Who may log in: fetched from the cluster, and what an agent exports kept there.

A cluster that does not keep it holds nothing else up. Where that is not over in a moment, the
record says so, which outlives the autoscaler: whoever finds that can't take for exact what is kept.
"""

from __future__ import annotations

from torpor_api.failures import DataDamaged, Failure, StaleEpoch
from torpor_api.messages import FetchLoginFacts, StoreLoginFacts
from torpor_autoscaler.lifecycle import outcomes
from torpor_autoscaler.lifecycle.actions import AskCluster, GaveWay, Plan, ask
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Storing
from torpor_autoscaler.lifecycle.limits import backoff_s


def are_due(database: Database) -> bool:
    """Whether there are any to be kept, and it is time for the next try."""
    return database.has_unstored_facts and database.world.now >= database.storing.retry_at


def store(database: Database, epoch: int, *, can_wait: bool = False) -> Plan[None]:
    """Keep what the agent exported. Older than what is stored: somebody newer has the database."""
    facts = database.facts
    request = StoreLoginFacts(name=database.name, epoch=epoch, facts=facts)
    try:
        yield from ask(AskCluster(request, can_wait))
    except GaveWay:
        return
    except StaleEpoch as failure:
        outcomes.note(database, "facts_superseded", reason=failure.message)
    except Failure as failure:
        _try_again_later(database, failure)
        return
    database.storing = Storing()
    if database.facts is facts:
        database.has_unstored_facts = database.has_stale_facts = False


def fetch(database: Database) -> Plan[None]:
    """What the cluster says of who may log in; what an agent says meanwhile is newer."""
    generation = database.resource.metadata.generation
    request, facts = FetchLoginFacts(name=database.name), None
    try:
        facts = (yield from ask(AskCluster(request, can_wait=not database.is_pressed))).facts
    except GaveWay:
        return  # Asked again at once, and not in line.
    except DataDamaged as failure:
        _miss(database, failure)
    except Failure as failure:
        database.facts_retry_at = database.world.now + database.world.limits.retry_s_max
        outcomes.warn(database, "facts_unknown", reason=failure.message)
        return
    if facts is not None and not database.has_unstored_facts:
        database.facts = facts
    database.has_stale_facts = generation != database.resource.metadata.generation


def _try_again_later(database: Database, failure: Failure) -> None:
    limits, tries = database.world.limits, database.storing.tries + 1
    pause_s = backoff_s(tries, limits.retry_s_min, limits.facts_retry_s_max)
    was_lasting = database.unstored_because is not None
    database.storing = Storing(failure, tries, database.world.now + pause_s)
    if database.unstored_because is not None and not was_lasting:
        outcomes.warn(database, "facts_not_stored", kind=failure.kind, reason=failure.message)


def _miss(database: Database, failure: DataDamaged) -> None:
    """Nobody can be judged by what is stored. The first login wakes the database, and what that
    one exports is stored in its place."""
    outcomes.warn(database, "facts_damaged", reason=failure.message)
    if not database.has_unstored_facts:
        database.facts_are_exact = False
        database.storing = Storing(failure, database.world.limits.store_tries_max)
