"""What can wait, asked of an API server in few lanes, so that wakes never stand in line behind it.

At a start there are two such questions for every database. A server that does not answer them in
time is overloaded, and to ask it again at once, over new connections, is what keeps it so: each
failure makes all lanes slower, and the next answer makes them as fast as before.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from torpor_api.failures import Failure, Unavailable

LANES = 16
"""So many questions that can wait are under way at a time."""

PAUSE_S_MIN = 0.1
PAUSE_S_MAX = 10.0


class NotProvidedYet(Unavailable):
    """The operator has not made it yet: the answer of a server that is sound."""


class Lanes:
    """Whoever has a turn asks one question. The wait for a turn is not a part of its time limit."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(LANES)
        self._pause_s = 0.0

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        async with self._turns:
            await asyncio.sleep(self._pause_s)
            try:
                yield
            except NotProvidedYet:
                raise
            except Unavailable:
                self._pause_s = min(max(2 * self._pause_s, PAUSE_S_MIN), PAUSE_S_MAX)
                raise
            except Failure:
                self._pause_s = 0.0  # An answer, if not the one that was hoped for.
                raise
            self._pause_s = 0.0
