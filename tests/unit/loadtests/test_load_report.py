"""The page says what was missed, has every plot, and needs nothing from elsewhere."""

from __future__ import annotations

import json
import re

from load import judge, limits, table
from load.machine_use import Use
from load.report import page
from load.result import Result, Watched, as_json
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


def test_the_page_needs_nothing_from_elsewhere() -> None:
    html = page(result())
    assert not re.search(r"<(script|link|img|iframe)|@import|url\(", html)
    assert set(re.findall(r"https?://[^\"' ]+", html)) <= {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme: dark" in html


def test_the_page_has_every_plot_and_the_chain() -> None:
    html = page(result())
    for part in ("Latency", "Computes awake", "warm pool", "CU-seconds", "always on, p99"):
        assert part in html
    assert "start &lt;Postgres&gt; 50" in html


def test_an_error_in_a_held_session_is_a_missed_objective() -> None:
    assert '<td class="missed">' in page(result(error="the session was lost"))
    assert "the session was lost" in page(result(error="the session was lost"))
    first = result().verdicts[0], result(error="x").verdicts[0]
    assert [each.is_met for each in first] == [True, False]


def test_cost_is_what_was_awake_over_time() -> None:
    assert result().watched.cu_seconds == 9.0


def test_figures_are_json_and_go_into_the_table() -> None:
    document = json.loads(json.dumps(as_json(result())))
    assert document["torpor"]["states"]["asleep"]["n"] == 2
    line = table.as_markdown([document]).splitlines()[-1]
    assert line.startswith("| burst | 12 | 10 | 3 | 1 |") and "9%" in line
    assert "errors in held sessions" in table.of_verdicts(result().verdicts)


def test_the_resource_that_was_short_is_named() -> None:
    busy = [row(second, busy=0.95) for second in range(5)]
    assert limits.limit_of(busy).startswith("processors, for 5 of 5 s: proxy 71%, load 24%")
    assert limits.limit_of([row(1, memory=0.95)] * 3).startswith("memory")
    assert limits.limit_of([row(1, warm=0)] * 3).startswith("the warm pool, empty for 3")
    assert limits.limit_of([row(1, busy=0.95), row(2)]).startswith("nothing")


def test_a_rate_is_of_the_best_ten_seconds() -> None:
    moments = [0.0, 20.0, 21.0, 22.0, 29.9, 31.0]
    assert limits.sustained_per_s(moments) == 0.4
    assert limits.sustained_per_s([]) == 0.0
