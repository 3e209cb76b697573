"""What a policy has decided, and by which figure.

Every policy answers with one of these, so that ``why this size`` and ``why this time-out`` are told
in the same words: a metric, looked at over a window, has a value on one side of a threshold, and
something follows.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from math import isfinite
from typing import Final

from torpor_api.quantities import format_duration

_SECONDS_MAX: Final = 120.0
"""That a person reads as such."""


class Loop(Enum):
    """Which policy has decided."""

    AWAKE = "awake"
    """Zero or one: whether a compute serves it."""
    IDLE_TIMEOUT = "idle timeout"
    SIZE = "size"
    WARM_POOL = "warm pool"
    SCHEDULE = "schedule"


@dataclass(frozen=True, slots=True)
class Decision:
    """One figure that decided, and what follows from it."""

    loop: Loop
    metric: str
    """What was measured, as a person would call it: ``load``."""
    value: float
    threshold: float
    """What the value was compared with, in the same unit."""
    unit: str
    """Of both; empty for a number of things."""
    window_s: float
    """Over how many seconds the value was taken; 0: it is of this moment."""
    follows: str
    """What is done because of it: ``grows from 1 to 2 CU``."""

    @property
    def line(self) -> str:
        """``grows from 1 to 2 CU: load 1.4 CPU over 1m, above 0.9 CPU``."""
        return f"{self.follows}: {self.because}"

    @property
    def because(self) -> str:
        """``load 1.4 CPU over 1m, above 0.9 CPU``."""
        over = f" over {format_duration(self.window_s)}" if self.window_s else ""
        value, threshold = _figure(self.value, self.unit), _figure(self.threshold, self.unit)
        side = "above" if self.value > self.threshold else "below"
        return f"{self.metric} {value}{over}, {'at' if value == threshold else side} {threshold}"


def _figure(value: float, unit: str) -> str:
    """Three digits are as many as a person compares: ``0.0123``, ``1.4 CPU``, ``10h3m``."""
    if unit == "s" and isfinite(value) and value > _SECONDS_MAX:
        whole = int(value)
        return format_duration(float(whole - whole % (60 if whole >= 3600 else 1)))
    number = f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{number} {unit}" if unit else number
