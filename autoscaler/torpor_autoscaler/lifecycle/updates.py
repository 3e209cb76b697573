"""Whose turn it is to move to a compute that is as its pool makes them now.

One database at a time in each pool, with a pause in which the pool fills up again: those who wake
meanwhile find warm computes. When a database has not come up on a fresh one, the pool's updates
rest for long, or until it makes others: an image that starts no Postgres must not take one database
after the other along.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from torpor_api.failures import Busy, Failure
from torpor_autoscaler.lifecycle.limits import Limits, backoff_s


@dataclass(frozen=True, slots=True)
class PutOff:
    """Its move was called off: the next try waits, longer each time."""

    until: float
    times: int
    """In a row."""


@dataclass(frozen=True, slots=True)
class Turn:
    """Of a database that moves, or waits for its compute."""

    database: str
    template: str
    """Of the computes to which it moves; empty: not known."""


@dataclass(frozen=True, slots=True)
class Rest:
    """Of a pool: a database has not come up on a compute of this template."""

    template: str
    until: float


class Updates:
    """One per autoscaler; it begins anew with each."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._turns: dict[str, Turn] = {}
        """By pool."""
        self._next_at: dict[str, float] = {}
        """By pool: before that it is nobody's turn."""
        self._rests: dict[str, Rest] = {}
        """By pool."""
        self._put_off: dict[str, PutOff] = {}
        """By database."""

    def take_turn(self, pool: str, database: str, now: float, template: str = "") -> bool:
        """Whether it is this database's turn; where it is nobody's it is from now on.

        ``template``: of the computes that the pool makes now; empty: not known."""
        if now < self.may_begin_at(pool, database, now, template):
            return False
        self._turns[pool] = Turn(database, template)
        return True

    def may_begin_at(self, pool: str, database: str, now: float, template: str = "") -> float:
        """When it may be its turn, as far as that is known."""
        holder = self._turns.get(pool)
        if holder is not None and holder.database == database:
            return now
        put_off = self._put_off.get(database)
        own_at = put_off.until if put_off is not None else -inf
        others_at = now + self._limits.update_pause_s if holder is not None else -inf
        rested_at = self._rested_at(pool, template)
        return max(self._next_at.get(pool, -inf), own_at, others_at, rested_at)

    def _rested_at(self, pool: str, template: str) -> float:
        """Where a template is not known it may be the same."""
        rest = self._rests.get(pool)
        if rest is None or (template and rest.template and template != rest.template):
            return -inf
        return rest.until

    def times_put_off(self, database: str) -> int:
        """In a row."""
        found = self._put_off.get(database)
        return found.times if found is not None else 0

    def pass_on(self, database: str) -> None:
        """It did not use its turn."""
        turns = self._turns.items()
        self._turns = {pool: turn for pool, turn in turns if turn.database != database}

    def forget(self, database: str) -> None:
        """Its compute is not to be left any more."""
        self.pass_on(database)
        self._put_off.pop(database, None)

    def ended(
        self, database: str, failure: Failure | None, now: float, *, had_left: bool = True
    ) -> None:
        """A move of it; None: it serves on a fresh compute. Moves for other reasons count for
        nothing but themselves. ``had_left``: what became of it says something of a fresh one."""
        limits = self._limits
        turns = {p: turn for p, turn in self._turns.items() if turn.database == database}
        for pool, turn in turns.items():
            self._next_at[pool] = now + limits.update_pause_s
            if failure is not None and not isinstance(failure, Busy) and had_left:
                self._rests[pool] = Rest(turn.template, now + limits.update_rest_s)
        if failure is None:
            self.forget(database)
        elif turns:
            times = self.times_put_off(database) + 1
            pause_s = backoff_s(times, limits.update_backoff_s_min, limits.update_backoff_s_max)
            self._put_off[database] = PutOff(now + pause_s, times)
            self.pass_on(database)
