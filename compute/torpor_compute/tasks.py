"""Work that goes on whether or not somebody waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any, TypeVar

from torpor_api.failures import Busy, Failure

log = logging.getLogger(__name__)

T = TypeVar("T")


class Tasks:
    """Every task is kept until it has ended, and no failure goes unseen."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def run(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._ended)
        return task

    async def end(self, timeout_s: float) -> None:
        """Wait for all of them, and cancel what is left after ``timeout_s``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(*self._running, return_exceptions=True)
        for task in list(self._running):
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._running.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        if isinstance(error, Busy):  # A stop that was called off: nothing has changed.
            log.info("task_failed", extra={"reason": error.message})
        elif isinstance(error, Failure):
            log.warning("task_failed", extra={"reason": error.message})
        else:
            log.error("task_defect", exc_info=error)
