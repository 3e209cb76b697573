"""Every query of every panel has data, from a Prometheus with native histograms and from one
without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import isfinite
from typing import Any

import pytest

from observe.promql import selectors
from observe.server import Server
from observe.stage import WAKES
from observing.dashboard import FILE
from support.up import until

DATA_SECONDS_MAX = 60.0
"""For what was scraped to be two scrapes old."""

VARIABLES = {"$__rate_interval": "5m", "$namespace": ".*"}
"""As Grafana fills them in: long enough for all that was played."""


def queries() -> Iterator[tuple[str, str]]:
    """Of each panel, with its title."""
    panels: list[dict[str, Any]] = json.loads(FILE.read_text())["panels"]
    for panel in panels:
        for target in panel.get("targets", ()):
            query = target["expr"]
            for name, value in VARIABLES.items():
                query = query.replace(name, value)
            yield f"{panel['title']} {target['refId']}", query


QUERIES = dict(queries())


@pytest.mark.parametrize("title", QUERIES)
def test_a_query_has_data(server: Server, title: str) -> None:
    """And not only the answer that nothing can be said, as of a percentile of nothing."""
    query = QUERIES[title]

    def has_data() -> bool:
        return any(isfinite(sample.value) for sample in server.query(query))

    until(has_data, f"{title} has data: {query}", DATA_SECONDS_MAX)


@pytest.mark.parametrize("title", QUERIES)
def test_a_selector_finds_series_with_or_without_native_histograms(
    servers: list[Server], title: str
) -> None:
    """A mistake on one side of an `or` would not be seen otherwise."""
    for selector in selectors(QUERIES[title]):
        assert any(server.series(selector) for server in servers), selector


def test_the_steps_of_wakes_add_up_to_them_and_each_is_known_by_name(server: Server) -> None:
    """However it was scraped. Agents and proxies name their steps themselves."""
    if server.is_native:
        wakes, steps = "histogram_count(torpor_resume_seconds)", "torpor_resume_step_seconds"
        others = 'histogram_count(torpor_resume_step_seconds{step="other"})'
        rest = f"histogram_sum(sum(torpor_resume_seconds)) - histogram_sum(sum({steps}))"
    else:
        wakes, steps = "torpor_resume_seconds_count", "torpor_resume_step_seconds_sum"
        others = 'torpor_resume_step_seconds_count{step="other"}'
        rest = f"sum(torpor_resume_seconds_sum) - sum({steps})"

    def are_counted() -> bool:
        """The last of them may be younger than the last scrape."""
        return any(counted.value >= WAKES for counted in server.query(wakes))

    until(are_counted, f"{WAKES} wakes are scraped", DATA_SECONDS_MAX)
    assert [sample.value for sample in server.query(others)] == [0.0]
    assert [sample.value for sample in server.query(rest)] == [pytest.approx(0.0, abs=1e-3)]
