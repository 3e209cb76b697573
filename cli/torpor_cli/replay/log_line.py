"""One line of a Postgres log that has columns, and the clock that its times are of. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

ZONE_STEP_S: Final = 1800.0
"""Offsets of time zones are multiples of it, so what is more is time that has passed."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """What replaying needs of a line of csvlog or jsonlog; what a line does not have is empty."""

    at_s: float
    """When it was written, in seconds by the log's own clock."""
    where: str
    """``FILE:LINE``, as a person finds it."""
    session: str
    user: str = ""
    database: str = ""
    application: str = ""
    backend_type: str = ""
    """``client backend``; empty before Postgres 13."""
    severity: str = "LOG"
    sqlstate: str = "00000"
    message: str = ""
    detail: str = ""
    context: str = ""
    statement: str = ""
    """That was running, of lines that tell it."""


class LogClock:
    """Makes seconds of ``2027-01-01 12:00:00.123 CET``.

    Postgres writes abbreviations, which don't say how far they are from UTC. Replaying needs
    distances only: where the abbreviation changes (a clock that is put back), the time goes on.
    """

    def __init__(self) -> None:
        self._ahead_s: dict[str, float] = {}
        self._last_s: float | None = None

    def seconds(self, text: str) -> float:
        """Raises ValueError."""
        stamp, _, zone = text.rpartition(" ")
        try:
            local_s = datetime.fromisoformat(stamp).replace(tzinfo=UTC).timestamp()
        except ValueError:
            raise ValueError(f"{text[:40]!r} is no time like 2027-01-01 12:00:00.123 UTC") from None
        if zone not in self._ahead_s:
            passed_s = 0.0 if self._last_s is None else local_s - self._last_s
            self._ahead_s[zone] = round(passed_s / ZONE_STEP_S) * ZONE_STEP_S
        self._last_s = local_s - self._ahead_s[zone]
        return self._last_s
