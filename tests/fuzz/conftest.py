"""Both sides of all conversations, once for the tests of one process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fuzz.sides import World, a_world
from support.up import running_up


@pytest.fixture(scope="session")
def world() -> Iterator[World]:
    with running_up("--park-every-safe-point") as up, a_world(up) as made:
        yield made
