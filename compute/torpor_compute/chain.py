"""The steps of a start or stop as they are taken, each with its time."""

from __future__ import annotations

import time
from collections.abc import Callable

from torpor_api.chain import Step

AGENT = "agent"
POSTGRES = "postgres"


class StepClock:
    """Times what lies between two calls."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self._at_s = clock()
        self._steps: list[Step] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps)

    def took(self, name: str, where: str, ms: float | None = None) -> None:
        """The step that has just ended.

        ``ms`` where somebody else has timed it; what lies between that and now counts as the next
        step's, so that the sum of all is the whole.
        """
        until_s = self._clock() if ms is None else self._at_s + ms / 1e3
        took_ms = max(0.0, round((until_s - self._at_s) * 1e3, 3))
        self._steps.append(Step(name=name, where=where, ms=took_ms))
        self._at_s = until_s
