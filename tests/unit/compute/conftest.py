"""An agent over a world in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.fakes.compute import FakeCompute, agent_of
from torpor_api import messages as m
from torpor_compute.executor import Agent


@pytest.fixture
def world() -> FakeCompute:
    return FakeCompute()


@pytest.fixture
def told() -> list[m.Event]:
    return []


@pytest.fixture
async def agent(world: FakeCompute, told: list[m.Event]) -> AsyncIterator[Agent]:
    made = agent_of(world, told)
    yield made
    await made.end()
