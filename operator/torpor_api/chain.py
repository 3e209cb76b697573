"""The critical chain of a transition: its steps in order, each with the time it took."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

MS_DECIMALS = 3


def _rounded(ms: float) -> float:
    return round(ms, MS_DECIMALS)


Milliseconds = Annotated[float, Field(ge=0), AfterValidator(_rounded)]
"""To the microsecond: no clock here is better, and people read them."""


class Step(BaseModel):
    """One link of the chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    """What was done."""
    where: Annotated[str, Field(max_length=16)]
    """The component that spent the time: proxy, autoscaler, agent or postgres."""
    ms: Milliseconds
    """How long it took."""


class Chain(BaseModel):
    """The steps of one resume or suspend; ``total_ms`` is what the first waiting client saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = ()
    """Where the time went, in order."""
    total_ms: Milliseconds = 0.0
    """What the first client waited for."""

    def then(self, *steps: Step) -> Chain:
        """This chain with more steps at its end, the total grown by theirs."""
        return Chain(
            steps=self.steps + steps, total_ms=self.total_ms + sum(step.ms for step in steps)
        )
