"""Warm pools, second by second: whoever finds no compute there waits for a cold start.

How many wait is decided by `torpor_autoscaler.core.warm`, fed with the wakes of the databases
that share the pool. A member that is taken is replaced at once, which takes ``REPLACE_S``. A pool
has a bound, so a fleet has many pools: a few of them are simulated, and stand for all.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist
from typing import Final

from torpor_api.values import WARM_MAX
from torpor_autoscaler.core.wakes import Wakes
from torpor_autoscaler.core.warm import PoolTerms, Steady, choose_warm
from torpor_simulator.shapes import SIZE, Dice
from torpor_simulator.tally import HOUR_S, Moments

REPLACE_S: Final = 2
"""A pod that nobody waits for is ready within 1.6 s (resume-k8s), in whole seconds."""

CHOICE_EVERY_S: Final = 30
"""Half of what the policy looks ahead; each second is more than a million databases are worth."""

BEGINS_S: Final = 4 * 86400
"""1970 began on a Thursday: patterns go by the clock, and a trace begins on a Monday at 00:00."""

TERMS: Final = PoolTerms(replace_s=REPLACE_S, most=WARM_MAX)
"""A member takes its requests in the chart: 50m CPU and 192Mi, a twentieth of a CU."""


@dataclass(frozen=True, slots=True)
class Pooled:
    """What pools did over the whole time."""

    wakes: int
    cold: int
    """Wakes that found a pool empty."""
    cu_s: float
    """What members took while they waited, or were made."""
    size_max: int


def pooled(moments: Moments, dice: Dice) -> Pooled:
    """One pool. Wakes of which only the hour is known fall on its seconds by chance."""
    memory, steady = Wakes(), Steady()
    size = TERMS.least
    ready, coming = size, deque([0] * REPLACE_S)
    all_wakes, cold, member_s, size_max = 0, 0, 0, size
    for second, known in enumerate(moments.by_second):
        ready += coming.popleft()
        wakes = known + _by_chance(moments.by_hour[second // HOUR_S] / HOUR_S, dice)
        served = min(wakes, ready)
        if wakes:
            memory.add(BEGINS_S + second, REPLACE_S, wakes)
            all_wakes, cold, ready = all_wakes + wakes, cold + wakes - served, ready - served
        if not second % CHOICE_EVERY_S:
            size = steady.of(choose_warm(memory, TERMS, BEGINS_S + second), second).size
        missing = size - ready - sum(coming)
        coming.append(max(missing, 0))
        ready -= min(max(-missing, 0), ready)
        member_s += ready + sum(coming)
        size_max = max(size_max, size)
    return Pooled(all_wakes, cold, member_s * TERMS.member_cu, size_max)


def together(pools: Sequence[Pooled]) -> Pooled:
    """Of several."""
    return Pooled(
        sum(pool.wakes for pool in pools),
        sum(pool.cold for pool in pools),
        sum(pool.cu_s for pool in pools),
        max((pool.size_max for pool in pools), default=0),
    )


def _by_chance(expected: float, dice: Dice) -> int:
    """About Poisson's distribution: normal, with the fraction settled by a die."""
    if not expected:
        return 0
    code = int.from_bytes(dice.randbytes(2), "little")
    spread = _NORMAL[code >> _COARSE] * sqrt(expected)
    return max(int(expected + spread + dice.random()), 0)


_COARSE: Final = 6
_NORMAL: Final = [
    NormalDist().inv_cdf((step + 0.5) / (SIZE >> _COARSE)) for step in range(SIZE >> _COARSE)
]
