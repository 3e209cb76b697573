"""The critical chain of a transition: its steps in order, each with the time it took."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Step(BaseModel):
    """One link of the chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(max_length=64)]
    where: Annotated[str, Field(max_length=16)]
    """The component that spent the time: proxy, autoscaler, agent or postgres."""
    ms: Annotated[float, Field(ge=0)]


class Chain(BaseModel):
    """The steps of one resume or suspend; ``total_ms`` is what the first waiting client saw."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[tuple[Step, ...], Field(max_length=32)] = ()
    total_ms: Annotated[float, Field(ge=0)] = 0.0

    def then(self, *steps: Step) -> Chain:
        """This chain with more steps at its end, the total grown by theirs."""
        return Chain(
            steps=self.steps + steps, total_ms=self.total_ms + sum(step.ms for step in steps)
        )
