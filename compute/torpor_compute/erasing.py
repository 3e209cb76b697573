"""What an agent has erased, and what it is at.

Whoever asks may be late: one operator is stopped in its tracks while the next one has all of it
done, and by then a new database may be at the same place. So a resource's uid says whose the data
was, and what was done is not done again.
"""

from __future__ import annotations

import asyncio

from torpor_api.failures import Conflict
from torpor_api.identity import Epoch
from torpor_api.messages import EraseStorage
from torpor_compute.ports import Volume

ERASED_MAX = 1000
"""Resources whose data one agent erases: it remembers each, in some hundred bytes."""


class Erasing:
    """Of one agent: one volume after another."""

    def __init__(self) -> None:
        self._done: dict[str, int] = {}
        """By uid: the highest epoch up to which its data was erased here."""
        self._asked: tuple[str, int, str] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def has_begun(self) -> bool:
        """The agent will never serve anybody."""
        return self._task is not None

    def is_done(self, request: EraseStorage) -> bool:
        return bool(request.uid) and self._done.get(request.uid, 0) >= request.epoch

    def is_under_way(self, request: EraseStorage) -> bool:
        """Raises Conflict where the agent is at another one, or takes no more."""
        if self._task is not None and not self._task.done():
            if self._asked != _identity(request):
                raise Conflict("it erases another database just now", hint="ask when it is done")
            return True
        if len(self._done) >= ERASED_MAX:
            words = f"it has erased the data of {ERASED_MAX} databases, which are all it may"
            raise Conflict(words, hint="ask another one")
        return False

    def begin(self, request: EraseStorage, task: asyncio.Task[None]) -> None:
        self._asked, self._task = _identity(request), task

    async def end(self) -> None:
        """Of the one under way; it goes on when whoever waits here has gone."""
        assert self._task is not None
        await asyncio.shield(self._task)

    async def erase(self, volume: Volume, request: EraseStorage) -> None:
        await volume.erase(Epoch(request.epoch), request.fenced)
        if request.uid:
            self._done[request.uid] = request.epoch


def _identity(request: EraseStorage) -> tuple[str, int, str]:
    return request.database, request.epoch, request.uid
