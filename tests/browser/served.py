"""A dashboard over a made-up fleet, served by a thread as long as a test needs it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

from support.made_up_fleet import MadeUpFleet
from support.ports import free_address
from torpor_autoscaler.dashboard.serving import serving
from torpor_autoscaler.settings import OfDashboard

START_S_MAX = 20.0


class Served:
    """``fleet`` is changed by :meth:`do` alone: it belongs to another thread."""

    def __init__(self, fleet: MadeUpFleet, wanted: OfDashboard) -> None:
        self.fleet = fleet
        self.wanted = wanted
        self._loop = asyncio.new_event_loop()
        self._ended = asyncio.Event()
        self._is_ready = threading.Event()
        self._thread = threading.Thread(target=self._run)

    @property
    def url(self) -> str:
        return f"http://{self.wanted.listen}/"

    def link(self) -> str:
        """What `torpor dashboard` prints."""
        return f"{self.url}#enter={self.do(lambda: self.fleet.link().link)}"

    def do(self, what: Callable[[], Any]) -> Any:
        async def done() -> Any:
            return what()

        return asyncio.run_coroutine_threadsafe(done(), self._loop).result(START_S_MAX)

    def start(self) -> None:
        self._thread.start()
        assert self._is_ready.wait(START_S_MAX)

    def end(self) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()
        self._loop.close()

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        async with serving(self.wanted, self.fleet, self.fleet):
            self._is_ready.set()
            await self._ended.wait()


@contextlib.contextmanager
def served(fleet: MadeUpFleet, wanted: OfDashboard | None = None) -> Iterator[Served]:
    running = Served(fleet, wanted or OfDashboard(free_address()))
    running.start()
    try:
        yield running
    finally:
        running.end()
