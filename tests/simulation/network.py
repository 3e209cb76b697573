"""Carries messages between the autoscaler and the fakes, late, lost or twice."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context
from random import Random
from typing import Any

from simulation.faults import CALM, Weather
from torpor_api import messages as m
from torpor_api.failures import Unavailable

Answer = Callable[[m.Request[Any]], Awaitable[Any]]

HOP_S_MAX = 0.003

STALL_S_MAX = 40.0
"""Longer than most questions are waited for."""

DIAL_S_MAX = 5.0
"""What an attempt to reach somebody takes where there is no way."""


class NoWay(Unavailable):
    """Nothing of the request was sent."""


class Network:
    """One for the whole town. What it has begun to carry arrives, even if its sender is gone."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.weather: Weather = CALM
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._last_arrival: dict[object, float] = {}
        self._goes_on: dict[object, asyncio.Event] = {}
        """Of each connection that holds a request up."""
        self._is_there = asyncio.Event()
        self._is_there.set()
        self._undelivered: list[tuple[object, Callable[[], None]]] = []

    # --- the autoscaler's own network ------------------------------------------------------

    @property
    def is_away(self) -> bool:
        """Nobody reaches the autoscaler, and it reaches nobody; all others are well."""
        return not self._is_there.is_set()

    def go_away(self) -> None:
        self._is_there.clear()

    def come_back(self) -> None:
        self._is_there.set()
        undelivered, self._undelivered = self._undelivered, []
        for connection, take in undelivered:
            self.deliver(connection, take)

    async def until_there(self) -> None:
        await self._is_there.wait()

    # --- messages --------------------------------------------------------------------------

    async def ask(
        self,
        answer: Answer,
        request: m.Request[Any],
        *,
        timeout_s: float,
        lost: asyncio.Event | None = None,
        connection: object = None,
        back: object = None,
    ) -> Any:
        """The answer, or Unavailable; ``lost`` ends the connection while it is under way.

        On one ``connection`` nothing overtakes what was asked before it. With ``back`` the answer
        has its turn among the events of that connection.
        """
        if self.is_away:
            await asyncio.sleep(min(timeout_s, DIAL_S_MAX))
            raise NoWay("there is no way (cut_off)")
        if connection in self._goes_on:
            self._goes_on[connection].set()
        dice, weather = self._random.random(), self.weather
        if dice < weather.lose_request:
            await self._hop()
            raise Unavailable("the connection was lost (lose_request)")
        dice -= weather.lose_request
        loses_reply = dice < weather.lose_reply
        dice -= weather.lose_reply
        late_s = self._random.uniform(0, STALL_S_MAX) if 0 <= dice < weather.stall else 0.0
        work = self.background(self._work(answer, request, late_s, connection, back))
        done = await self._first(work, lost, timeout_s)
        if loses_reply or not done:
            raise Unavailable("no answer (lose_reply)" if loses_reply else "no answer in time")
        if back is None:
            await self._hop()
        return work.result()

    def deliver(self, connection: object, take: Callable[[], None]) -> None:
        """An event: in the order of the calls for one connection, perhaps twice."""
        if self.is_away:
            self._undelivered.append((connection, take))
            return
        self._at_its_turn(connection, take)
        if self._random.random() < self.weather.duplicate_event:
            self._at_its_turn(connection, take)

    def background(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        # Of nobody's process: what is under way arrives though its sender stands still.
        task = asyncio.get_running_loop().create_task(work, context=Context())
        self._tasks[task] = None
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        """A failure is its asker's affair, if there is still one."""
        self._tasks.pop(task, None)
        if not task.cancelled():
            task.exception()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(
        self,
        answer: Answer,
        request: m.Request[Any],
        late_s: float,
        connection: object,
        back: object,
    ) -> Any:
        await self._hop()
        if connection is None or not late_s:
            await asyncio.sleep(late_s)
        else:
            await self._held_up(connection, late_s)
        try:
            answered = await answer(request)
        except asyncio.CancelledError:
            raise Unavailable("whoever was asked has died") from None
        if back is not None:
            await self._passage(back)
        return answered

    async def _held_up(self, connection: object, late_s: float) -> None:
        goes_on = self._goes_on.setdefault(connection, asyncio.Event())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(late_s):
                await goes_on.wait()
        if self._goes_on.get(connection) is goes_on:
            del self._goes_on[connection]

    async def _first(
        self, work: asyncio.Task[Any], lost: asyncio.Event | None, timeout_s: float
    ) -> bool:
        """Whether the work is done before the connection is lost and the time is up."""
        watch = self.background(lost.wait()) if lost is not None else None
        waited = {task for task in (work, watch) if task is not None}
        await asyncio.wait(waited, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        if watch is not None:
            watch.cancel()
        return work.done()

    def _at_its_turn(self, connection: object, take: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        when = max(loop.time() + self._random.uniform(0, HOP_S_MAX), self._last(connection))
        self._last_arrival[connection] = when
        loop.call_at(when, take, context=Context())

    async def _passage(self, connection: object) -> None:
        """Until what is sent now arrives."""
        arrived = asyncio.Event()
        self._at_its_turn(connection, arrived.set)
        await arrived.wait()

    def _last(self, connection: object) -> float:
        return self._last_arrival.get(connection, 0.0) + 1e-6

    async def _hop(self) -> None:
        await asyncio.sleep(self._random.uniform(0, HOP_S_MAX))
