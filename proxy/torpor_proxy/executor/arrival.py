"""A session's way to a compute: the backend it got, and the chain of steps that took the time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from torpor_api.chain import Chain, Step
from torpor_proxy.executor.conversation import Backend
from torpor_proxy.ports import Sink


@dataclass(slots=True)
class Steps:
    """Collects what one way took; each step ends where the next begins."""

    begun: float = field(default_factory=monotonic)
    steps: list[Step] = field(default_factory=list)

    def passed(self, name: str) -> None:
        """The step of this name has ended now."""
        now = monotonic()
        self.steps.append(Step(name=name, where="proxy", ms=(now - self.begun) * 1000))
        self.begun = now

    def restart(self) -> None:
        """What went before was accounted for by somebody else."""
        self.begun = monotonic()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A backend for a session. ``on_first_answer`` is set where this session woke the database."""

    backend: Backend
    steps: Steps
    on_first_answer: Callable[[Chain], None] | None = None

    def watched(self, sink: Sink) -> Sink:
        """The sink, or one that looks for the first answer and then makes way for it."""
        return sink if self.on_first_answer is None else _FirstAnswer(self, sink)


class _FirstAnswer:
    """Sees the first bytes of the first answer, which end the critical chain."""

    __slots__ = ("_arrival", "_sink")

    def __init__(self, arrival: Arrival, sink: Sink) -> None:
        self._arrival = arrival
        self._sink = sink

    def received(self, data: bytes) -> None:
        arrival = self._arrival
        arrival.backend.stream.sink = self._sink
        self._sink.received(data)
        arrival.steps.passed("first row")
        if arrival.on_first_answer is not None:
            steps = tuple(arrival.steps.steps)
            chain = Chain(steps=steps, total_ms=sum(step.ms for step in steps))
            arrival.on_first_answer(chain)

    def ended(self) -> None:
        self._sink.ended()

    def lost(self) -> None:
        self._sink.lost()

    def writable(self, may_write: bool) -> None:
        self._sink.writable(may_write)
