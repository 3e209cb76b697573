"""Lines of several sources as one log, in the order of their times. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

_STAMP = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)[ T](?P<time>\d\d:\d\d:\d\d(?:[.,]\d{1,9})?)"
    r"(?P<zone>Z|[+-]\d\d:?\d\d| (?:UTC|GMT)\b)?"
)

STAMP_AT_MOST = 80
"""Characters of a line's head in which its time stands: Postgres's lines begin with it, and those
of components have it as their first field."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a log."""

    at: float
    """Seconds since 1970; of a line without a time, those of the one before it."""
    source: str
    text: str


def time_of(text: str) -> float | None:
    """Seconds since 1970. Without a zone, or with the name of one, a time is this machine's."""
    found = _STAMP.search(text[:STAMP_AT_MOST])
    if found is None:
        return None
    fraction = found["time"].replace(",", ".")
    zone = (found["zone"] or "").strip().replace("Z", "+00:00")
    try:
        at = datetime.fromisoformat(f"{found['day']} {fraction[:15]}")
        if zone in ("UTC", "GMT"):
            return at.replace(tzinfo=UTC).timestamp()
        return datetime.fromisoformat(f"{at.isoformat()}{zone}").timestamp()
    except ValueError:
        return None


Told = tuple[float | None, str]
"""A line, with its time where whoever kept it knows that; else it stands in the line."""


def timed(source: str, told: Iterable[Told], before: float = 0.0) -> list[Line]:
    """``before``: the time of the source's last line, for one that goes on over several lines."""
    lines, at = list[Line](), before
    for known_at, text in told:
        at = known_at or time_of(text) or at
        lines.append(Line(at, source, text))
    return lines


def merged(each: Iterable[Iterable[Line]], since: float = 0.0) -> list[Line]:
    """By time; lines of one source stay in their order."""
    every = [line for lines in each for line in lines if line.at >= since]
    return sorted(every, key=lambda line: line.at)
