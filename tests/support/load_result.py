"""A small result of `make load`, as its report is made of it."""

from __future__ import annotations

from load import judge
from load.machine_use import Use
from load.result import Result, Watched
from load.samples import Sample
from load.scenario import Part
from load.scenarios import BURST
from load.watcher import Row
from torpor_api.phases import Phase
from torpor_api.transition import Span, Transition, TransitionKind

BEGAN = 1_800_000_000.0

WAKE = Transition(
    database="load-001",
    kind=TransitionKind.RESUME,
    at="2027-01-15T08:00:00Z",
    epoch=3,
    total_ms=50.0,
    spans=(Span(name="start <Postgres>", where="agent", begin_ms=0.0, ms=50.0),),
)


def row(second: int, *, busy: float = 0.5, memory: float = 0.2, warm: int = 4) -> Row:
    phases = {Phase.ACTIVE.value: 2, Phase.RESUMING.value: 1}
    of = {"load": busy / 4, "proxy": busy * 3 / 4}
    return Row(BEGAN + second, Use(busy, of, memory), phases, 3.0, warm, 10, 4, 6, 1)


def result(*, error: str = "") -> Result:
    ours = [
        Sample(1.0, "load-001", Part.HELD, 0.05, 1, 99.0, 0.01, error),
        Sample(2.0, "load-001", Part.HELD, 0.001, 1, 99.0, 1.0),
        Sample(1.0, "load-002", Part.FRESH, 0.06, 2, 98.0, 0.01),
    ]
    theirs = [Sample(1.0, "load-001", Part.HELD, 0.004, 1, 9.0, 500.0)]
    watched = Watched(BEGAN, [row(1), row(2), row(3)], [WAKE], is_asked=True)
    return Result(
        BURST,
        judge.side("Torpor", ours, BURST, cu_seconds=watched.cu_seconds, wakes={"load-001": 1}),
        judge.side("always on", theirs, BURST, cu_seconds=100.0),
        watched,
        {
            "load1m": 0.5,
            "cores": 2,
            "processor": "any",
            "memoryGiB": 4,
            "postgres": "18",
            "commit": "c",
            "at": "t",
        },
        "here",
    )
