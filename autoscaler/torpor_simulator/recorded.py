"""A recorded trace: JSON lines, one event a line, gzipped where the name ends in ``.gz``.

    {"torporTrace": 1, "name": "shop, Tuesday", "seconds": 600}
    {"db": "shop", "cu": 0.25, "sessions": 4, "linger": 600}
    {"db": "shop", "at": 12.25, "took": 0.004}
    {"db": "shop", "at": 13.0, "knock": true}

The first line is the trace's. A line about a database (optional, before its events) says how large
it is while awake, how many clients it has and for how many seconds they stay connected after a
query (left out: for ever). An event is a query, which took so many seconds, or a knock: an attempt
to log in that came to nothing. ``at``: seconds since the trace began, in any order.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Any, Final, TextIO

from torpor_api.failures import InvalidRequest
from torpor_simulator.life import CU_MAX, CU_MIN, Life, of_uses
from torpor_simulator.replay import moments
from torpor_simulator.trace_file import DAYS_MAX

VERSION: Final = 1

EVENTS_MAX: Final = 20_000_000
"""They are sorted in memory, some 100 bytes each."""

Json = dict[str, Any]


@dataclass(slots=True)
class Recorded:
    """Of one database."""

    name: str
    cu: float = CU_MIN
    sessions: int = 1
    linger_s: float = inf
    uses: list[tuple[float, float]] = field(default_factory=list)
    """Queries, as (begin, length)."""
    knocks: list[float] = field(default_factory=list)

    def life(self, duration_s: float) -> Life:
        """As policies see it."""
        life = of_uses(sorted(self.uses), duration_s, len(self.uses))
        life.cu, life.sessions, life.linger_s = self.cu, self.sessions, self.linger_s
        life.knocks = sorted(self.knocks)
        return life


@dataclass(frozen=True, slots=True)
class Recording:
    """All databases of a recorded trace, by name."""

    name: str
    duration_s: float
    databases: tuple[Recorded, ...]


def read(path: Path) -> Recording:
    """Raises InvalidRequest with the line that is wrong, and OSError."""
    try:
        with _opened(path, "rt") as file:
            return parse(file, str(path))
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{path}: is no recorded trace: {error}") from None


def lines_of(name: str, life: Life, duration_s: float) -> Iterator[Json]:
    """A life as it would have been recorded, each use as one query: no policy sees a difference."""
    about: Json = {"db": name, "cu": life.cu, "sessions": life.sessions}
    yield about if life.linger_s == inf else {**about, "linger": life.linger_s}
    for at, is_query, until in moments(life, duration_s):
        event: Json = {"db": name, "at": round(at, 6)}
        yield {**event, "took": round(until - at, 6)} if is_query else {**event, "knock": True}


def write(path: Path, name: str, duration_s: float, lines: Iterable[Json]) -> None:
    """Lines of databases and events as they come."""
    with _opened(path, "wt") as file:
        head = {"torporTrace": VERSION, "name": name, "seconds": duration_s}
        for line in (head, *lines):
            file.write(json.dumps(line, separators=(",", ":")) + "\n")


@contextmanager
def _opened(path: Path, mode: str) -> Iterator[TextIO]:
    with (gzip.open if path.suffix == ".gz" else open)(path, mode, encoding="utf-8") as file:
        yield file  # type: ignore[misc]  # In text mode both are.


def parse(lines: Iterable[str], where: str) -> Recording:
    """Of all lines, the trace's first."""
    head: Json | None = None
    databases: dict[str, Recorded] = {}
    for number, text in enumerate(lines, start=1):
        try:
            line = json.loads(text)
            if head is None:
                head = _head(line)
            elif number > EVENTS_MAX:
                raise ValueError(f"more than {EVENTS_MAX} lines: record for a shorter time")
            else:
                _take(line, databases, head["seconds"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            said = f"has no {error}" if isinstance(error, KeyError) else str(error)
            raise InvalidRequest(f"{where}:{number}: {said}") from None
    if head is None:
        raise InvalidRequest(f"{where}: is empty: the first line says torporTrace and seconds")
    ordered = tuple(databases[name] for name in sorted(databases))
    return Recording(str(head.get("name", where)), head["seconds"], ordered)


def _head(line: Json) -> Json:
    if line.get("torporTrace") != VERSION:
        raise ValueError(f'the first line has to say "torporTrace": {VERSION}')
    _number(line, "seconds", 1.0, DAYS_MAX * 86400.0)
    return line


def _take(line: Json, databases: dict[str, Recorded], duration_s: float) -> None:
    name = line["db"]
    database = databases.setdefault(name, Recorded(name))
    if "at" not in line:
        database.cu = _number(line, "cu", CU_MIN, CU_MAX, CU_MIN)
        database.sessions = int(_number(line, "sessions", 1, 10_000, 1))
        database.linger_s = _number(line, "linger", 0.0, inf, inf)
        return
    at = _number(line, "at", 0.0, duration_s)
    if line.get("knock"):
        database.knocks.append(at)
    else:
        database.uses.append((at, _number(line, "took", 0.0, duration_s)))


def _number(line: Json, key: str, low: float, high: float, missing: float | None = None) -> float:
    value = line[key] if missing is None else line.get(key, missing)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{key} {value!r} is not a number from {low:g} to {high:g}")
    return float(value)
