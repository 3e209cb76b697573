"""Percentiles, ratios and the shape of what a benchmark writes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rig import report
from rig.figures import Part, percentile, summary

PART = Part("held session", "ms", (10.0, 20.0, 30.0), (10.0, 10.0, 10.0), "bare", "p50 ≤ 2×")
ALONE = Part("held session", "ms", (10.0,), (), "PgBouncer")


@pytest.mark.parametrize(
    ("percent", "value"), [(1, 1), (50, 50), (90, 90), (99, 99), (99.5, 100), (100, 100)]
)
def test_a_percentile_is_the_nearest_rank(percent: float, value: float) -> None:
    assert percentile([float(number) for number in range(100, 0, -1)], percent) == value


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.1, 100))
def test_a_percentile_was_measured(samples: list[float], percent: float) -> None:
    assert percentile(samples, percent) in samples


@given(st.lists(st.floats(0.001, 1e6), min_size=1))
def test_a_summary_is_in_order(samples: list[float]) -> None:
    found = summary(samples)
    assert found["min"] <= found["p50"] <= found["p90"] <= found["p99"] <= found["max"]


def test_a_ratio_is_percentile_by_percentile() -> None:
    assert PART.ratio() == {"p50": 2.0, "p90": 3.0, "p99": 3.0}
    assert ALONE.ratio() == {}


def test_the_json_has_the_promised_shape() -> None:
    document = report.as_json("resume", [PART, ALONE], PART, {"cores": 2})
    assert {"name", "unit", "torpor", "reference", "ratio", "n"} <= document.keys()
    assert (document["name"], document["unit"], document["n"]) == ("resume", "ms", 3)
    assert document["parts"] == [PART.as_json(), ALONE.as_json()]
    assert document["machine"] == {"cores": 2}


def test_the_table_has_a_line_per_part() -> None:
    lines = report.as_table([PART, ALONE]).splitlines()
    assert len(lines) == 3
    assert lines[1].split() == [
        "held",
        "session",
        "ms",
        "3",
        "20",
        "30",
        "bare",
        "10",
        "10",
        "2.00",
        "3.00",
        "p50",
        "≤",
        "2×",
    ]
