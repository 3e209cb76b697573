"""The fleet as a person looks at it."""

from __future__ import annotations

from typing import Any

from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import rows
from unit.autoscaler.story import Story, awake


def seen(story: Story) -> dict[str, int]:
    row = rows.of_database(story.database, story.world.now, 0, None)
    return row.model_dump(include={"sessions", "attached", "parked", "busy", "pinned"})


def test_nobody_is_attached_to_a_database_that_sleeps_whatever_the_last_sample_says() -> None:
    story = awake()
    told: dict[str, Any] = {"sessions": 3, "attached": 2, "parked": 1}
    story.at(106.0).sample(**told, idle_s=6.0).rest()
    assert seen(story) == {"sessions": 3, "attached": 2, "parked": 1, "busy": 0, "pinned": 0}
    story.at(120.0).sample(**told, idle_s=20.0).rest()
    assert story.phase() is Phase.SUSPENDED
    assert seen(story) == {"sessions": 3, "attached": 0, "parked": 3, "busy": 0, "pinned": 0}
