"""How the latest transitions went, for people who ask: of every database some, of the fleet many.

They are kept in memory, packed. After a restart of the autoscaler a database's own record still has
its latest resume and switchover; what was before that, only logs and metrics have.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest

from torpor_api import messages as m
from torpor_api.transition import Transition, TransitionKind
from torpor_autoscaler.lifecycle.times import seconds

KEPT_MAX = 10_000
"""Of the whole fleet: 10 MB. The oldest go first."""

KEPT_OF_ONE_MAX = 50
"""Of one database, so that a restless one takes no other's place."""

HOUR_S = 3600.0

WAKES_MAX = 2000
"""Remembered of one database's last hour: one every two seconds."""

WAKES = (TransitionKind.RESUME, TransitionKind.FAILOVER)


@dataclass(frozen=True, slots=True)
class Wakes:
    """Of one database within the last hour."""

    count: int = 0
    slowest_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    began_s: float
    kind: TransitionKind
    total_ms: float
    packed: bytes

    def unpacked(self) -> Transition:
        return Transition.model_validate_json(zlib.decompress(self.packed))


class Transitions:
    """Those of all databases, as they come to their end."""

    def __init__(self, began_s: float) -> None:
        """``began_s``: seconds since 1970, before which nothing is known."""
        self.since_s = began_s
        self._kept: dict[str, deque[_Kept]] = {}
        self._order: deque[str] = deque()
        """Whose each of them is, the oldest first."""
        self._wakes: dict[str, deque[tuple[float, float]]] = {}

    def add(self, told: Transition) -> None:
        began_s = seconds(told.at)
        packed = zlib.compress(told.model_dump_json().encode(), 1)
        of_one = self._kept.setdefault(told.database, deque())
        of_one.append(_Kept(began_s, told.kind, told.total_ms, packed))
        if len(of_one) > KEPT_OF_ONE_MAX:
            of_one.popleft()
            self._order.remove(told.database)
        self._order.append(told.database)
        while len(self._order) > KEPT_MAX:
            self._drop_oldest()
        if told.kind in WAKES and not told.failure:
            of_hour = self._wakes.setdefault(told.database, deque(maxlen=WAKES_MAX))
            of_hour.append((began_s, told.total_ms))

    def gone(self, database: str) -> None:
        """It was deleted."""
        dropped = self._kept.pop(database, ())
        if dropped:
            self._order = deque(name for name in self._order if name != database)
        self._wakes.pop(database, None)

    def wakes(self, database: str, now_s: float) -> Wakes:
        """In the last hour."""
        of_one = self._wakes.get(database)
        if of_one is None:
            return Wakes()
        while of_one and of_one[0][0] < now_s - HOUR_S:
            of_one.popleft()
        if not of_one:
            del self._wakes[database]
        return Wakes(len(of_one), max((ms for _, ms in of_one), default=None))

    def find(self, asked: m.AskTransitions, now_s: float) -> tuple[Transition, ...]:
        """In the order that was asked for."""
        since_s = 0.0 if asked.within_s is None else now_s - asked.within_s
        found = [
            kept
            for kept in self._of(asked.database)
            if kept.began_s >= since_s and (not asked.kinds or kept.kind in asked.kinds)
        ]
        is_slowest = asked.order is m.TransitionOrder.SLOWEST
        best = nlargest(asked.limit, found, key=_ms if is_slowest else _began)
        return tuple(kept.unpacked() for kept in best)

    def _of(self, database: str) -> Iterable[_Kept]:
        return self._kept.get(database, ()) if database else self._all()

    def _all(self) -> Iterator[_Kept]:
        for of_one in self._kept.values():
            yield from of_one

    def _drop_oldest(self) -> None:
        name = self._order.popleft()
        of_one = self._kept[name]
        self.since_s = max(self.since_s, of_one.popleft().began_s)
        if not of_one:
            del self._kept[name]


def _ms(kept: _Kept) -> float:
    return kept.total_ms


def _began(kept: _Kept) -> float:
    return kept.began_s
