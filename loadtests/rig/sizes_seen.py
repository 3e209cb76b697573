"""What size a compute had while it was watched, and how it came to it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rig.kube_release import Release

LOOK_SECONDS = 0.2
"""A size is there in seconds."""


@dataclass(frozen=True, slots=True)
class Look:
    """At the status of a database."""

    at_s: float
    """Since the watch began."""
    cu: float | None
    """None: nothing serves it."""
    epoch: int


class SizesSeen:
    """A context: who leaves it knows what happened within."""

    def __init__(self, torpor: Release) -> None:
        self._torpor = torpor
        self._looks: list[Look] = []
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> SizesSeen:
        self._began = time.monotonic()
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    @property
    def settled_s(self) -> float:
        """When it had the size that it had in the end."""
        last = self._looks[-1].cu
        return next((after.at_s for before, after in self._pairs() if before.cu != last), 0.0)

    @property
    def last_cu(self) -> float | None:
        return self._looks[-1].cu

    @property
    def has_shrunk(self) -> bool:
        """It has less than a moment before, at any time."""
        sizes = [look.cu for look in self._looks if look.cu is not None]
        return any(before > after for before, after in pairwise(sizes))

    @property
    def resizes(self) -> int:
        """Of one compute, which stayed."""
        return sum(
            before.cu != after.cu and None not in (before.cu, after.cu)
            for before, after in self._pairs()
            if before.epoch == after.epoch
        )

    @property
    def switchovers(self) -> int:
        """And wakes: another compute took over."""
        return sum(before.epoch != after.epoch for before, after in self._pairs())

    def _pairs(self) -> list[tuple[Look, Look]]:
        """Latest first."""
        return list(pairwise(self._looks))[::-1]

    def _watch(self) -> None:
        while not self._ends.wait(LOOK_SECONDS):
            self._look()

    def _look(self) -> None:
        status: dict[str, Any] = self._torpor.status()
        cu = status.get("currentCU")
        at_s = time.monotonic() - self._began
        self._looks.append(Look(at_s, None if cu is None else float(cu), int(status["epoch"])))
