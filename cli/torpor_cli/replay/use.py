"""How a database was used during a replay, from looks at it once a second. Pure.

What lies between two looks that differ counts by half for either, so the sums are right on average;
what woke it and how long that took the autoscaler knows exactly.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]

ASLEEP: Final = "Suspended"
WAKES: Final = ("resume", "failover")

TRANSITIONS_KEPT: Final = 2000
"""With their chains, some 3 KB each; more are counted only."""


@dataclass(frozen=True, slots=True)
class _Look:
    at_s: float
    cu: float
    """0: it slept."""


@dataclass(slots=True)
class Use:
    """Of one database."""

    awake_s: float = 0.0
    asleep_s: float = 0.0
    cu_s: float = 0.0
    cu_most: float = 0.0
    """The largest size that it had."""
    missed: int = 0
    """Looks that were not answered."""
    transitions: list[Json] = field(default_factory=list)
    """The oldest first."""
    counts: dict[str, int] = field(default_factory=dict)
    """Of transitions that came to something, by kind."""
    phase: str = ""
    epoch: int | None = None
    _epoch_before: int | None = None
    _last: _Look | None = None
    _seen: set[tuple[str, int, str, float]] = field(default_factory=set)

    @property
    def seconds(self) -> float:
        return self.awake_s + self.asleep_s

    @property
    def wakes(self) -> list[Json]:
        return [each for each in self.transitions if each["kind"] in WAKES and not each["failure"]]

    @property
    def wake_count(self) -> int:
        return sum(self.counts.get(kind, 0) for kind in WAKES)

    @property
    def is_told(self) -> bool:
        """The autoscaler tells of a wake when the proxy has told it of the first row, or has not
        for a while; until then the last one may be missing."""
        known = {each["epoch"] for each in self.transitions if each["kind"] != "suspend"}
        return self.epoch in (None, self._epoch_before) or self.epoch in known

    def look(self, at_s: float, row: Json) -> bool:
        """``at_s``: of any clock that only goes forward. Whether something has changed."""
        is_awake = row["phase"] != ASLEEP
        now = _Look(at_s, float(row["cu"]) if is_awake else 0.0)
        if self._last is not None:
            passed_s, looks = at_s - self._last.at_s, (self._last, now)
            self.cu_s += passed_s * sum(each.cu for each in looks) / 2
            awake = passed_s * sum(each.cu > 0 for each in looks) / 2
            self.awake_s += awake
            self.asleep_s += passed_s - awake
        self.cu_most = max(self.cu_most, float(row["cu"]))
        if self._epoch_before is None:
            self._epoch_before = row["epoch"]
        changed = (row["phase"], row["epoch"]) != (self.phase, self.epoch)
        self.phase, self.epoch, self._last = row["phase"], row["epoch"], now
        return changed

    def went(self, transitions: list[Json]) -> None:
        """As the autoscaler tells them, the latest first; those that are known are passed over."""
        for each in reversed(transitions):
            key = (each["kind"], each["epoch"], each["at"], each["total_ms"])
            # Of an autoscaler that has begun anew: it may have been told of before, exactly.
            if key in self._seen or each.get("is_recorded") or each.get("is_unfinished"):
                continue
            self._seen.add(key)
            if not each["failure"]:
                self.counts[each["kind"]] = self.counts.get(each["kind"], 0) + 1
            if len(self.transitions) < TRANSITIONS_KEPT:
                self.transitions.append(each)
