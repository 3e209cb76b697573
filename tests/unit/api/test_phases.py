"""Every pair of phases: those that may follow each other, and all the others."""

from __future__ import annotations

import itertools

import pytest

from torpor_api.phases import TRANSITIONS, Phase, as_mermaid, may_follow

LEGAL = {
    ("Suspended", "Resuming"),  # a wake
    ("Suspended", "Failed"),  # the data is missing
    ("Resuming", "Active"),  # Postgres is ready
    ("Resuming", "Suspended"),  # the start was given up, the volume released
    ("Resuming", "Failed"),  # it does not start
    ("Active", "Suspending"),  # nobody needs it
    ("Active", "Resuming"),  # the compute was lost, and that is confirmed
    ("Active", "Failed"),  # it was lost and does not come back
    ("Suspending", "Suspended"),  # stopped and released
    ("Suspending", "Active"),  # a session was busy after all
    ("Suspending", "Resuming"),  # lost while stopping, with clients waiting
    ("Suspending", "Failed"),
    ("Failed", "Resuming"),  # the next wake tries again
    ("Failed", "Suspended"),  # a person mended it
}


@pytest.mark.parametrize(("current", "following"), list(itertools.product(Phase, Phase)))
def test_a_phase_follows_only_where_the_table_says_so(current: Phase, following: Phase) -> None:
    assert may_follow(current, following) is ((current.value, following.value) in LEGAL)


def test_every_phase_has_a_way_out_and_a_way_back_to_sleep() -> None:
    for start in Phase:
        reached, waiting = {start}, [start]
        while waiting:
            new = TRANSITIONS[waiting.pop()] - reached
            reached |= new
            waiting += new
        assert Phase.SUSPENDED in reached and Phase.ACTIVE in reached


def test_the_diagram_has_one_line_per_legal_pair() -> None:
    lines = as_mermaid().splitlines()
    assert lines[:2] == ["stateDiagram-v2", "    [*] --> Suspended"]
    assert sorted(lines[2:]) == sorted(f"    {a} --> {b}" for a, b in LEGAL)
