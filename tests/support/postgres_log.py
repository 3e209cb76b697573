"""Writes logs as Postgres does, for tests of what reads them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping
from typing import Any

COLUMNS = (
    *("timestamp", "user", "dbname", "pid", "connection_from", "session_id", "line_num", "ps"),
    *("session_start", "vxid", "txid", "error_severity", "state_code", "message", "detail"),
    *("hint", "internal_query", "internal_position", "context", "statement", "cursor_position"),
    *("location", "application_name", "backend_type", "leader_pid", "query_id"),
)
"""Of csvlog since Postgres 14, by the names of jsonlog; 13 has no two last ones, 12 no three."""

USUAL = {
    "user": "ann",
    "dbname": "app",
    "session_id": "6a.1",
    "error_severity": "LOG",
    "state_code": "00000",
    "application_name": "shop",
    "backend_type": "client backend",
}


def at(seconds: float, zone: str = "UTC") -> str:
    """The time of a line."""
    minutes, seconds = divmod(seconds, 60)
    return f"2027-01-01 12:{int(minutes):02d}:{seconds:06.3f} {zone}"


def line(seconds: float, message: str, **columns: str) -> dict[str, str]:
    return {**USUAL, "timestamp": at(seconds), "message": message, **columns}


def took(seconds: float, ms: float, what: str, **columns: str) -> dict[str, str]:
    """A line of log_min_duration_statement."""
    return line(seconds, f"duration: {ms:.3f} ms  {what}", **columns)


def failed(seconds: float, sqlstate: str, statement: str, **columns: str) -> dict[str, str]:
    given = {"error_severity": "ERROR", "state_code": sqlstate, "statement": statement}
    return line(seconds, "it failed", **given, **columns)


def as_csv(lines: Iterable[Mapping[str, str]], columns: int = len(COLUMNS)) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([each.get(name, "") for name in COLUMNS[:columns]] for each in lines)
    return text.getvalue()


def as_json(lines: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in lines)
