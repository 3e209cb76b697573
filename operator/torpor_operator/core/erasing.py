"""Which computes erase the data of deleted databases, and who waits for one. Pure.

Nobody waits for a deletion, and many wait for a warm compute: whoever wakes a database, and who
is moved away from a node that is drained. So an erase takes none of those that the pool shall keep,
but one that is made for it; only where none comes for long does it take what there is. Once a
compute has erased, it serves nobody and erases the next ones: a pod costs more than most erases.
"""

from __future__ import annotations

from collections.abc import Collection

from torpor_operator.core.naming import Key
from torpor_operator.core.seen_pods import SeenPod

ERASERS_MAX = 4
"""Computes of a pool that are made to erase at once: each erases one database after another."""

ERASER_AGAIN_S = 10.0
"""Before somebody looks again who waits for one: the news of a free one may concern others."""

ERASER_WAIT_S = 60.0
"""For a compute of its own, where none erases: many times what a pod takes to start where there is
room for one."""


class Erasers:
    """Of all pools. An operator begins without any: those of the one before it end by themselves,
    or are asked again for the database that is in their labels."""

    def __init__(self) -> None:
        self._waiting: dict[str, dict[Key, float]] = {}
        self._at_work: set[str] = set()
        self._free: set[str] = set()

    def wait(self, database: Key, pool: str, since: float) -> None:
        """``since``: in seconds of a clock that never goes back; what was said first counts."""
        self._waiting.setdefault(pool, {}).setdefault(database, since)

    def since(self, database: Key, pool: str, now: float) -> float:
        """When it began to wait; now, where it does not yet."""
        return self._waiting.get(pool, {}).get(database, now)

    def wait_no_more(self, database: Key) -> None:
        for waiting in self._waiting.values():
            waiting.pop(database, None)

    def first(self, pool: str, count: int) -> list[Key]:
        """Those that have waited for longest."""
        waiting = self._waiting.get(pool, {})
        return sorted(waiting, key=waiting.__getitem__)[:count]

    def may_begin(self, pod: SeenPod, database: Key) -> bool:
        """Whether it is this one's, or nobody's."""
        if pod.name in self._at_work:
            return False
        return pod.database in (None, database) or pod.name in self._free

    def begin(self, pod: str, database: Key) -> None:
        """It is about to be labelled and asked: nobody else's until :meth:`end`."""
        self._at_work.add(pod)
        self.wait_no_more(database)  # Else the pool makes one more in its place.

    def asked(self, pod: str) -> None:
        """It has the label, and from now on it may hold the volume: what becomes of it counts."""
        self._free.discard(pod)

    def answered(self, pod: str) -> None:
        """It holds nothing of anybody's, and may be taken for another one."""
        self._at_work.discard(pod)
        self._free.add(pod)

    def end(self, pod: str) -> None:
        """It is not asked any more. Where it has not answered, it stays this database's."""
        self._at_work.discard(pod)

    def gone(self, pod: str) -> None:
        self._free.discard(pod)

    def free_of(self, pods: Collection[SeenPod]) -> list[str]:
        """Of a pool's pods those that have erased and are at nothing."""
        free = self._free - self._at_work
        return [pod.name for pod in pods if pod.name in free and _is_ready(pod)]

    def are_there(self, pods: Collection[SeenPod]) -> bool:
        """Whether there is one of these to wait for."""
        return any(_is_ready(p) for p in pods if p.name in self._at_work or p.name in self._free)

    def missing(self, pool: str, pods: Collection[SeenPod]) -> int:
        """How many more the pool is to make: ``pods`` are its own, and those that erase already are
        none of those that wait for databases."""
        at_work = [pod for pod in pods if _is_ready(pod) and pod.name in self._at_work]
        there = sum(pod.database is not None for pod in at_work) + len(self.free_of(pods))
        needed = len(at_work) + len(self._waiting.get(pool, {}))
        return max(0, min(ERASERS_MAX, needed) - there)


def candidates(
    database: Key,
    pods: Collection[SeenPod],
    named: Collection[str],
    free: Collection[str],
    kept: int,
    waited_s: float,
) -> list[SeenPod]:
    """Of a pool's pods, first those that were asked for this database before: each may be at it.
    Then those that have erased another one, and then those that wait for databases.

    ``named``: those that the status of some database names; ``free``: that have erased, and are
    at nothing; ``kept``: so many are for databases.
    """
    unnamed = [pod for pod in pods if _is_ready(pod) and pod.name not in named]
    own = [pod for pod in unnamed if pod.database == database and not pod.is_dedicated]
    erasers = [pod for pod in unnamed if pod.name in free and pod not in own]
    # A claim takes the oldest, so the youngest go first.
    warm = sorted((pod for pod in unnamed if pod.database is None), key=_age)
    count = len(warm) if waited_s >= ERASER_WAIT_S else max(0, len(warm) - kept)
    return [*own, *erasers, *warm[:count]]


def _is_ready(pod: SeenPod) -> bool:
    return pod.is_ready and not pod.is_deleting and not pod.has_ended


def _age(pod: SeenPod) -> tuple[float, str]:
    return -pod.created_at, pod.name
