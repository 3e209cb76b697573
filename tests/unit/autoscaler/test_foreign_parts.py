"""A part of the record that is somebody else's stays as it is, whatever is written: a condition
that was restored from a backup, or put there by a person. It is not written again and again."""

from __future__ import annotations

import pytest

from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_api.resource import Condition
from torpor_autoscaler.lifecycle import facts
from torpor_autoscaler.lifecycle.actions import Wait
from unit.autoscaler.story import Story

STEPS_MAX = 100


def foreign(type: str) -> Condition:
    return Condition(type=type, status="False", reason="Unavailable", message="long ago")


def with_foreign(story: Story, condition: Condition) -> None:
    """As server-side apply keeps what another manager owns."""
    status = story.record.status
    others = tuple(one for one in status.conditions if one.type != condition.type)
    kept = status.model_copy(update={"conditions": (*others, condition)})
    story.store(story.record.model_copy(update={"status": kept}))


def writes_until_it_rests(story: Story, condition: Condition) -> int:
    writes = 0
    for _ in range(STEPS_MAX):
        if isinstance(story.action, Wait):
            return writes
        if isinstance(request := story.request, m.WriteStatus):
            writes += 1
            story.store(story.record.model_copy(update={"status": request.status}))
            with_foreign(story, condition)
            story.answer(m.Stored(resource=story.record))
        else:
            story.answer()
    raise AssertionError(f"written {writes} times, and it goes on")


@pytest.mark.parametrize("is_awake", [True, False])
@pytest.mark.parametrize("type", ["SpecApplied", "LoginFactsStored"])
def test_it_is_written_once(is_awake: bool, type: str) -> None:
    story = Story(tells_of_rest=True, keepAwake=is_awake)
    story.rest()
    assert story.phase() is (Phase.ACTIVE if is_awake else Phase.SUSPENDED)
    with_foreign(story, foreign(type))
    story.fact(facts.observe, story.record)
    assert writes_until_it_rests(story, foreign(type)) <= 1
    story.touch().fact(facts.observe, story.record)
    assert writes_until_it_rests(story, foreign(type)) <= 1, "once more when somebody has written"
