"""A compute that was told to end: its database moves to another one while there is time.

It is a switchover like any other, tried again and again: idle sessions take a moment, and one that
is in a transaction holds nobody else up for long. When the time is nearly over, everybody who can
be parked is, and the others are ended with their Postgres, in good order: so the data is released,
and no fencer has to be waited for.
"""

from __future__ import annotations

from dataclasses import replace

from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import HeldBack, Run, Switching
from torpor_autoscaler.lifecycle.limits import backoff_s

NOBODY = 0
"""Who has asked for a move that comes of itself; people's numbers begin at 1."""

BECAUSE = "its compute was told to end"

WORDS = f"{BECAUSE}: it moves to another one"


def is_leaving(database: Database, run: Run) -> bool:
    return database.world.pool.leaves_at(run.agent.compute) is not None


def take_up(database: Database, run: Run, now: float) -> None:
    """Begin a move where one is due, or make the most of one that waits for its fresh compute."""
    if not is_leaving(database, run) or now < database.move_held_back.until:
        return
    patience_s = database.world.limits.move_patience_s
    found = database.switching or Switching(
        NOBODY, patience_s, because=BECAUSE, tries=database.move_held_back.times
    )
    if now >= _last_try_at(database, run):
        found = replace(found, patience_s=min(found.patience_s, patience_s), insists=True)
    database.switching = found


def look_again_at(database: Database, run: Run) -> tuple[float, ...]:
    """When time alone may make a move due."""
    if not is_leaving(database, run):
        return ()
    return database.move_held_back.until, _last_try_at(database, run)


def hold_back(database: Database, run: Run, reason: str, now: float) -> None:
    """A try was called off: the next one waits, but never for longer than until the last."""
    if not is_leaving(database, run):
        return
    limits, times = database.world.limits, database.move_held_back.times + 1
    again_at = now + backoff_s(times, limits.move_backoff_s_min, limits.move_backoff_s_max)
    last_at = max(_last_try_at(database, run), now + limits.move_backoff_s_min)
    database.move_held_back = HeldBack(min(again_at, last_at), reason, times)


def _last_try_at(database: Database, run: Run) -> float:
    ends_at = database.world.pool.leaves_at(run.agent.compute)
    assert ends_at is not None
    return ends_at - database.world.limits.move_last_s
