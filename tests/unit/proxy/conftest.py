"""What the tests of the operator console share: a console, and somebody who has logged in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.console import FakeDesk, Guest, World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(FakeDesk())
    yield made
    made.desk.holds.set()
    await made.console.close()


@pytest.fixture
async def guest(world: World) -> Guest:
    made = world.enters()
    await made.hears()
    return made
