"""What may speak against a compute that serves, so that somebody has it ended."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from torpor_api import messages as m
from torpor_autoscaler.lifecycle.limits import Limits


class Words:
    """What one life of the autoscaler was told of computes, and what it was not."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began_at = now()
        self._heard_at: dict[str, float] = {}
        self._orders: set[str] = set()
        """Computes that were asked to start or to stop; what came of it was not heard."""
        self.proxies: set[tuple[str, int]] = set()
        """Databases whose compute of that epoch a proxy could not reach."""

    def heard(self, compute: str) -> None:
        """It has answered."""
        self._heard_at[compute] = self._now()

    @contextlib.contextmanager
    def order(self, compute: str, request: m.Request[Any]) -> Iterator[None]:
        try:
            yield
        except BaseException:
            if isinstance(request, m.StartCompute | m.StopCompute):
                self._orders.add(compute)
            raise

    def speak_against(self, database: str, epoch: int, compute: str) -> bool:
        silent_s = self._now() - self._heard_at.get(compute, self._began_at)
        is_doubtful = compute in self._orders or (database, epoch) in self.proxies
        return is_doubtful or silent_s >= Limits().silence_s_max
