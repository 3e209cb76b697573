"""Connections, and a place where to listen."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.ends import Ends, ends_of_connections


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    async with ends_of_connections() as made:
        yield made


@pytest.fixture
def path() -> Iterator[Path]:
    """A place for a socket; pytest's own folder may be too long a name for one."""
    with tempfile.TemporaryDirectory(prefix="torpor-") as folder:
        yield Path(folder) / "test.sock"
