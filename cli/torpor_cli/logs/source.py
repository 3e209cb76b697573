"""Where the lines about a node come from. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OfPostgres:
    """A database's Postgres, over all computes that it has had."""

    database: str

    def __str__(self) -> str:
        return f"database/{self.database}"


@dataclass(frozen=True, slots=True)
class OfAgent:
    """The agent of one compute."""

    compute: str

    def __str__(self) -> str:
        return f"compute/{self.compute}"


@dataclass(frozen=True, slots=True)
class OfSession:
    """What its proxy says of one session."""

    proxy: str
    number: int

    def __str__(self) -> str:
        return f"session/{self.number}"


Source = OfPostgres | OfAgent | OfSession


def is_about(line: str, key: str, value: str | int) -> bool:
    """Whether a component's line says so of itself, in either form of :mod:`torpor_api.logs`."""
    if not line.startswith("{"):
        return f"{key}={value}" in line.split()
    if f'"{key}"' not in line:  # Most are of others, and are not worth to be parsed.
        return False
    try:
        found = json.loads(line)
    except ValueError:
        return False
    return isinstance(found, dict) and found.get(key) == value
