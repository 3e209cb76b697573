"""Rows of a fleet as an autoscaler tells them, for whoever looks at it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from torpor_api import messages as m
from torpor_api.phases import Phase


def awake(name: str, compute: str, **fields: Any) -> m.DatabaseRow:
    return database(name, phase=Phase.ACTIVE, compute=compute, **{"epoch": 3, **fields})


def database(name: str, **fields: Any) -> m.DatabaseRow:
    """Asleep, unless the fields say otherwise."""
    basics: dict[str, Any] = {
        "phase": Phase.SUSPENDED,
        "cu": Decimal(1),
        "max_cu": Decimal(4),
        "epoch": 0,
    }
    return m.DatabaseRow(name=name, **(basics | fields))


def claimed(compute: str, database: str, **fields: Any) -> m.ComputeRow:
    basics = {"state": m.ComputeState.CLAIMED, "epoch": 3, "cu": Decimal(1)}
    return m.ComputeRow(compute=compute, database=database, **{**basics, **fields})


def warm(compute: str, **fields: Any) -> m.ComputeRow:
    return m.ComputeRow(compute=compute, state=m.ComputeState.WARM, **fields)


def pool(name: str = "", **fields: Any) -> m.PoolRow:
    basics = {"wanted": 2, "warm": 1, "claimed": 1, "waiting": 0}
    return m.PoolRow(name=name, **{**basics, **fields})


def session(number: int, database: str = "shop", **fields: Any) -> m.SessionInfo:
    basics: dict[str, Any] = {
        "user": "app",
        "dbname": "app",
        "application": "worker",
        "client": "10.0.0.7:5000",
        "state": m.SessionStanding.PARKED,
        "since_s": 190.0,
        "proxy": "proxy-1",
    }
    return m.SessionInfo(session=number, database=database, **(basics | fields))


PINNED = session(17, state=m.SessionStanding.PINNED, reason="holds advisory lock 42")

ANSWERS: dict[type[m.Message], m.Message] = {
    m.AskFleet: m.FleetPage(
        databases=(
            database("blog", sessions=1, parked=1),
            awake("shop", "c1", sessions=2, attached=1, pinned=1, why="it has a pinned session"),
        ),
        at="2027-01-01T00:00:00Z",
    ),
    m.AskComputes: m.Computes(
        pools=(pool(why="two wakes a minute"),),
        computes=(claimed("c1", "shop"), warm("c2")),
        proxies=("proxy-1",),
    ),
    m.Sessions: m.SessionList(sessions=(PINNED, session(18), session(19, "blog")), total=3),
    m.AskNames: m.Names(names=("blog", "shop")),
    m.AskTransitions: m.TransitionList(transitions=(), since="2027-01-01T00:00:00Z"),
}
"""A pool with two computes, of which one serves ``shop``; ``blog`` sleeps; each has sessions."""
