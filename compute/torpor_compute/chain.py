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
        """The step that has just ended; ``ms`` where somebody else has timed it."""
        now_s = time.perf_counter()
        measured_ms = (now_s - self._at_s) * 1e3 if ms is None else ms
        self._steps.append(Step(name=name, where=where, ms=round(measured_ms, 3)))
        self._at_s = now_s
