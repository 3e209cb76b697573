"""A running `torpor up`, shared by the tests of one process; each test has its own database."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.up import Database, Up, a_database, running_up


@pytest.fixture(scope="session")
def up() -> Iterator[Up]:
    """Its proxy runs on uvloop, where that is installed. Tests that break parts start their own.

    Nothing limits its computes, wherever its folder is: other tests are of that.
    """
    with running_up("--no-limits") as started:
        yield started


@pytest.fixture(scope="session")
def up_on_asyncio() -> Iterator[Up]:
    with running_up(TORPOR_LOOP="asyncio") as started:
        yield started


@pytest.fixture(scope="session")
def up_to_break() -> Iterator[Up]:
    """For tests that kill parts of it; each of them waits until there are others."""
    with running_up() as started:
        yield started


@pytest.fixture(scope="session", params=["up", "up_on_asyncio"])
def each_up(request: pytest.FixtureRequest) -> Up:
    """On each event loop."""
    started: Up = request.getfixturevalue(request.param)
    return started


@pytest.fixture
def database(up: Up) -> Iterator[Database]:
    with a_database(up) as made:
        yield made


@pytest.fixture
def each_database(each_up: Up) -> Iterator[Database]:
    with a_database(each_up) as made:
        yield made
