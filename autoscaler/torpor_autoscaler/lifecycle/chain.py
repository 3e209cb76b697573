"""The critical chain of a resume: where the time went that the first waiting client saw.

The autoscaler's laps, the agent's own steps within one of them, then the proxy's rest up to the
first row. Laps follow each other without a gap, so that the total is the whole.
"""

from __future__ import annotations

from torpor_api.chain import Chain, Step

WHERE = "autoscaler"

STEP_MS_MIN = 0.005
"""Shorter ones are left out: they are noise, and a chain has a bounded number of steps."""


STEPS_MAX = 32
"""As many as a :class:`Chain` may have."""


class Stopwatch:
    """Laps since the first request."""

    __slots__ = ("_lapped_at", "_steps")

    def __init__(self, started_at: float) -> None:
        self._lapped_at = started_at
        self._steps: list[Step] = []

    def lap(
        self, name: str, now: float, inner: tuple[Step, ...] = (), *, where: str = WHERE
    ) -> None:
        """The time since the last lap: another component's steps in it, and the rest."""
        ms = (now - self._lapped_at) * 1000.0 - sum(step.ms for step in inner)
        self._lapped_at = now
        self._steps += inner
        if ms >= STEP_MS_MIN:
            self._steps.append(Step(name=name, where=where, ms=round(ms, 3)))

    @property
    def chain(self) -> Chain:
        return Chain().then(*self._steps)


def completed(chain: Chain, rest: Chain) -> Chain:
    """With what the proxy saw; it may have sent the whole, steps that it was told included."""
    if chain.steps and rest.steps[: len(chain.steps)] == chain.steps:
        return rest
    return chain.then(*rest.steps[: STEPS_MAX - len(chain.steps)])
