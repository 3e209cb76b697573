"""Samples to percentiles, and one thing against another. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

PERCENTILES = (50, 90, 99)

Summary = dict[str, float]
"""``p50``, ``p90``, ``p99``, ``min``, ``max``, ``mean``."""


def percentile(samples: Sequence[float], percent: float) -> float:
    """The nearest rank: a value that was measured, never one between two."""
    assert samples and 0 < percent <= 100
    ranked = sorted(samples)
    return ranked[math.ceil(percent / 100 * len(ranked)) - 1]


def summary(samples: Sequence[float]) -> Summary:
    """The samples in six numbers."""
    named = {f"p{percent}": percentile(samples, percent) for percent in PERCENTILES}
    return named | {
        "min": min(samples),
        "max": max(samples),
        "mean": sum(samples) / len(samples),
    }


@dataclass(frozen=True, slots=True)
class Part:
    """One comparison: Torpor and its reference, measured alternately in one run."""

    name: str
    unit: str
    torpor: tuple[float, ...]
    reference: tuple[float, ...]
    """Empty where there was nothing to compare with; then there is no ratio."""
    reference_name: str
    goal: str = ""
    """What was aimed at, for a person."""

    def ratio(self) -> Summary:
        """Torpor's percentiles by the reference's: below 1 is better for times, above for rates."""
        if not self.reference:
            return {}
        ours, theirs = summary(self.torpor), summary(self.reference)
        return {name: ours[name] / theirs[name] for name in ("p50", "p90", "p99")}

    def as_json(self) -> dict[str, object]:
        """The shape that every benchmark writes."""
        return {
            "name": self.name,
            "unit": self.unit,
            "torpor": _rounded(summary(self.torpor)),
            "reference": _rounded(summary(self.reference)) if self.reference else {},
            "ratio": _rounded(self.ratio()),
            "n": len(self.torpor),
            "referenceName": self.reference_name,
            "goal": self.goal,
        }


def _rounded(values: Summary) -> Summary:
    """Five significant digits: more were not measured."""
    return {name: float(f"{value:.5g}") for name, value in values.items()}
