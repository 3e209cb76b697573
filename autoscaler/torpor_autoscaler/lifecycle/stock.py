"""Of each pool: who comes for a member, how long the next one takes, and how many shall wait.

The policy is :mod:`torpor_autoscaler.core.warm`; here it is fed. Whoever takes a member counts: a
database that wakes, one that moves, and an eraser of data, of whom the cluster tells by a member
that is suddenly taken.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from math import inf

from torpor_api.messages import AgentInfo
from torpor_autoscaler.core.wakes import RECENT_S, Wakes
from torpor_autoscaler.core.warm import (
    FOUND_SHARE,
    OWN_VOLUME,
    Miss,
    MissReason,
    PoolChoice,
    PoolTerms,
    Steady,
    choose_warm,
    explain_miss,
    mean_replace_s,
)
from torpor_autoscaler.lifecycle import learned
from torpor_autoscaler.lifecycle.warm_pool import WarmPool

FIRST_REPLACE_S = 5.0
"""Until it is measured: some more than a pod takes whose image is there, or an agent here."""

LEARNED_S = 600.0
"""Between two tellings of what was learned, which differs with every minute: the record is written
no oftener for it, and a next autoscaler lacks ten minutes at most."""

CLOCK_JUMP_S = 30.0
"""When the clock on the wall has moved by more, what came of late is not what it was: the pool
stays as it is until as much is known again. Half of the shorter window of wakes."""

FORMER_MAX = 100
"""Of one pool, for the explanation of a cold start."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a person lets a pool be."""

    least: int
    most: int
    probability: float = FOUND_SHARE
    """Of the wakes, that find a member warm."""


@dataclass(frozen=True, slots=True)
class PoolRecord:
    """A pool as the cluster keeps it."""

    name: str
    bounds: Bounds
    wanted: int = 0
    """As many as we, or an autoscaler before us, wanted last."""
    learned: str = ""
    """And what that one had learned."""


class Stock:
    """One pool."""

    def __init__(self, bounds: Bounds) -> None:
        self.bounds = bounds
        self.choice: PoolChoice | None = None
        """The latest; None: it was not asked for yet."""
        self.decision = ""
        """Why it is as large: the line of the moment in which that changed."""
        self.learned = ""
        """What a next autoscaler may know of hours and days."""
        self._learned_at = -inf
        self._offset_s = 0.0
        """Of the clock on the wall from ours."""
        self._replace_s = FIRST_REPLACE_S
        self._wakes = Wakes()
        self._steady = Steady()
        self._former: deque[tuple[float, PoolChoice]] = deque(maxlen=FORMER_MAX)
        """Choices and when each ended, of as long ago as a member takes; the oldest first."""
        self._ordered: deque[float] = deque()
        """Since when each member is missing that is on its way, the oldest first."""

    @property
    def size(self) -> int:
        """So many shall wait."""
        return self.bounds.least if self.choice is None else self.choice.size

    @property
    def terms(self) -> PoolTerms:
        bounds = self.bounds
        return PoolTerms(self._replace_s, bounds.probability, bounds.least, bounds.most)

    def begin(self, record: PoolRecord, now: float) -> None:
        """Go on where another autoscaler ended: until as much is known of late as it knew, the pool
        is no smaller than it was. Raises ValueError for patterns that are none."""
        self._steady.begin(now + RECENT_S, record.wanted)
        self.learned, self._learned_at = record.learned, now
        if record.learned:
            learned.recall(self._wakes, record.learned)

    def came(self, wall_s: float) -> None:
        """Somebody takes a member, or waits for one."""
        self._wakes.add(wall_s, self._replace_s)

    def explain(self, now: float, wall_s: float) -> Miss:
        """Of somebody who came just now and found none: by the choice whose members had the time to
        become warm."""
        standing = self.choice or self.choose(now, wall_s)
        while self._former and now - self._former[0][0] >= self._replace_s:
            self._former.popleft()
        return explain_miss(self._wakes, self._former[0][1] if self._former else standing)

    def arrived(self, now: float) -> None:
        """A member is warm that was not there before."""
        if self._ordered:
            self._replace_s = mean_replace_s(self._replace_s, now - self._ordered.popleft())

    def lacks(self, missing: int, now: float) -> None:
        """So many are on their way, or should be."""
        while len(self._ordered) < missing:
            self._ordered.append(now)
        while len(self._ordered) > max(missing, 0):
            self._ordered.pop()

    def choose(self, now: float, wall_s: float) -> PoolChoice:
        """How many shall wait, at this moment."""
        before, offset_s = self.choice, wall_s - now
        if before is not None and abs(offset_s - self._offset_s) > CLOCK_JUMP_S:
            self._steady.begin(now + RECENT_S, before.size)
        self._offset_s = offset_s
        choice = self._steady.of(choose_warm(self._wakes, self.terms, wall_s), now)
        if before is None or before.size != choice.size:
            self.decision = choice.decision.line
            if before is not None:
                self._former.append((now, before))
        self.choice = choice
        if now >= self._learned_at + LEARNED_S:
            self.learned, self._learned_at = learned.packed(self._wakes), now
        return choice


