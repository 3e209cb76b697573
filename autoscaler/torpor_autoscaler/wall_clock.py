"""Watches whether somebody sets the clock on the wall, by which schedules go.

Moments to wait for are reckoned on a clock that never jumps. So when the other one does, or when
the machine itself has slept, whoever has schedules looks again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from torpor_autoscaler.ports import Clock

log = logging.getLogger(__name__)

LOOK_S = 5.0
"""Between two looks, which read two clocks: no later does a database wake whose time has come."""

JUMP_S_MIN = 1.0
"""What a clock that is kept right is never off at once, and no schedule notices."""


class WallClock:
    """Calls ``jumped`` after each jump."""

    def __init__(self, clock: Clock, jumped: Callable[[], None], every_s: float = LOOK_S) -> None:
        self._clock = clock
        self._jumped = jumped
        self._every_s = every_s
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        apart_s = self._apart_s()
        while True:
            await asyncio.sleep(self._every_s)
            jump_s = self._apart_s() - apart_s
            if abs(jump_s) >= JUMP_S_MIN:
                apart_s += jump_s
                log.warning("wall_clock_jumped", extra={"seconds": round(jump_s, 3)})
                self._jumped()

    def _apart_s(self) -> float:
        return self._clock.wall_s() - self._clock.now()
