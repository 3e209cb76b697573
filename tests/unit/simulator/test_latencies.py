from __future__ import annotations

import json
from pathlib import Path

import pytest

from torpor_compute.lifetime import LINGER_SECONDS
from torpor_simulator.falling import TORPOR_FALLS
from torpor_simulator.latencies import TORPOR_COLD, TORPOR_WARM, constant, measured, percentile
from torpor_simulator.policies import COMPUTE_ENDS_S

RESULTS = Path(__file__).parents[3] / "loadtests/results/resume-k8s.json"


def test_who_does_not_wait_counts() -> None:
    waits = ((5.0, constant(15.0)),)
    assert percentile(0.5, 1000, waits) == 0.0
    assert percentile(0.99, 1000, waits) == 0.0
    assert percentile(0.999, 1000, waits) == pytest.approx(15.0)


def test_a_mixture_has_the_percentiles_of_its_parts() -> None:
    waits = ((90.0, constant(0.2)), (10.0, constant(2.0)))
    assert percentile(0.89, 100, waits) == pytest.approx(0.2, rel=1e-3)
    assert percentile(0.91, 100, waits) == pytest.approx(2.0, rel=1e-3)


def test_of_one_latency_they_are_its_own() -> None:
    waits = ((1.0, TORPOR_WARM),)
    assert percentile(0.5, 1, waits) == pytest.approx(0.181, rel=1e-3)
    assert percentile(0.99, 1, waits) == pytest.approx(0.310, rel=1e-3)


def test_nobody_waits_where_nobody_wakes() -> None:
    assert percentile(0.999, 10, ((0.0, TORPOR_WARM), (0.0, TORPOR_COLD))) == 0.0


def test_what_comes_behind_something_else_takes_half_of_that_longer_on_average() -> None:
    late = TORPOR_WARM.behind(2.0)
    assert late.mean_s == pytest.approx(TORPOR_WARM.mean_s + 1.0)
    assert late.quantile(0.5) == pytest.approx(TORPOR_WARM.quantile(0.5) + 1.0)
    assert late.most_s == pytest.approx(TORPOR_WARM.most_s + 2.0)
    assert TORPOR_WARM.behind(0.0) == TORPOR_WARM


def test_quantiles_that_fall_are_refused() -> None:
    with pytest.raises(ValueError, match="have to grow"):
        measured(((0.0, 1.0), (0.5, 0.5), (1.0, 2.0)), 1.0)


def test_torpors_are_about_those_that_are_on_record() -> None:
    """Figures here are written down once; a record twice as fast or slow wants new ones."""
    parts = {part["name"]: part["torpor"] for part in json.loads(RESULTS.read_text())["parts"]}
    for latency, name in ((TORPOR_WARM, "held session, warm pool"), (TORPOR_COLD, "no warm pod")):
        assert latency.mean_s / 2 < parts[name]["mean"] / 1000 < latency.mean_s * 2


def test_a_compute_outlives_its_postgres_here_as_it_does() -> None:
    assert COMPUTE_ENDS_S == LINGER_SECONDS


def test_falling_asleep_takes_about_what_is_on_record() -> None:
    record = RESULTS.with_name("fleet-replay.json")
    parts = {part["name"]: part["torpor"] for part in json.loads(record.read_text())["parts"]}
    late_s = parts["from the time-out to the stop"]["mean"] / 1000
    takes_s = parts["from there until it sleeps"]["mean"] / 1000
    assert late_s / 2 < TORPOR_FALLS.late_s < late_s * 2
    assert takes_s / 2 < TORPOR_FALLS.takes_s < takes_s * 2
