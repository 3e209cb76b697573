"""One operator that leads, over the API server of the tests, with one pool."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.operating import World, add_pool, operating, serving


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving() as fake:
        add_pool(fake)
        async with operating(fake, tmp_path) as world:
            yield world
