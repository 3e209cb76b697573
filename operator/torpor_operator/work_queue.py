"""What is to be looked at: each target once, however often it was named, and never twice at once.

One that failed is looked at again after a pause that doubles, and that is scattered, so that a
thousand of them don't all come back in the moment in which an API server does.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable

from torpor_operator.core.targets import Sort, Target

PAUSE_S_MIN = 0.2
PAUSE_S_MAX = 60.0


class WorkQueue:
    """For one event loop."""

    def __init__(self, chance: random.Random | None = None) -> None:
        self._chance = chance or random.Random()
        self._waiting: dict[Target, None] = {}
        """Databases, in order; a set that remembers it."""
        self._first: dict[Target, None] = {}
        """What many of them wait for, pools and certificates: there are few."""
        self._under_way: set[Target] = set()
        self._again: set[Target] = set()
        """Named once more while they were looked at."""
        self._failures: dict[Target, int] = {}
        self._timers: dict[Target, asyncio.TimerHandle] = {}
        self._is_filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting) + len(self._first) + len(self._under_way)

    def add(self, targets: Iterable[Target]) -> None:
        for target in targets:
            if target in self._under_way:
                self._again.add(target)
            else:
                line = self._waiting if target.sort is Sort.DATABASE else self._first
                line[target] = None
                self._is_filled.set()

    def add_later(self, target: Target, in_s: float) -> None:
        """Also then, if nothing names it before; the soonest of several moments counts."""
        loop = asyncio.get_running_loop()
        known = self._timers.get(target)
        if known is not None:
            if known.when() <= loop.time() + in_s:
                return
            known.cancel()
        self._timers[target] = loop.call_later(in_s, self._due, target)

    def _due(self, target: Target) -> None:
        self._timers.pop(target, None)
        self.add([target])

    async def take(self) -> Target:
        """The one that has waited for longest, a pool before any database; :meth:`done` must
        follow."""
        while not (line := self._first or self._waiting):
            self._is_filled.clear()
            await self._is_filled.wait()
        target = next(iter(line))
        del line[target]
        self._under_way.add(target)
        return target

    def done(self, target: Target, *, failed: bool = False) -> None:
        self._under_way.discard(target)
        if failed:
            count = self._failures[target] = self._failures.get(target, 0) + 1
            pause_s = min(PAUSE_S_MAX, PAUSE_S_MIN * 2.0 ** min(count - 1, 30))
            self.add_later(target, pause_s * self._chance.uniform(0.5, 1.0))
        else:
            self._failures.pop(target, None)
        if target in self._again:
            self._again.discard(target)
            if not failed:
                self.add([target])

    def close(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
