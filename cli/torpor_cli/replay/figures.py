"""What a replay has measured so far: times, errors, what came late. Pure, and bounded in memory."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from heapq import heappush, heappushpop
from math import floor, log
from typing import Final

from torpor_cli.replay.statement import Statement

STEP: Final = 1.02
"""From one bucket of times to the next: percentiles are exact to two in a hundred."""

SLOWEST_KEPT: Final = 10

PLACES_KEPT: Final = 20
"""Lines of the log whose statements failed, and had not: enough to look at."""

REASONS_KEPT: Final = 50
"""Why sessions could not connect; further ones are counted together."""

LATE_MS: Final = 100.0
"""A statement that begins so much behind its time is late: the replay was not as the log."""


class Times:
    """Milliseconds, in buckets that grow: a few hundred, however many there are."""

    def __init__(self) -> None:
        self._buckets: Counter[int] = Counter()
        self.count = 0
        self.sum_ms = 0.0
        self.most_ms = 0.0

    def add(self, ms: float) -> None:
        self._buckets[floor(log(max(ms, 1e-3)) / log(STEP))] += 1
        self.count += 1
        self.sum_ms += ms
        self.most_ms = max(self.most_ms, ms)

    def percentile(self, share: float) -> float | None:
        """In the middle of its bucket; None: there are none."""
        wanted, seen = share * self.count, 0
        for bucket in sorted(self._buckets):
            seen += self._buckets[bucket]
            if seen >= wanted:
                return min(float(STEP ** (bucket + 0.5)), self.most_ms)
        return None


@dataclass(frozen=True, slots=True, order=True)
class Slow:
    """A statement that took long, by its line: its text may be nobody else's business."""

    ms: float
    where: str
    log_ms: float | None = field(compare=False)
    at_s: float = field(compare=False)
    """Since the log's beginning."""


@dataclass(slots=True)
class Errors:
    """Of one SQLSTATE."""

    now: int = 0
    in_log: int = 0
    new: int = 0
    """Of statements that had not failed in the log."""


@dataclass(slots=True)
class Figures:
    """Grows while statements are replayed."""

    statements: int = 0
    sessions: int = 0
    open: int = 0
    lost: int = 0
    """Sessions whose connection has ended under them."""
    not_connected: Counter[str] = field(default_factory=Counter)
    """Sessions, by what was said to them."""
    not_run: int = 0
    """Statements of sessions that had no connection any more."""
    refused_writes: int = 0
    """That --only-reads has let Postgres refuse."""
    out_of_order: int = 0
    """Statements that have waited in vain for those which had ended before them in the log."""
    held_up: int = 0
    """Sessions that have waited for another one's end, because of --sessions-max."""
    held_up_most_s: float = 0.0
    now: Times = field(default_factory=Times)
    """Of those statements whose time the log has, and that failed neither there nor now."""
    in_log: Times = field(default_factory=Times)
    all: Times = field(default_factory=Times)
    """Of all that did not fail."""
    late: Times = field(default_factory=Times)
    is_late: int = 0
    errors: dict[str, Errors] = field(default_factory=dict)
    new_at: list[str] = field(default_factory=list)
    """Lines of the log whose statements failed and had not."""
    slowest: list[Slow] = field(default_factory=list)

    @property
    def new_errors(self) -> int:
        return sum(each.new for each in self.errors.values())

    @property
    def has_failed(self) -> bool:
        """Something went wrong that had not in the log."""
        return bool(self.new_errors or self.not_run or self.not_connected or self.lost)

    def ran(self, statement: Statement, ms: float, sqlstate: str, at_s: float) -> None:
        """It has ended; ``sqlstate`` is empty where it did not fail."""
        self.statements += 1
        before = statement.sqlstate
        if before:
            self._of(before).in_log += 1
        if sqlstate:
            failed = self._of(sqlstate)
            failed.now += 1
            if not before:
                failed.new += 1
                if len(self.new_at) < PLACES_KEPT:
                    self.new_at.append(statement.where)
            return
        self.all.add(ms)
        if statement.took_ms is not None and not before:
            self.now.add(ms)
            self.in_log.add(statement.took_ms)
        slow = Slow(ms, statement.where, statement.took_ms, at_s)
        push = heappush if len(self.slowest) < SLOWEST_KEPT else heappushpop
        push(self.slowest, slow)

    def began(self, late_ms: float) -> None:
        """So much behind its time."""
        self.late.add(late_ms)
        self.is_late += late_ms >= LATE_MS

    def could_not_connect(self, said: str) -> None:
        """A session; ``said``: by the server, or of the network."""
        is_known = said in self.not_connected or len(self.not_connected) < REASONS_KEPT
        self.not_connected[said if is_known else "for other reasons"] += 1

    def waited_for_place(self, seconds: float) -> None:
        self.held_up += 1
        self.held_up_most_s = max(self.held_up_most_s, seconds)

    def _of(self, sqlstate: str) -> Errors:
        return self.errors.setdefault(sqlstate, Errors())