class Stocks:
    """Of every pool that a database or the cluster has spoken of."""

    def __init__(self, pool: str, bounds: Bounds) -> None:
        """``bounds``: of the one pool of this machine, or where the cluster says nothing yet."""
        self._pool = pool
        self._bounds = bounds
        self._stocks: dict[str, Stock] = {}
        self.known: dict[str, PoolRecord] = {}
        """Those that the cluster keeps: of one machine none."""
        self.cold_starts: Counter[MissReason] = Counter()

    def of(self, pool: str) -> Stock:
        """Of one that nobody keeps, whose name a database has wrong, nothing is remembered."""
        found = self._stocks.get(pool)
        if found is None:
            found = Stock(self._bounds if pool == self._pool else Bounds(0, 0))
            if pool == self._pool:
                self._stocks[pool] = found
        return found

    def __iter__(self) -> Iterator[tuple[str, Stock]]:
        """Those that there are."""
        return iter({self._pool: self.of(self._pool), **self._stocks}.items())

    def seen(self, record: PoolRecord, now: float) -> None:
        """A pool is there, or is now like this. Raises ValueError where what was learned of it
        can't be read: then nothing was."""
        is_new = record.name not in self.known
        self.known[record.name] = record
        if record.name not in self._stocks:
            self._stocks[record.name] = Stock(record.bounds)
        stock = self._stocks[record.name]
        stock.bounds = record.bounds
        if is_new:
            stock.begin(record, now)

    def gone(self, pool: str) -> None:
        """The cluster keeps it no more."""
        self.known.pop(pool, None)
        self._stocks.pop(pool, None)

    def missed(self, pool: str, now: float, wall_s: float, *, has_own_volume: bool) -> Miss:
        """A database that wakes found no member warm: a cold start, explained."""
        if has_own_volume:
            miss = OWN_VOLUME
        else:
            stock = self.of(pool)
            stock.came(wall_s)
            miss = stock.explain(now, wall_s)
        self.cold_starts[miss.reason] += 1
        return miss

    def heard(
        self, pool: WarmPool, before: AgentInfo | None, agent: AgentInfo, now: float, wall_s: float
    ) -> None:
        """The pool has learned of this agent, which was like that ``before``: another member is
        warm, or somebody has one of whom no database knows."""
        if agent.database or agent.is_gone:
            return
        if before is None and pool.is_free(agent.compute):
            self.of(agent.pool).arrived(now)
        is_news = before is not None and agent.is_taken and not before.is_taken
        if is_news and not pool.is_taken(agent.compute):
            self.of(agent.pool).came(wall_s)

    def size(self, pool: WarmPool, now: float, wall_s: float) -> tuple[tuple[str, PoolChoice], ...]:
        """Each pool for this moment; gives those whose size is another now."""
        changed = []
        for name, stock in self:
            choice = stock.choose(now, wall_s)
            if pool.set_size(name, choice.size):
                changed.append((name, choice))
            stock.lacks(pool.missing(name), now)
        return tuple(changed)
