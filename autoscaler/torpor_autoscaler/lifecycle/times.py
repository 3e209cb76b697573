"""Times as Kubernetes writes them."""

from __future__ import annotations

from datetime import UTC, datetime


def timestamp(wall_s: float) -> str:
    """``2027-01-01T00:00:00Z``, of seconds since 1970."""
    return datetime.fromtimestamp(wall_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def exact_timestamp(wall_s: float) -> str:
    """``2027-01-01T00:00:00.123Z``: to the millisecond, for what lasts as long as that."""
    at = datetime.fromtimestamp(wall_s, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def seconds(timestamp: str) -> float:
    """Since 1970. Raises ValueError for what is no such time."""
    return datetime.fromisoformat(timestamp).timestamp()
