"""The steps of a start or stop as they are taken, each with its time."""

from __future__ import annotations

import time

from torpor_api.chain import Step

AGENT = "agent"
POSTGRES = "postgres"


class StepClock:
    """Times what lies between two calls."""

    def __init__(self) -> None:
        self._at_s = time.perf_counter()
        self._steps: list[Step] = []

    @property
    def steps(self) -> tuple[Step, ...]:
        return tuple(self._steps)

    def took(self, name: str, where: str, ms: float | None = None) -> None:
        """The step that has just ended.

        ``ms`` where somebody else has timed it; what lies between that and now counts as the next
        step's, so that the sum of all is the whole.
        """
        until_s = time.perf_counter() if ms is None else self._at_s + ms / 1e3
        self._steps.append(Step(name=name, where=where, ms=round((until_s - self._at_s) * 1e3, 3)))
        self._at_s = until_s
