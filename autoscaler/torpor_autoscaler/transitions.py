"""How the latest transitions went, for people who ask: of every database some, of the fleet many.

They are kept in memory, packed, and end with the autoscaler. Of a database of which no wake or no
switchover is kept, its record tells the latest one (:mod:`lifecycle.recorded`), which costs nothing
until it is asked for, or is overwritten. What was before that, only logs and metrics have.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from heapq import nlargest
from itertools import chain

from torpor_api import messages as m
from torpor_api.transition import Transition, TransitionKind
from torpor_autoscaler.lifecycle.recorded import Recorded
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
    known_since_s: float | None = None
    """These are all since then; before that there may have been more. None: all of the hour."""


@dataclass(frozen=True, slots=True)
class _Kept:
    began_s: float
    kind: TransitionKind
    total_ms: float
    has_failed: bool
    packed: bytes

    def told(self) -> Transition:
        return Transition.model_validate_json(zlib.decompress(self.packed))


def _packed(told: Transition) -> _Kept:
    packed = zlib.compress(told.model_dump_json().encode(), 1)
    return _Kept(seconds(told.at), told.kind, told.total_ms, bool(told.failure), packed)


class Transitions:
    """Those of all databases, as they come to their end."""

    def __init__(self, began_s: float) -> None:
        """``began_s``: seconds since 1970, before which only records tell anything."""
        self.since_s = self._began_s = began_s
        self._kept: dict[str, deque[_Kept]] = {}
        self._order: deque[str] = deque()
        """Whose each of them is, the oldest first."""
        self._wakes: dict[str, deque[tuple[float, float]]] = {}

    def add(self, told: Transition) -> None:
        began_s = self._keep(told)
        if told.kind in WAKES and not told.failure:
            of_hour = self._wakes.setdefault(told.database, deque(maxlen=WAKES_MAX))
            of_hour.append((began_s, told.total_ms))

    def overwritten(self, recorded: Recorded) -> None:
        """A record tells of a later one now: what only it has told is kept from now on."""
        if self._has_like(recorded):
            return
        if recorded.database in self._wakes:  # It was counted, and is not kept any more.
            self._keep(recorded.told())
        else:
            self.add(recorded.told())

    def _keep(self, told: Transition) -> float:
        """When it began."""
        kept = _packed(told)
        of_one = self._kept.setdefault(told.database, deque())
        of_one.append(kept)
        if len(of_one) > KEPT_OF_ONE_MAX:
            of_one.popleft()
            self._order.remove(told.database)
        self._order.append(told.database)
        while len(self._order) > KEPT_MAX:
            self._drop_oldest()
        return kept.began_s

    def gone(self, database: str) -> None:
        """It was deleted."""
        dropped = self._kept.pop(database, ())
        if dropped:
            self._order = deque(name for name in self._order if name != database)
        self._wakes.pop(database, None)

    def wakes(self, database: str, now_s: float, recorded: Recorded | None = None) -> Wakes:
        """In the last hour; ``recorded``: the last of all, where that has come to its end.

        What a record tells is the last wake before we began. Where that was within the hour, there
        may have been others before it, and nobody knows; from then on all are known.
        """
        known: Collection[tuple[float, float]] = self._of_hour(database, now_s)
        if not known and recorded is not None and recorded.began_s >= now_s - HOUR_S:
            known = ((recorded.began_s, recorded.total_ms),)
        if not known:
            return Wakes()
        first_s = min(began_s for began_s, _ in known)
        slowest_ms = max(ms for _, ms in known)
        return Wakes(len(known), slowest_ms, first_s if first_s < self._began_s else None)

    def _of_hour(self, database: str, now_s: float) -> Collection[tuple[float, float]]:
        of_one = self._wakes.get(database)
        if of_one is None:
            return ()
        while of_one and of_one[0][0] < now_s - HOUR_S:
            of_one.popleft()
        if not of_one:
            del self._wakes[database]
        return of_one

    def find(
        self,
        asked: m.AskTransitions,
        now_s: float,
        recorded: Iterable[Recorded] = (),
        unfinished: Iterable[Transition] = (),
    ) -> tuple[Transition, ...]:
        """In the order that was asked for; ``recorded``: what the records tell of whoever is asked
        for, which counts where nothing like it is kept; ``unfinished``: what is known so far of
        those that are not kept yet."""
        since_s = 0.0 if asked.within_s is None else now_s - asked.within_s
        only_recorded = (each for each in recorded if not self._has_like(each))
        known: Iterator[_Kept | Recorded] = chain(
            self._of(asked.database), only_recorded, map(_packed, unfinished)
        )
        found = [
            each
            for each in known
            if each.began_s >= since_s and (not asked.kinds or each.kind in asked.kinds)
        ]
        is_slowest = asked.order is m.TransitionOrder.SLOWEST
        best = nlargest(asked.limit, found, key=_ms if is_slowest else _began)
        return tuple(each.told() for each in best)

    def _has_like(self, recorded: Recorded) -> bool:
        """Of the same database, and as late: only what came to something is recorded."""
        of_one = self._kept.get(recorded.database)
        if of_one is None:
            return False
        like = WAKES if recorded.kind in WAKES else (recorded.kind,)
        return any(kept.kind in like and not kept.has_failed for kept in of_one)

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


def _ms(known: _Kept | Recorded) -> float:
    return known.total_ms


def _began(known: _Kept | Recorded) -> float:
    return known.began_s
