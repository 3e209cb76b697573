"""The small words: names, and chains of steps."""

from __future__ import annotations

import pytest

from torpor_api.brief import LINE_CHARACTERS_MAX, brief, in_one_line
from torpor_api.chain import Chain, Step
from torpor_api.identity import (
    canonical_endpoint_name,
    endpoint_name,
    is_database_name,
    split_endpoint_name,
)


@pytest.mark.parametrize("name", ["a", "shop", "shop-1", "0", "a" * 63, "a--b"])
def test_names_that_are_dns_labels(name: str) -> None:
    assert is_database_name(name)


@pytest.mark.parametrize(
    "name", ["", "-a", "a-", "A", "a.b", "a_b", "a b", "a" * 64, "ä", "a\n", "../a", "a/b"]
)
def test_names_that_are_none(name: str) -> None:
    assert not is_database_name(name)


@pytest.mark.parametrize(
    ("name", "namespace", "endpoint"),
    [("shop", "default", "shop"), ("shop", "team", "shop.team"), ("default", "a", "default.a")],
)
def test_an_endpoint_name_and_back(name: str, namespace: str, endpoint: str) -> None:
    assert endpoint_name(name, namespace) == endpoint
    assert split_endpoint_name(endpoint) == (name, namespace)
    assert canonical_endpoint_name(endpoint) == endpoint


def test_the_default_namespace_may_be_named_and_is_left_out() -> None:
    assert split_endpoint_name("shop.default") == ("shop", "default")
    assert canonical_endpoint_name("shop.default") == "shop"


@pytest.mark.parametrize("text", ["", ".", "a.", ".a", "a.b.c", "A.b", "a.b_", "a..b", "a.b\n"])
def test_what_is_no_endpoint_name(text: str) -> None:
    assert canonical_endpoint_name(text) is None
    with pytest.raises(ValueError, match=r"write NAME or NAME\.NAMESPACE"):
        split_endpoint_name(text)


def test_a_chain_grows_by_its_steps() -> None:
    began = Chain(steps=(Step(name="claim", where="autoscaler", ms=1.5),), total_ms=1.5)
    whole = began.then(
        Step(name="start", where="postgres", ms=25.0), Step(name="attach", where="proxy", ms=2.0)
    )
    assert [step.name for step in whole.steps] == ["claim", "start", "attach"]
    assert whole.total_ms == 28.5
    assert began.total_ms == 1.5


def test_times_are_kept_to_the_microsecond() -> None:
    """Whoever measured them: a difference of two clocks has digits that mean nothing."""
    measured = Step(name="route", where="proxy", ms=(1.0017 - 1.0) * 1000)
    whole = Chain().then(measured, Step(name="start", where="postgres", ms=0.1 + 0.2))
    assert [step.ms for step in whole.steps] == [1.7, 0.3]
    assert whole.total_ms == 2.0
    worked_on = measured.model_copy(update={"ms": 1 / 3})
    assert Step.model_validate_json(worked_on.model_dump_json()).ms == 0.333


@pytest.mark.parametrize("value", ["x" * 10_000, "a\nb", "\n" * 500, 7, None, 1.5])
def test_a_value_is_shown_in_one_short_line(value: object) -> None:
    assert len(brief(value)) <= LINE_CHARACTERS_MAX and "\n" not in brief(value)


def test_short_lines_stay_as_they_are() -> None:
    assert in_one_line("a name") == "a name"
    assert (brief("a"), brief([1]), brief({"a": 1})) == ("'a'", "a list", "a mapping")
