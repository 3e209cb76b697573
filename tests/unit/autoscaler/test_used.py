"""How an awake database is used, as whoever records it is told."""

from __future__ import annotations

from torpor_autoscaler.lifecycle.used import report
from unit.autoscaler.story import awake


def test_the_latest_use_over_all_proxies_counts_and_queries_are_added_up() -> None:
    story = awake()
    story.at(110.0).sample("p1", sessions=2, idle_s=7.0, queries_total=5)
    story.at(111.0).sample("p2", sessions=1, idle_s=3.0, queries_total=6)
    told = report(story.database, 112.0)
    assert (told.name, told.ago_s, told.queries_total, told.sessions) == ("shop", 4.0, 11, 3)
    assert told.cu == story.database.size.cu


def test_in_use_is_a_query_under_way_and_not_the_wait_for_one() -> None:
    story = awake()
    story.at(110.0).sample(busy=1, idle_s=8.0)
    assert report(story.database, 111.0).ago_s == 0.0
    story.at(112.0).sample(busy=1, waiting=1, idle_s=8.0)
    assert report(story.database, 113.0).ago_s == 9.0
