"""Slack: by how much a span could have been longer with the whole no longer for it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from torpor_api.transition import Span, Transition, TransitionKind, trees, with_slack


def span(name: str, begin_ms: float, ms: float, depth: int = 0) -> Span:
    return Span(name=name, where="here", begin_ms=begin_ms, ms=ms, depth=depth)


def slack(*spans: Span) -> dict[str, float]:
    return {each.name: each.slack_ms for each in with_slack(spans)}


def transition(*spans: Span) -> Transition:
    whole_ms = max(each.end_ms for each in spans)
    return Transition(
        database="shop",
        kind=TransitionKind.RESUME,
        at="2027-01-01T00:00:00Z",
        epoch=7,
        total_ms=whole_ms,
        spans=with_slack(spans),
    )


def test_spans_that_follow_each_other_have_none() -> None:
    assert slack(span("a", 0, 3), span("b", 3, 20), span("c", 23, 1)) == {"a": 0, "b": 0, "c": 0}


def test_of_two_side_by_side_the_shorter_one_has_the_difference() -> None:
    told = slack(span("short", 0, 5), span("long", 0, 20), span("then", 20, 4))
    assert told == {"short": 15, "long": 0, "then": 0}


def test_who_waits_for_another_moves_with_it() -> None:
    told = slack(span("first", 0, 5), span("long", 0, 20), span("second", 5, 12))
    assert told == {"first": 3, "second": 3, "long": 0}


def test_a_part_may_be_longer_by_what_its_whole_may_be() -> None:
    told = slack(
        *(span("claim", 0, 10), span("write", 0, 10, 1), span("read", 0, 4, 1)),
        *(span("other", 0, 12), span("inside", 1, 11, 1)),
    )
    assert told == {"claim": 2, "write": 2, "read": 8, "other": 0, "inside": 0}


def test_the_critical_chain_is_of_the_deepest_that_are_known() -> None:
    made = transition(
        *(span("claim", 0, 10), span("write", 0, 10, 1), span("read", 0, 4, 1)),
        span("start", 10, 20),
    )
    assert [each.name for each in made.critical_chain] == ["write", "start"]


def test_nothing_is_made_of_nothing() -> None:
    assert with_slack(()) == ()


SIBLINGS = st.lists(st.tuples(st.integers(0, 50), st.integers(1, 50)), min_size=1, max_size=12).map(
    lambda found: [span(str(i), begin, ms) for i, (begin, ms) in enumerate(sorted(found))]
)


@given(SIBLINGS)
def test_something_is_critical_and_nothing_outlasts_its_slack(spans: list[Span]) -> None:
    told = with_slack(spans)
    end_ms = max(each.end_ms for each in told)
    assert any(each.is_critical and each.end_ms == end_ms for each in told)
    assert all(each.end_ms + each.slack_ms <= end_ms + 1e-9 for each in told)


@given(SIBLINGS, st.data())
def test_a_span_that_is_longer_by_its_slack_makes_nothing_later(
    spans: list[Span], data: st.DataObject
) -> None:
    """Whatever began when or after it had ended is taken to have waited for it."""
    told = with_slack(spans)
    chosen = data.draw(st.sampled_from(told))
    later = _delayed(told, chosen, chosen.slack_ms)
    assert later <= max(each.end_ms for each in told) + 1e-9


def _delayed(spans: Sequence[Span], chosen: Span, by_ms: float) -> float:
    """When all have ended, where those behind it begin as late as they have to."""
    ends = {chosen.name: chosen.end_ms + by_ms}
    for each in sorted(spans, key=lambda one: one.begin_ms):
        if each.name == chosen.name:
            continue
        before = [
            ends[other.name]
            for other in spans
            if other.name in ends and other.end_ms <= each.begin_ms
        ]
        ends[each.name] = max([each.begin_ms, *before]) + each.ms
    return max(ends.values())


def test_a_tree_is_read_from_its_root() -> None:
    (first, parts), (second, none) = trees([span("a", 0, 9), span("b", 0, 4, 1), span("c", 9, 1)])
    assert (first.name, second.name) == ("a", "c")
    assert [each.name for each, _ in parts] == ["b"] and none == ()


@pytest.mark.parametrize("depth", [-1, 9])
def test_depth_is_bounded(depth: int) -> None:
    with pytest.raises(ValueError, match="depth"):
        span("a", 0, 1, depth)
