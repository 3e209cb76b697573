"""A recorded trace: JSON lines, one event a line, gzipped where the name ends in ``.gz``.

    {"torporTrace": 1, "name": "shop, Tuesday", "seconds": 600}
    {"db": "shop", "cu": 0.25, "sessions": 4, "linger": 600, "queries": 12}
    {"db": "shop", "at": 12.25, "took": 0.004}
    {"db": "shop", "at": 13.0, "knock": true}

The first line is the trace's. A line about a database (optional) says how large it is while awake,
how many clients it has, for how many seconds they stay connected after a query (left out: for ever)
and how many queries it had in all (left out: one a use). An event is a use, which took so many
seconds: a query, or several with hardly a pause between; or it is a knock: an attempt to log in
that came to nothing. ``at``: seconds since the trace began, in any order.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
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

SECONDS_MIN: Final = 1.0
"""Of a trace: shorter gaps are none."""

QUERIES_MAX: Final = 10**15
"""Of a database: what a float tells apart."""

Json = dict[str, Any]


@dataclass(slots=True)
class Recorded:
    """Of one database."""

    name: str
    cu: float = CU_MIN
    sessions: int = 1
    linger_s: float = inf
    uses: list[tuple[float, float]] = field(default_factory=list)
    """As (begin, length)."""
    queries: int = 0
    """0: one a use."""
    knocks: list[float] = field(default_factory=list)

    def life(self, duration_s: float) -> Life:
        """As policies see it."""
        life = of_uses(sorted(self.uses), duration_s, self.queries or len(self.uses))
        life.cu, life.sessions, life.linger_s = self.cu, self.sessions, self.linger_s
        life.knocks = sorted(self.knocks)
        return life

    def excerpt(self, begin_s: float, end_s: float, faster: float = 1.0) -> Recorded:
        """Of that time alone, so many times as fast: pauses, uses and lingering alike."""
        uses = [
            ((max(at, begin_s) - begin_s) / faster, (min(end, end_s) - max(at, begin_s)) / faster)
            for at, end in ((at, at + took_s) for at, took_s in self.uses)
            if at < end_s and end >= begin_s
        ]
        knocks = [(at - begin_s) / faster for at in self.knocks if begin_s <= at < end_s]
        queries = round(self.queries * len(uses) / max(len(self.uses), 1))
        linger_s = self.linger_s / faster
        return replace(self, linger_s=linger_s, uses=uses, queries=queries, knocks=knocks)

    def lines(self) -> Iterator[Json]:
        """As a file has it."""
        about: Json = {"db": self.name, "cu": self.cu, "sessions": self.sessions}
        about |= {} if self.linger_s == inf else {"linger": self.linger_s}
        yield about | ({"queries": self.queries} if self.queries else {})
        for at, took_s in self.uses:
            yield {"db": self.name, "at": round(at, 6), "took": round(took_s, 6)}
        for at in self.knocks:
            yield {"db": self.name, "at": round(at, 6), "knock": True}


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


def as_recorded(name: str, life: Life, duration_s: float) -> Recorded:
    """A life as it would have been recorded, each use as one query: no policy sees a difference."""
    found = moments(life, duration_s)
    uses = [(at, until - at) for at, is_query, until in found if is_query]
    return Recorded(
        name, life.cu, life.sessions, life.linger_s, uses, life.queries, list(life.knocks)
    )


def write(path: Path, name: str, duration_s: float, lines: Iterable[Json]) -> None:
    """Lines of databases and events as they come."""
    write_lines(path, name, duration_s, map(as_line, lines))


def write_lines(path: Path, name: str, duration_s: float, lines: Iterable[str]) -> None:
    """The same, of lines that are text already."""
    with _opened(path, "wt") as file:
        file.write(as_line({"torporTrace": VERSION, "name": name, "seconds": duration_s}))
        file.writelines(lines)


def as_line(content: Json) -> str:
    return json.dumps(content, separators=(",", ":")) + "\n"


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
            if not isinstance(line, dict):
                raise ValueError('is no object, like {"db": "a", "at": 1.5, "took": 0.2}')
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
    _number(line, "seconds", SECONDS_MIN, DAYS_MAX * 86400.0)
    return line


def _take(line: Json, databases: dict[str, Recorded], duration_s: float) -> None:
    name = line["db"]
    database = databases.setdefault(name, Recorded(name))
    if "at" not in line:
        database.cu = _number(line, "cu", CU_MIN, CU_MAX, CU_MIN)
        database.sessions = int(_number(line, "sessions", 1, 10_000, 1))
        database.linger_s = _number(line, "linger", 0.0, inf, inf)
        database.queries = int(_number(line, "queries", 0, QUERIES_MAX, 0))
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
