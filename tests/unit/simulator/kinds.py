"""Traces of one kind, as a file would have them."""

from __future__ import annotations

from typing import Any

from torpor_simulator.trace_file import Trace, parse


def trace(*, days: int = 1, **kind: Any) -> Trace:
    """Of a single kind; what is not said is as the file's default."""
    return parse(
        {"name": "test", "days": days, "kind": [{"name": "only", "share": 1.0, **kind}]}, "test"
    )
