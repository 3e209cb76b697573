"""Which computes may erase the data of a deleted database. Pure.

Nobody waits for a deletion, and many wait for a warm compute: whoever wakes a database, and who
is moved away from a node that is drained. So an erase takes none of those that the pool shall keep,
but one that is made for it; only where none comes for long does it take what there is.
"""

from __future__ import annotations

from collections.abc import Collection

from torpor_operator.core.naming import Key
from torpor_operator.core.seen_pods import SeenPod

ERASERS_MAX = 4
"""Computes that are made at once for data that is to be erased: each erases one database's."""

ERASER_AGAIN_S = 10.0
"""Before somebody looks again who waits for one: the news of a ready one may concern others."""

ERASER_WAIT_S = 60.0
"""For a compute of its own: many times what a pod takes to start where there is room for one."""


def candidates(
    database: Key,
    pods: Collection[SeenPod],
    named: Collection[str],
    kept: int,
    waited_s: float,
) -> list[SeenPod]:
    """Of a pool's pods, first those that were asked for this database before: each may be at it.

    ``named``: those that the status of some database names; ``kept``: so many are for databases.
    """
    unnamed = [pod for pod in pods if _is_ready(pod) and pod.name not in named]
    own = [pod for pod in unnamed if pod.database == database and not pod.is_dedicated]
    # A claim takes the oldest, so the youngest go first.
    free = sorted((pod for pod in unnamed if pod.database is None), key=_age)
    count = len(free) if waited_s >= ERASER_WAIT_S else max(0, len(free) - kept)
    return [*own, *free[:count]]


def _is_ready(pod: SeenPod) -> bool:
    return pod.is_ready and not pod.is_deleting and not pod.has_ended


def _age(pod: SeenPod) -> tuple[float, str]:
    return -pod.created_at, pod.name
