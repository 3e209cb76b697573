"""Torpor on a real cluster, installed once for all tests; each test has a namespace of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from e2e import cluster, namespaces
from e2e.database import Database
from e2e.installation import Installation, reached

HERE = Path(__file__).parent

TEST_SECONDS_MAX = 300
"""Each of its waits has a deadline of its own, that says what was waited for."""

MakeDatabase = Callable[..., Database]

Upgrade = Callable[..., None]
"""With values of the chart."""

_numbers = count(1)
"""Of databases: two tests may have the same namespace, one after the other."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to wait for a cluster, which counts for no test's own time."""
    limit = pytest.mark.timeout(TEST_SECONDS_MAX, func_only=True)
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(limit)
    # No lane is left with a long one when the others are done.
    items.sort(key=lambda item: not _is_long(item))


def _is_long(item: pytest.Item) -> bool:
    """As its mark says: ``own_release(is_long=True)``."""
    mark = item.get_closest_marker("own_release")
    return mark is not None and bool(mark.kwargs.get("is_long"))


@pytest.fixture(scope="session")
def image_tag() -> str:
    """Skips everything, and says what the machine lacks, where there is nothing to test on."""
    try:
        cluster.use_cluster()
        return cluster.use_images()
    except cluster.NothingToTestOn as lack:
        pytest.skip(str(lack))


@pytest.fixture(scope="session")
def torpor(image_tag: str) -> Iterator[Installation]:
    try:
        if not cluster.IS_INSTALLED:
            cluster.install(image_tag)
    except cluster.NothingToTestOn as lack:
        pytest.skip(str(lack))
    with reached() as installation:
        yield installation


@pytest.fixture
def namespace(torpor: Installation) -> Iterator[str]:
    with namespaces.fresh() as name:
        yield name


@pytest.fixture
def another_namespace(torpor: Installation) -> Iterator[str]:
    with namespaces.fresh() as name:
        yield name


@pytest.fixture
def calm(torpor: Installation) -> None:
    """For a test of what the warm pool does: nothing of an earlier one is erased beside it."""
    namespaces.those_of_the_past_are_gone()


@pytest.fixture
def make_database(torpor: Installation, namespace: str) -> MakeDatabase:
    """Databases that are Ready; their data goes with them."""

    def make(**spec: Any) -> Database:
        chosen = {"deletionPolicy": "Delete", "idleTimeout": "1h"} | spec
        made = Database(torpor, namespace, f"db{next(_numbers)}", chosen)
        made.apply()
        made.is_ready()
        return made

    return make


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database()


@pytest.fixture
def upgrade(image_tag: str) -> Iterator[Upgrade]:
    """With other values; those of the other tests come back."""

    def upgraded(**values: Any) -> None:
        cluster.install(image_tag, **values)

    yield upgraded
    cluster.install(image_tag)
