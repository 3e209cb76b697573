"""Clocks, and times as the API writes them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Seconds of a clock that never goes back."""

    def wall_s(self) -> float:
        """Seconds since 1970."""


def api_time(wall_s: float) -> str:
    """``2027-01-01T00:00:00Z``."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def api_micro_time(wall_s: float) -> str:
    """``2027-01-01T00:00:00.000000Z``, as Leases and Events have it."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
