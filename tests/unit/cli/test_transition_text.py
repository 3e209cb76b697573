"""A transition as a tree, many as a table, one as a picture."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from torpor_api.transition import Span, Transition, TransitionKind, with_slack
from torpor_cli.transition_svg import transition_svg
from torpor_cli.transition_text import critical_chain, transition_table, transition_tree

NOW = datetime(2027, 1, 1, 12, 0, 5, tzinfo=UTC)


def span(name: str, begin_ms: float, ms: float, depth: int = 0, where: str = "proxy") -> Span:
    return Span(name=name, where=where, begin_ms=begin_ms, ms=ms, depth=depth)


def resume(**fields: Any) -> dict[str, Any]:
    spans = with_slack(
        (
            span("locate storage", 0, 4, where="autoscaler"),
            span("locate storage", 0, 4, 1, "cluster"),
            span("fetch verifiers", 0, 1, 1, "cluster"),
            span("tell the agent", 4, 30, where="autoscaler"),
            span("start the compute", 4, 30, 1, "agent"),
            span("start of postgres", 9, 20, 2, "postgres"),
            span("first row", 34, 6),
        )
    )
    made = Transition(
        database="shop",
        kind=TransitionKind.RESUME,
        at="2027-01-01T12:00:00.250Z",
        epoch=7,
        cause="session 3 of app",
        total_ms=40.0,
        spans=spans,
    )
    return made.model_copy(update=fields).model_dump(mode="json")


def test_a_tree_shows_what_is_a_part_of_what() -> None:
    lines = transition_tree(resume(), NOW).splitlines()
    assert lines[0] == "shop: resume to epoch 7, 40.0 ms, 4s ago"
    assert lines[1] == "because: session 3 of app"
    width = lines[3].index("WHERE")
    steps = [line[:width].rstrip() for line in lines[4:]]
    assert steps == [
        "locate storage",
        "├─ locate storage",
        "└─ fetch verifiers",
        "tell the agent",
        "└─ start the compute",
        "   └─ start of postgres",
        "first row",
        "total",
    ]


def test_only_what_could_have_taken_longer_has_a_slack() -> None:
    lines = transition_tree(resume(), NOW).splitlines()[4:-1]
    # Name, where, at, ms, slack, bar: the bar is the last.
    assert [line.split()[-2] for line in lines] == ["-", "-", "3.0", "-", "-", "-", "-"]


@pytest.mark.parametrize(("columns", "drawn"), [(200, 16), (80, 12), (10, 4)])
def test_bars_are_shorter_where_the_terminal_is_narrow(columns: int, drawn: int) -> None:
    """The step takes half of the whole; eight characters are left to it in any case."""
    lines = transition_tree(resume(), NOW, columns).splitlines()
    start = next(line for line in lines if "start of postgres" in line)
    assert start.count("█") == drawn
    assert columns == 10 or max(map(len, lines)) <= columns


def test_a_bar_begins_where_its_step_began() -> None:
    lines = transition_tree(resume(), NOW).splitlines()
    start = next(line for line in lines if "start of postgres" in line)
    first = next(line for line in lines if "first row" in line)
    assert start.rindex("█") <= first.index("█") and start.count("█") == 16


def test_one_that_came_to_nothing_says_why() -> None:
    told = transition_tree(resume(failure="no space left", kind=TransitionKind.SUSPEND), NOW)
    assert told.splitlines()[0].startswith("shop: suspend of epoch 7")
    assert "came to nothing: no space left" in told


def test_one_of_which_nothing_more_is_known() -> None:
    assert "nothing is known of its steps" in transition_tree(resume(spans=()), NOW)


def test_a_table_names_the_longest_step_that_could_not_have_been_longer() -> None:
    lines = transition_table([resume(), resume(failure="no space left")], NOW).splitlines()
    assert lines[0].split() == ["MS", "DATABASE", "KIND", "AGO", "LONGEST", "STEP", "CAUSE"]
    assert "start of postgres, 20.0 ms" in lines[1] and lines[1].endswith("session 3 of app")
    assert "resume (failed)" in lines[2] and lines[2].endswith("no space left")


def test_the_critical_chain_is_that_of_the_models() -> None:
    made = resume()
    names = [span.name for span in Transition.model_validate(made).critical_chain]
    assert [span["name"] for span in critical_chain(made)] == names


def test_what_a_client_calls_itself_moves_no_cursor() -> None:
    told = transition_tree(resume(cause="session 3 of \x1b[2Japp"), NOW)
    assert "\x1b" not in told


def test_a_picture_has_a_row_a_span_and_is_well_formed() -> None:
    made = resume(cause="<b>&'\"")
    picture = ElementTree.fromstring(transition_svg(made))
    titles = [title.text or "" for title in picture.iter("{http://www.w3.org/2000/svg}title")]
    assert len(titles) == len(made["spans"])
    assert titles[2] == "fetch verifiers (cluster): at 0.0 ms, 1.0 ms, slack 3.0 ms"


@pytest.mark.parametrize("total_ms", [0.0, 0.004, 1.0, 999.9, 86_400_000.0])
def test_a_picture_of_any_length_has_a_few_marks(total_ms: float) -> None:
    made = resume(total_ms=total_ms, spans=(span("first row", 0, total_ms),))
    picture = ElementTree.fromstring(transition_svg(made))
    lines = list(picture.iter("{http://www.w3.org/2000/svg}line"))
    assert 2 <= len(lines) <= 12


def test_a_picture_of_nothing_is_a_picture() -> None:
    ElementTree.fromstring(transition_svg(resume(spans=())))
