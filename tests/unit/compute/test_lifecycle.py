"""The whole table of the agent's states, legal and illegal."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from torpor_compute.core.lifecycle import (
    TRANSITIONS,
    Happening,
    IllegalTransition,
    State,
    after,
    as_mermaid,
)

EVERY_PAIR = list(itertools.product(State, Happening))


@pytest.mark.parametrize(("state", "happening"), EVERY_PAIR)
def test_every_pair_is_in_the_table_or_refused(state: State, happening: Happening) -> None:
    if (state, happening) in TRANSITIONS:
        assert after(state, happening) is TRANSITIONS[state, happening]
    else:
        with pytest.raises(IllegalTransition, match=str(happening)):
            after(state, happening)


def test_an_agent_never_becomes_warm_again() -> None:
    assert State.WARM not in TRANSITIONS.values()


def test_every_state_can_be_reached() -> None:
    assert {State.WARM, *TRANSITIONS.values()} == set(State)


def test_stopped_and_failed_are_the_end() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.STOPPED, State.FAILED}


@pytest.mark.parametrize(
    "story",
    [
        [Happening.CLAIMED, Happening.READY, Happening.STOP_ASKED, Happening.GONE],
        [Happening.CLAIMED, Happening.REFUSED, Happening.CLAIMED, Happening.READY],
        [Happening.CLAIMED, Happening.READY, Happening.LOST, Happening.READY, Happening.STOP_ASKED],
        [Happening.CLAIMED, Happening.READY, Happening.STOP_ASKED, Happening.FOUND_BUSY],
        [Happening.CLAIMED, Happening.READY, Happening.LOST, Happening.GAVE_UP],
    ],
)
def test_stories_that_happen(story: list[Happening]) -> None:
    state = State.WARM
    for happening in story:
        state = after(state, happening)
    ends = {State.STOPPED, State.RUNNING, State.STOPPING, State.FAILED}
    assert state in ends


def test_only_one_way_leads_from_warm() -> None:
    assert [h for s, h in TRANSITIONS if s is State.WARM] == [Happening.CLAIMED]


def test_the_documentation_draws_every_transition() -> None:
    assert len(as_mermaid().splitlines()) == 2 + len(TRANSITIONS)
    assert as_mermaid() in (Path(__file__).parents[3] / "ARCHITECTURE.md").read_text()
