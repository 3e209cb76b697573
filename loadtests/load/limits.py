"""Which resource was short, from what was seen of the machine and of the fleet. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from load.watcher import Row
from torpor_api.phases import Phase

BUSY_SHARE = 0.85
"""Of all processors, over a second: whoever wants one waits for it now and then."""

MEMORY_SHARE = 0.9

SHORT_SECONDS_MIN = 2
"""For less it is a moment and no limit."""


def limit_of(rows: Sequence[Row]) -> str:
    """For a person: the resource, for how long, and who used it."""
    busy = [row for row in rows if row.use.busy >= BUSY_SHARE]
    if len(busy) >= SHORT_SECONDS_MIN:
        return f"processors, for {len(busy)} of {len(rows)} s: {_users(busy)}"
    full = [row for row in rows if row.use.memory >= MEMORY_SHARE]
    if len(full) >= SHORT_SECONDS_MIN:
        return f"memory, for {len(full)} of {len(rows)} s"
    empty = [row for row in rows if row.phases.get(Phase.RESUMING) and not row.warm]
    if len(empty) >= SHORT_SECONDS_MIN:
        return f"the warm pool, empty for {len(empty)} of {len(rows)} s while databases woke"
    return "nothing: the load was less than the machine bears"


def _users(rows: Sequence[Row]) -> str:
    """Of the processors then, the largest first."""
    sums: Counter[str] = Counter()
    for row in rows:
        sums.update(row.use.of)
    return ", ".join(f"{name} {share / len(rows):.0%}" for name, share in sums.most_common())


def sustained_per_s(moments: Sequence[float], window_s: float = 10.0) -> float:
    """The highest rate over so long a time, of things that happened at these moments."""
    ordered, most, first = sorted(moments), 0, 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= window_s:
            first += 1
        most = max(most, last - first + 1)
    return most / window_s
