"""What is seen of the fleet and of the machine meanwhile, once a second, by asking as people do."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from load.machine_use import MachineUse, Use
from torpor_api.failures import Failure
from torpor_api.phases import Phase
from torpor_cli.client import QUICK_SECONDS_MAX, Json
from torpor_cli.place import Place

EVERY_SECONDS = 1.0

TRANSITIONS_EVERY = 5
"""Seconds of this clock between two questions for what has happened; of each database no more than
fifty transitions are kept."""

TRANSITIONS_WITHIN_SECONDS = 120.0
"""They are told by when they began, once they have ended: a wake may take a minute."""

TRANSITIONS_MAX = 1000
"""In one answer."""


@dataclass(frozen=True, slots=True)
class Row:
    """One second."""

    at: float
    """In seconds since 1970."""
    use: Use
    phases: dict[str, int] = field(default_factory=dict)
    """Databases in each; empty where nobody could be asked."""
    awake_cu: float = 0.0
    warm: int = 0
    sessions: int = 0
    attached: int = 0
    parked: int = 0
    waiting: int = 0

    def as_json(self) -> Json:
        return asdict(self)


class Watcher:
    """Asks, until the ``with`` block ends. ``place``: None where nobody can be asked."""

    def __init__(self, place: Place | None, names: frozenset[str]) -> None:
        self.rows: list[Row] = []
        self._place = place
        self._names = names
        self._found: dict[tuple[str, int, str], Json] = {}
        self._stop = threading.Event()
        self._use = MachineUse()
        self.missed = 0
        """Questions that were not answered."""

    @property
    def transitions(self) -> list[Json]:
        return sorted(self._found.values(), key=lambda one: str(one["at"]))

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        thread = threading.Thread(target=self._watch, name="watcher")
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join()
            self._look_for_transitions()

    def _watch(self) -> None:
        due, number = time.monotonic(), 0
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self.rows.append(self._row())
            if number % TRANSITIONS_EVERY == 0:
                self._look_for_transitions()
            due, number = due + EVERY_SECONDS, number + 1

    def _row(self) -> Row:
        use, at = self._use.since_last(), time.time()
        if self._place is None:
            return Row(at, use)
        try:
            databases = [row for row in fleet(self._place) if row["name"] in self._names]
            pools = self._place.ask_autoscaler("AskComputes", timeout_s=QUICK_SECONDS_MAX)["pools"]
        except Failure:
            self.missed += 1
            return Row(at, use)
        sums = {
            key: sum(row[key] for row in databases)
            for key in ("sessions", "attached", "parked", "waiting")
        }
        return Row(
            at,
            use,
            dict(Counter(row["phase"] for row in databases)),
            sum(float(row["cu"]) for row in databases if row["phase"] != Phase.SUSPENDED),
            sum(pool["warm"] for pool in pools),
            **sums,
        )

    def _look_for_transitions(self) -> None:
        if self._place is None:
            return
        try:
            told = self._place.ask_autoscaler(
                "AskTransitions",
                timeout_s=QUICK_SECONDS_MAX,
                limit=TRANSITIONS_MAX,
                within_s=TRANSITIONS_WITHIN_SECONDS,
            )
        except Failure:
            self.missed += 1
            return
        for one in told["transitions"]:
            # A recorded one, of an autoscaler that has begun anew, is known from before by its own.
            if one["database"] in self._names and not one.get("is_recorded"):
                self._found[one["database"], one["epoch"], one["kind"]] = one


def fleet(place: Place) -> list[dict[str, Any]]:
    """Every row there is. Raises Failure."""
    rows: list[dict[str, Any]] = []
    while True:
        after = rows[-1]["name"] if rows else ""
        page = place.ask_autoscaler("AskFleet", timeout_s=QUICK_SECONDS_MAX, after=after)
        rows += page["databases"]
        if not page["has_more"]:
            return rows
