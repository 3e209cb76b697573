"""Conditions of a resource, those of the operator beside those of others. Pure.

``lastTransitionTime`` changes with ``status`` only, and nothing that is as it was is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torpor_api.brief import in_one_line


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is so, or not so, and why."""

    type: str
    is_true: bool
    reason: str
    message: str = ""


def as_conditions(
    findings: Iterable[Finding], observed: Iterable[dict[str, Any]], generation: int, now: str
) -> list[dict[str, Any]]:
    """As they are to be applied; ``now`` is a time of the API, like 2027-01-01T00:00:00Z."""
    known = {condition["type"]: condition for condition in observed}
    return [_condition(finding, known.get(finding.type), generation, now) for finding in findings]


def _condition(
    finding: Finding, known: dict[str, Any] | None, generation: int, now: str
) -> dict[str, Any]:
    status = "True" if finding.is_true else "False"
    is_as_before = known is not None and known.get("status") == status
    return {
        "type": finding.type,
        "status": status,
        "reason": finding.reason,
        "message": in_one_line(finding.message),
        "observedGeneration": generation,
        "lastTransitionTime": known["lastTransitionTime"] if known and is_as_before else now,
    }


def are_known(wanted: Iterable[dict[str, Any]], observed: Iterable[dict[str, Any]]) -> bool:
    """Whether the resource says all of this already."""
    known = {condition["type"]: condition for condition in observed}
    return all(known.get(condition["type"]) == condition for condition in wanted)
