"""Which ended computes nobody will ask about any more, so that their pods may go. Pure.

A pod is the only witness of its compute's end, and whoever claims a compute must find the witness.
So one may go only where no record names its compute, and none will: nobody who could claim it is
left. An autoscaler that was just started cannot know what the one before it has claimed.
"""

from __future__ import annotations

from collections.abc import Iterable

from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.world import World


def let_go(
    computes: Iterable[str], databases: Iterable[Database], world: World, now: float
) -> tuple[str, ...]:
    """Those of the computes that have ended, are named by no database, and never will be."""
    if now < world.former_claims_until:
        return ()
    over = [compute for compute in computes if world.pool.is_over(compute)]
    named = _named(databases) if over else frozenset()
    return tuple(compute for compute in over if compute not in named)


def _named(databases: Iterable[Database]) -> frozenset[str]:
    """By a record, or by a volume that knows more than its record."""
    found = set[str]()
    for database in databases:
        if database.status.compute is not None:
            found.add(database.status.compute)
        if database.holder is not None:
            found.add(database.holder.compute)
    return frozenset(found)
