"""How many sessions the record speaks of: seldom written for itself, right when it falls asleep."""

from __future__ import annotations

from torpor_api.phases import Phase
from unit.autoscaler.story import Story, awake


def counted(story: Story) -> int | None:
    return story.record.status.sessions


def test_a_changed_number_alone_is_written_once_a_minute() -> None:
    story = awake(keepAwake=True)
    story.at(105.0).sample(sessions=1).rest()
    writes = len(story.written)
    for second in range(1, 50):
        story.at(105.0 + second).sample(sessions=1 + second).rest()
    assert len(story.written) == writes
    story.at(200.0).rest()
    assert (len(story.written), counted(story)) == (writes + 1, 50)


def test_the_number_goes_with_whatever_else_is_written() -> None:
    story = awake()
    story.sample(sessions=3, busy=1).rest()
    story.at(120.0).sample(sessions=4, busy=1)
    story.change(keepAwake=True).rest()
    assert counted(story) == 4


def test_a_database_that_sleeps_says_how_many_it_holds() -> None:
    story = awake()
    story.sample("p1", sessions=2, idle_s=0.0).sample("p2", sessions=3, idle_s=0.0)
    story.let_time_pass(lambda: story.phase() is Phase.SUSPENDED)
    story.at(150.0).sample("p1", sessions=2, idle_s=50.0).sample("p2", sessions=3, idle_s=50.0)
    story.let_time_pass(lambda: story.phase() is Phase.SUSPENDED)
    assert (story.phase(), counted(story)) == (Phase.SUSPENDED, 5)
