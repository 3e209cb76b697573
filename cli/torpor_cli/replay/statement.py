"""What is replayed: statements of sessions, each at its time. Pure."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from torpor_cli.replay.parameters import Parameters


class LeftOut(StrEnum):
    """Why a statement of the log is not replayed, as people are told."""

    COPY_IN = "COPY … FROM STDIN: its rows are in no log"
    NO_PARAMETERS = "the log has no values for its parameters"
    FETCH = "more rows of a statement that was executed in part"
    FASTPATH = "a call by the fast path, of which the log has no arguments"
    REPLICATION = "a replication command"
    WRITES = "it writes, or may: --only-reads"


@dataclass(slots=True)
class Session:
    """A session of the log; its client connects at its beginning and leaves at its end."""

    number: int
    user: str
    database: str
    application: str
    begin_s: float
    end_s: float | None = None
    """None: the log does not tell."""


@dataclass(frozen=True, slots=True)
class Statement:
    """As a client sent it."""

    session: int
    begin_s: float
    where: str
    """Its line in the log."""
    text: str
    is_simple: bool
    """By a simple query: it may be several statements."""
    name: str = ""
    """Of the prepared statement that it executes; empty: the unnamed one."""
    parameters: Parameters = ()
    took_ms: float | None = None
    """In the log; None: it does not tell."""
    sqlstate: str = ""
    """With which it failed in the log; empty: it did not."""


@dataclass(slots=True)
class Contents:
    """What was found in the files."""

    statements: int = 0
    """That will be replayed."""
    sessions: int = 0
    begin_s: float = 0.0
    end_s: float = 0.0
    """Of the last line."""
    has_ends: bool = False
    """Whether sessions' ends are logged (log_disconnections)."""
    by_database: Counter[str] = field(default_factory=Counter)
    """Statements of each, also of those that are not asked for."""
    by_user: Counter[str] = field(default_factory=Counter)
    writes: Counter[str] = field(default_factory=Counter)
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    cut_off: list[str] = field(default_factory=list)
    """Files whose last line is not whole."""

    @property
    def seconds(self) -> float:
        return self.end_s - self.begin_s
