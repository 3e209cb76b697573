"""Stories of a switchover begin here."""

from __future__ import annotations

from typing import Any

from torpor_autoscaler.lifecycle import facts
from unit.autoscaler.story import Story, awake

PATIENCE_S = 7.0


def ask(story: Story, asker: int = 7) -> Story:
    return story.fact(facts.ask_switchover, asker, PATIENCE_S)


def begun(**spec: Any) -> Story:
    """Awake since 100 and in use; asked for at 103."""
    story = awake(**spec)
    story.at(103.0).sample(busy=1).rest()
    story.effects.clear()
    story.asked.clear()
    story.written.clear()
    return ask(story)
