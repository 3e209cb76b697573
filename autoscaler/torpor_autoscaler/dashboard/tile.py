"""What a tile shows of a database, as the page is told it. Pure.

Values that tremble each second are rounded to what an eye can tell apart: a tile that has not
changed is not sent. What a wake took does not change, and the page alone rounds it: rounded twice,
220.48 ms would be 221 on a tile and 220 in its story.
"""

from __future__ import annotations

import json
from decimal import Decimal

from torpor_api import messages as m

FIELDS = (
    "name",
    "phase",
    "cu",
    "maxCu",
    "sessions",
    "waiting",
    "queriesPerS",
    "wakes",
    "slowestWakeMs",
    "lastWakeMs",
    "lastWakeAt",
    "isReady",
    "wakesKnownSince",
)
"""In the order in which :func:`text_of` has them."""


def text_of(row: m.DatabaseRow) -> str:
    """A JSON array."""
    values = (
        row.name,
        row.phase.value,
        _number(row.cu),
        _number(row.max_cu),
        row.sessions,
        row.waiting,
        _two_digits(row.queries_per_s),
        row.wakes_last_hour,
        row.slowest_wake_ms,
        row.last_wake_ms,
        row.last_wake_at,
        int(row.is_ready),
        row.wakes_known_since,
    )
    return json.dumps(values, separators=(",", ":"))


def _number(value: Decimal) -> float | int:
    return int(value) if value == int(value) else float(value)


def _two_digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.2g}")
