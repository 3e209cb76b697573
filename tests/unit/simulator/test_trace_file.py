from __future__ import annotations

import tomllib
from math import inf
from pathlib import Path
from typing import Any

import pytest

from torpor_api.failures import InvalidRequest
from torpor_simulator.arrivals import Arrivals
from torpor_simulator.trace_file import parse
from unit.simulator.kinds import trace

TRACES = sorted((Path(__file__).parents[3] / "loadtests/traces").glob("*.toml"))


@pytest.mark.parametrize("file", TRACES, ids=lambda file: file.stem)
def test_those_that_are_here_can_be_read(file: Path) -> None:
    found = parse(tomllib.loads(file.read_text()), file.name)
    assert found.name == file.stem
    Arrivals(found)


def refusal(**kind: Any) -> str:
    with pytest.raises(InvalidRequest) as refused:
        trace(**kind)
    return refused.value.message


def test_a_refusal_names_the_field_the_value_and_what_may_be() -> None:
    said = refusal(visits_per_day=[[0, 5], [1, 2]])
    assert said.startswith("test: kind.0.visits_per_day: ") and "have to grow" in said
    assert "begin with share 0" in refusal(visits_per_day=[[0.5, 5], [1, 7]])
    assert "shares have to be 1 together" in refusal(
        visits_per_day=[[0, 1], [1, 2]], linger=[[0.5, 3.0]]
    )
    assert "one for each of the 24 hours" in refusal(visits_per_day=[[0, 1], [1, 2]], hours=[1.0])
    assert "write either visits_per_day or periods" in refusal()
    assert "200000 visits a day: with visits_per_burst above 1 at most 100000" in refusal(
        visits_per_day=[[0, 1], [1, 200_000]], visits_per_burst=2
    )
    assert "test: kind.0.visist: Extra inputs" in refusal(visist=1)
    for period_s in (0, 0.5, 1e7, inf):
        said = refusal(periods=[[0.5, 60], [0.5, period_s]])
        assert said.startswith("test: kind.0.periods: [(0.5, 60.0), ")
        assert said.endswith("a period has 1 to 2678400 seconds")
    assert "less than or equal to 100000" in refusal(periods=[[1, 60]], knocks_per_day=1e12)


def test_all_that_is_wrong_is_said_at_once() -> None:
    said = refusal(visits_per_day=[[0, 1], [1, 2]], cv=0, sessions=0).splitlines()
    assert [line.split(": ")[1] for line in said] == ["kind.0.cv", "kind.0.sessions"]


def test_shares_of_kinds_are_the_whole() -> None:
    kind = {"name": "a", "share": 0.4, "periods": [[1, 60]]}
    with pytest.raises(InvalidRequest, match=r"shares of all kinds are 0\.4 together"):
        parse({"name": "x", "kind": [kind]}, "x")
