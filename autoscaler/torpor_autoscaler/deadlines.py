"""One heap and one timer for all databases: those without a deadline cost nothing."""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable

log = logging.getLogger(__name__)

REPLACED_MAX = 1000
"""Moments in the heap that nobody waits for any more: of one that is days away, as schedules have
them, another comes with each sleep."""


class Deadlines:
    """Calls ``reached`` with each name whose moment has come."""

    def __init__(self, now: Callable[[], float], reached: Callable[[str], None]) -> None:
        self._now = now
        self._reached = reached
        self._heap: list[tuple[float, str]] = []
        self._moments: dict[str, float] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._rings_at = 0.0

    def set(self, name: str, moment: float | None) -> None:
        """Instead of the one set before. None: none any more."""
        if moment is None:
            self._moments.pop(name, None)
            return
        if self._moments.get(name) == moment:
            return
        self._moments[name] = moment
        heapq.heappush(self._heap, (moment, name))
        if len(self._heap) > 2 * len(self._moments) + REPLACED_MAX:
            self._heap = [(at, waiting) for waiting, at in self._moments.items()]
            heapq.heapify(self._heap)
        self._arm()

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._drop_replaced()
        if not self._heap:
            return
        moment = self._heap[0][0]
        if self._timer is None or self._rings_at > moment:
            self.close()
            delay_s = max(0.0, moment - self._now())
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._ring)
            self._rings_at = moment

    def _ring(self) -> None:
        self._timer = None
        now = self._now()
        due: list[str] = []
        self._drop_replaced()
        while self._heap and self._heap[0][0] <= now:
            _, name = heapq.heappop(self._heap)
            del self._moments[name]
            due.append(name)
            self._drop_replaced()
        for name in due:
            try:
                self._reached(name)
            except Exception:  # A defect, and no reason for the others to miss their moment.
                log.exception("deadline_defect", extra={"database": name})
        self._arm()

    def _drop_replaced(self) -> None:
        while self._heap and self._moments.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
