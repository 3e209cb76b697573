"""What clients saw, one line of JSON each, and in which state each question met its database. Pure.

Every answer says when its Postgres was started and how old it was when it answered, by the server's
own clock. One that is younger than the client's wait was started for it: so the state is known of
any Postgres, wherever it runs.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Sample:
    """One question and what came of it."""

    at: float
    """When it was due, in seconds since the load began."""
    database: str
    part: str
    waited_s: float
    """Until its answer was whole, or until it failed."""
    client: int = -1
    started: float = 0.0
    """When the Postgres was started that answered, in seconds since 1970; 0: nobody asked."""
    age_s: float = 0.0
    """How old that Postgres was then."""
    error: str = ""
    note: str = ""
    """What the part says of it."""

    def line(self) -> str:
        return json.dumps({key: value for key, value in asdict(self).items() if value != ""})


def parsed(lines: Iterable[str]) -> list[Sample]:
    return [Sample(**json.loads(line)) for line in lines if line.strip()]


class State(StrEnum):
    """In which a question met its database."""

    ASLEEP = "asleep: it woke it"
    WAKING = "waking already"
    AWAKE = "awake"


def states(samples: Sequence[Sample]) -> list[State]:
    """Of each sample, in the same order. The first that came before its Postgres began woke it."""
    first: dict[tuple[str, float], int] = {}
    for index, sample in enumerate(samples):
        if is_before_start(sample):
            key = (sample.database, sample.started)
            if key not in first or sample.at < samples[first[key]].at:
                first[key] = index
    wakers = frozenset(first.values())
    return [
        State.ASLEEP
        if index in wakers
        else (State.WAKING if is_before_start(sample) else State.AWAKE)
        for index, sample in enumerate(samples)
    ]


def is_before_start(sample: Sample) -> bool:
    """Whether the question was there before the Postgres that answered it."""
    return not sample.error and sample.started > 0 and sample.age_s < sample.waited_s
