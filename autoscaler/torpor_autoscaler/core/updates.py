"""Whose turn it is to move to a compute that is as its pool makes them now.

One database at a time in each pool, with a pause in which the pool fills up again: those who wake
meanwhile find warm computes. When a database has not come up on a fresh one, the pool's updates
rest for long: an image that starts no Postgres must not take one database after the other along.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from torpor_api.failures import Busy, Failure
from torpor_autoscaler.core.limits import Limits, backoff_s


@dataclass(frozen=True, slots=True)
class PutOff:
    """Its move was called off: the next try waits, longer each time."""

    until: float
    times: int
    """In a row."""


class Updates:
    """One per autoscaler; it begins anew with each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turns: dict[str, str] = {}
        """By pool: the database that moves, or waits for its compute."""
        self._next_at: dict[str, float] = {}
        """By pool: before that it is nobody's turn."""
        self._put_off: dict[str, PutOff] = {}
        """By database."""

    def take_turn(self, pool: str, database: str, now: float) -> bool:
        """Whether it is this database's turn; where it is nobody's it is from now on."""
        if now < self.may_begin_at(pool, database, now):
            return False
        self._turns[pool] = database
        return True

    def may_begin_at(self, pool: str, database: str, now: float) -> float:
        """When it may be its turn, as far as that is known."""
        holder = self._turns.get(pool)
        if holder == database:
            return now
        put_off = self._put_off.get(database)
        own_at = put_off.until if put_off is not None else -inf
        others_at = now + self._limits.update_pause_s if holder is not None else -inf
        return max(self._next_at.get(pool, -inf), own_at, others_at)

    def times_put_off(self, database: str) -> int:
        """In a row."""
        found = self._put_off.get(database)
        return found.times if found is not None else 0

    def pass_on(self, database: str) -> None:
        """It did not use its turn."""
        self._turns = {pool: one for pool, one in self._turns.items() if one != database}

    def forget(self, database: str) -> None:
        """Its compute is not to be left any more."""
        self.pass_on(database)
        self._put_off.pop(database, None)

    def ended(
        self, database: str, failure: Failure | None, now: float, *, had_left: bool = True
    ) -> None:
        """A move of it; None: it serves on a fresh compute. Moves for other reasons count for
        nothing but themselves. ``had_left``: what became of it says something of a fresh one."""
        limits, pools = self._limits, [p for p, one in self._turns.items() if one == database]
        for pool in pools:
            is_over = failure is None or isinstance(failure, Busy) or not had_left
            pause_s = limits.update_pause_s if is_over else limits.update_rest_s
            self._next_at[pool] = now + pause_s
        if failure is None:
            self.forget(database)
        elif pools:
            times = self.times_put_off(database) + 1
            pause_s = backoff_s(times, limits.update_backoff_s_min, limits.update_backoff_s_max)
            self._put_off[database] = PutOff(now + pause_s, times)
            self.pass_on(database)
