"""Whether a Postgres that died is started again. Pure."""

from __future__ import annotations

from collections.abc import Sequence

RESTARTS_MAX = 3
WINDOW_SECONDS = 60.0
"""A Postgres that dies more often than this will not get better by another start."""


def may_restart(lost_at_s: Sequence[float], now_s: float) -> bool:
    """``lost_at_s``: when it died, this time included."""
    return sum(at > now_s - WINDOW_SECONDS for at in lost_at_s) <= RESTARTS_MAX
