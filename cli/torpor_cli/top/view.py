"""What a person looks at, and what there is to see. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from torpor_cli.client import Json

FILTER_CHARACTERS_MAX = 63
"""As long as the longest part of a name."""


class Page(StrEnum):
    """What fills the screen."""

    FLEET = "fleet"
    DATABASE = "database"
    HELP = "help"


class Sort(StrEnum):
    """By which column the fleet is in order."""

    NAME = "name"
    PHASE = "phase"
    CU = "cu"
    SESSIONS = "sessions"
    QUERIES = "q/s"
    CPU = "cpu"
    MEMORY = "memory"
    WAKES = "wakes/h"
    SLOWEST = "slowest"
    LAST = "last wake"


@dataclass(frozen=True, slots=True)
class Action:
    """What a person wants done to a database."""

    verb: str
    """``suspend`` or ``resume``."""
    name: str


@dataclass(frozen=True, slots=True)
class View:
    """Where a person is, and how it came."""

    page: Page = Page.FLEET
    sort: Sort = Sort.PHASE
    is_reversed: bool = False
    filter: str = ""
    is_typing: bool = False
    """The filter."""
    selected: str = ""
    """A database's name; empty: the first."""
    first: int = 0
    """Of the lines that are scrolled out of sight, on a page that is longer than the screen."""
    asks: Action | None = None
    """To be confirmed."""
    says: str = ""
    """How the last action went."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What was told last."""

    rows: Sequence[Json] = ()
    pools: Sequence[Json] = ()
    computes: Sequence[Json] = ()
    opened: Json = field(default_factory=dict)
    """Of the database that is looked at: ``name``, ``transition``, ``sessions``, ``why``."""
    age_s: float = 0.0
    """Of all that; the lines on the screen may be newer."""
    failure: str = ""
    """Why nothing newer is known."""


_PHASES = {"Failed": 0, "Resuming": 1, "Suspending": 2, "Active": 3, "Suspended": 4}
"""Those first that somebody may have to look at."""

_KEYS: dict[Sort, Callable[[Json], float]] = {
    Sort.PHASE: lambda row: -_PHASES.get(row["phase"], 0),
    Sort.CU: lambda row: float(row["cu"]) if row["phase"] != "Suspended" else 0.0,
    Sort.SESSIONS: lambda row: row["sessions"],
    Sort.QUERIES: lambda row: row["queries_per_s"] or 0.0,
    Sort.CPU: lambda row: row["cpu"] or 0.0,
    Sort.MEMORY: lambda row: row["memory_bytes"] or 0,
    Sort.WAKES: lambda row: row["wakes_last_hour"],
    Sort.SLOWEST: lambda row: row["slowest_wake_ms"] or 0.0,
    Sort.LAST: lambda row: row["last_wake_ms"] or 0.0,
}


def in_order(rows: Sequence[Json], view: View) -> list[Json]:
    """Those that fit the filter; the largest first, equal ones and names by name."""
    wanted = view.filter.lower()
    found = [row for row in rows if wanted in row["name"] or wanted in row["phase"].lower()]
    found.sort(key=lambda row: str(row["name"]), reverse=view.is_reversed)
    if view.sort is not Sort.NAME:
        key = _KEYS[view.sort]
        found.sort(key=key, reverse=not view.is_reversed)
    return found


def index_of(rows: Sequence[Json], name: str) -> int:
    """Where it is; 0 where it is not there (any more)."""
    return next((index for index, row in enumerate(rows) if row["name"] == name), 0)
