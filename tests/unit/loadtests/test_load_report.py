"""The page says what was missed, has every plot, and needs nothing from elsewhere."""

from __future__ import annotations

import json
import re

from load import limits, table
from load.report import page
from load.result import as_json
from support.load_result import result, row


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
    assert line.startswith("| burst | 2 | 10 | 3 | 1 |") and "9%" in line
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
