"""An event loop whose time passes only when nothing is left to do, and then jumps."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any


class _Jumping(selectors.SelectSelector):
    """Instead of waiting for a socket, lets the loop's time pass."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise RuntimeError("nothing will ever happen again: everybody waits for somebody")
        self._jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """``after_turn`` is called when everything that was due at a moment has been done."""

    def __init__(self, after_turn: Callable[[], None]) -> None:
        self._now = 1000.0
        self._after_turn = after_turn
        super().__init__(_Jumping(self._jump))

    def time(self) -> float:
        return self._now

    def _jump(self, seconds: float) -> None:
        if seconds > 0:
            self._after_turn()
            self._now += seconds


class Clock:
    """Virtual time, and a wall clock that is as unreliable as real ones."""

    def __init__(self, random: Random) -> None:
        self._random = random

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def wall_s(self) -> float:
        return 1_800_000_000.0 + self.now() + self._random.uniform(-3600, 3600)


def run(
    main: Coroutine[Any, Any, None],
    after_turn: Callable[[], None],
    loop: type[VirtualLoop] = VirtualLoop,
) -> None:
    """Run to the end; hours take as long as what happens in them."""
    with asyncio.Runner(loop_factory=lambda: loop(after_turn)) as runner:
        runner.run(main)
