"""What the autoscaler's process sets up before anything else: its loop, its open files."""

from __future__ import annotations

import resource
from collections.abc import Iterator

import pytest
import uvloop

from torpor_autoscaler.main import loop_factory, raise_open_files_limit


@pytest.fixture
def limit() -> Iterator[tuple[int, int]]:
    """A soft limit below the hard one, for the length of a test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = 512, before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_it_may_open_as_many_files_as_the_system_allows(limit: tuple[int, int]) -> None:
    soft, hard = limit
    assert soft != hard
    raise_open_files_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_the_loop_is_the_one_that_the_environment_names() -> None:
    assert loop_factory({}) is uvloop.new_event_loop
    assert loop_factory({"TORPOR_LOOP": "uvloop"}) is uvloop.new_event_loop
    assert loop_factory({"TORPOR_LOOP": "asyncio"}) is None
