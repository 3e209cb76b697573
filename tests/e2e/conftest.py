"""Torpor on a real cluster, installed once for all tests; each test has a namespace of its own."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from e2e import cluster, kubectl
from e2e.database import Database, fresh_name
from e2e.installation import Installation, reached

HERE = Path(__file__).parent

TEST_SECONDS_MAX = 300
"""Each of its waits has a deadline of its own, that says what was waited for."""

GONE_SECONDS_MAX = 300.0
"""Fifty databases with all their data: each takes a compute of its own to be erased."""

MakeDatabase = Callable[..., Database]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test may have to wait for a cluster, which counts for no test's own time."""
    limit = pytest.mark.timeout(TEST_SECONDS_MAX, func_only=True)
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(limit)


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


@pytest.fixture(scope="session")
def leaving(torpor: Installation) -> Iterator[list[str]]:
    """Namespaces of tests that are over. Each takes ten seconds, for which no other test waits; in
    the end all must be gone, with every database that was in them."""
    names: list[str] = []
    yield names
    are_gone(names)


@pytest.fixture
def namespace(leaving: list[str]) -> Iterator[str]:
    """Removed with all that is in it, after a test that passed or failed."""
    with fresh_namespace(leaving) as name:
        yield name


@pytest.fixture
def another_namespace(leaving: list[str]) -> Iterator[str]:
    with fresh_namespace(leaving) as name:
        yield name


@contextlib.contextmanager
def fresh_namespace(leaving: list[str]) -> Iterator[str]:
    name = fresh_name("e2e")
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        kubectl.kubectl("delete", "namespace", name, "--wait=false")
        leaving.append(name)


@pytest.fixture
def calm(leaving: list[str]) -> None:
    """For a test of what the warm pool does: nothing of an earlier one is erased beside it."""
    are_gone(leaving)


def are_gone(namespaces: list[str]) -> None:
    for name in namespaces:
        kubectl.wait_for("namespace", name, "", "delete", GONE_SECONDS_MAX)
    namespaces.clear()


@pytest.fixture
def make_database(torpor: Installation, namespace: str) -> MakeDatabase:
    """Databases that are Ready; their data goes with them."""
    numbers = count(1)

    def make(**spec: Any) -> Database:
        chosen = {"deletionPolicy": "Delete", "idleTimeout": "1h"} | spec
        made = Database(torpor, namespace, f"db{next(numbers)}", chosen)
        made.apply()
        made.is_ready()
        return made

    return make


@pytest.fixture
def database(make_database: MakeDatabase) -> Database:
    return make_database()
