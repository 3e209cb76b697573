"""The steps of a chain add up to the whole."""

from __future__ import annotations

import pytest

from torpor_compute.chain import StepClock


def test_steps_add_up() -> None:
    now = iter([10.0, 10.002, 10.030])
    clock = StepClock(lambda: next(now))
    clock.took("ownership record", "agent")
    clock.took("start of postgres", "postgres", 25.0)
    clock.took("answer", "agent")
    assert [step.name for step in clock.steps] == [
        "ownership record",
        "start of postgres",
        "answer",
    ]
    assert [step.ms for step in clock.steps] == pytest.approx([2.0, 25.0, 3.0])


def test_a_step_never_takes_less_than_nothing() -> None:
    """Two clocks may differ by a hair."""
    clock = StepClock(lambda: 10.0)
    clock.took("start of postgres", "postgres", 25.0)
    clock.took("answer", "agent")
    assert [step.ms for step in clock.steps] == [25.0, 0.0]
