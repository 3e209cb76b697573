"""What a scenario is: databases, crowds of clients with a course each, and objectives. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from load.course import Course, asks, length_s, repeated, stretched

DATABASES_MAX = 500
"""Each is 40 MB on the disk, and all may be awake at once on one machine."""

CLIENTS_MAX = 20_000
"""What one proxy holds."""

FACTOR_MAX = CLIENTS_MAX
"""With it one client of a database is as many as there may be."""

SECONDS_MIN, SECONDS_MAX = 10.0, 86_400.0
"""Of each side."""


class Part(StrEnum):
    """What a client does. Each is a class in ``load/parts.py``."""

    HELD = "held"
    """One session from beginning to end, with state that must not change."""
    FRESH = "fresh"
    """A session for each question."""
    SCANNER = "scanner"
    """Bad logins and probes."""
    TPCB = "tpcb"
    """pgbench's transaction, in a held session."""
    LISTENER = "listener"
    """LISTEN in a held session; says nothing more."""
    NOTIFIER = "notifier"
    """NOTIFY in a held session."""


class On(StrEnum):
    """Which databases a crowd is of."""

    ALL = "all"
    FIRST = "the first"
    OTHERS = "all but the first"


class Measure(StrEnum):
    """What an objective is about; ``judge.py`` has how each is found."""

    HELD_ERRORS = "errors in held sessions"
    ERRORS = "errors of clients that may enter"
    WAKE_P99 = "first query after a wake, p99"
    AWAKE_P99 = "query of an awake database, p99"
    FAIRNESS = "fairness among databases (Jain's index)"
    ANSWERED = "questions answered in time"
    PER_SECOND = "answers a second, of all that were asked at once"
    COST = "CU-seconds"
    WAKES = "wakes"
    WAKES_EACH = "wakes of each database, on average"
    SCANNED_WAKES = "wakes of scanned databases"
    NEEDLESS_WAKES = "wakes in gaps shorter than the idle timeout"
    REFUSED = "strangers that were let in"
    MISHEARD = "notifications lost, twice or out of order"
    UNBALANCED = "TPC-B transactions lost or half done"


@dataclass(frozen=True, slots=True)
class Objective:
    """A measure and its limit."""

    measure: Measure
    limit: float
    of: Literal["count", "ratio"] = "count"
    """``ratio``: to the same load on the always-on Postgres in the same run."""
    is_least: bool = False
    """The limit is the least that will do, else the most."""
    why: str = ""
    """For a person who looks at one that was missed."""


@dataclass(frozen=True, slots=True)
class Crowd:
    """Clients that do the same."""

    part: Part
    clients: int
    """Of each database."""
    course: Course
    on: On = On.ALL


@dataclass(frozen=True, slots=True)
class Seat:
    """One client: what it does, and with which database."""

    number: int
    part: Part
    database: int
    course: Course
    shift_s: float = 0.0
    """By how much its day is ahead of the first database's."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """The same for Torpor and for the always-on Postgres."""

    name: str
    question: str
    """That it answers."""
    databases: int
    crowds: tuple[Crowd, ...]
    seconds: float
    """Of each side, where nobody says otherwise."""
    objectives: tuple[Objective, ...]
    idle_timeout_s: float = 2.0
    warm: int = 4
    """Agents that wait at least."""
    wake_timeout_s: float = 60.0
    """How long a proxy that is started for it lets a client wait, before it says why. A minute is
    the proxy's own default."""
    grows: Literal["databases", "clients"] = "databases"
    """What a factor multiplies."""
    longer_by: Literal["repeating", "stretching"] = "repeating"
    """How it is longer than its courses are."""
    zones: int = 1
    """Databases whose days begin at different times, evenly spread."""
    driver: Literal["locust", "asyncpg"] = "locust"
    """Who makes the load; asyncpg doesn't work under gevent, so it has processes of its own."""

    def sized(self, factor: float = 1.0, seconds: float | None = None) -> Scenario:
        """The same with more or less. Raises ValueError where that is out of bounds."""
        chosen = self.seconds if seconds is None else seconds
        if not SECONDS_MIN <= chosen <= SECONDS_MAX:
            allowed = f"{SECONDS_MIN / 60:.2g} to {SECONDS_MAX / 60:g}"
            raise ValueError(f"{chosen / 60:g} minutes: allowed is {allowed} of each side")
        if not 0 < factor <= FACTOR_MAX:
            raise ValueError(f"a factor of {factor:g}: allowed is more than 0, up to {FACTOR_MAX}")
        lengthen = repeated if self.longer_by == "repeating" else stretched
        more = factor if self.grows == "clients" else 1.0
        crowds = tuple(
            replace(
                crowd,
                clients=max(1, round(crowd.clients * more)),
                course=lengthen(crowd.course, chosen),
            )
            for crowd in self.crowds
        )
        databases = max(1, round(self.databases * (factor / more)))
        sized = replace(self, databases=databases, crowds=crowds, seconds=_longest_s(crowds))
        if databases > DATABASES_MAX:
            raise ValueError(f"{databases} databases: allowed are {DATABASES_MAX}")
        if sized.clients > CLIENTS_MAX:
            raise ValueError(f"{sized.clients} clients: allowed are {CLIENTS_MAX}")
        return sized

    @property
    def clients(self) -> int:
        """Of all crowds together."""
        return sum(crowd.clients * len(_chosen(crowd.on, self.databases)) for crowd in self.crowds)

    def seats(self) -> list[Seat]:
        """All clients. Neighbours are of different databases, so that processes share them."""
        found: list[Seat] = []
        for crowd in self.crowds:
            databases = _chosen(crowd.on, self.databases)
            for _ in range(crowd.clients):
                found += [
                    Seat(
                        len(found) + at, crowd.part, database, crowd.course, self._shift_s(database)
                    )
                    for at, database in enumerate(databases)
                ]
        return found

    @property
    def is_scanned(self) -> bool:
        return any(crowd.part is Part.SCANNER for crowd in self.crowds)

    def scanned(self, names: Sequence[str]) -> frozenset[str]:
        """Those of the databases ``names`` at which strangers knock and nobody else asks. Where
        there are fewer of them than in the scenario, they are shared."""
        knocked, asked = set[str](), set[str]()
        for crowd in self.crowds:
            shared = {names[each % len(names)] for each in _chosen(crowd.on, self.databases)}
            if crowd.part is Part.SCANNER:
                knocked |= shared
            elif asks(crowd.course):
                asked |= shared
        return frozenset(knocked - asked)

    def _shift_s(self, database: int) -> float:
        return self.seconds * (database % self.zones) / self.zones


def database_name(number: int) -> str:
    return f"load-{number:03}"


def _chosen(on: On, databases: int) -> range:
    if on is On.FIRST:
        return range(1)
    return range(1 if on is On.OTHERS else 0, databases)


def _longest_s(crowds: tuple[Crowd, ...]) -> float:
    return max(length_s(crowd.course) for crowd in crowds)
