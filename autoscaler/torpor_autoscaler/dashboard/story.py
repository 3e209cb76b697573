"""What a person is told of one database: who is there, why it is awake, how it woke and slept."""

from __future__ import annotations

import asyncio

from pydantic import BaseModel, ConfigDict

from torpor_api import messages as m
from torpor_api.failures import NotFound
from torpor_api.phases import Phase
from torpor_api.transition import Transition
from torpor_autoscaler.dashboard.desk import DatabaseDesk
from torpor_autoscaler.ports import FleetDesk

SESSIONS_MAX = 100
"""Those that keep it awake come first; `torpor sessions` has all of them."""

TRANSITIONS_MAX = 20
"""The latest; `torpor critical-chain` has more."""

DECISIONS_MAX = 30
"""The latest; `torpor decisions` has more."""


class Story(BaseModel):
    """One database, for a page."""

    model_config = ConfigDict(frozen=True)

    row: m.DatabaseRow
    reasons: tuple[str, ...]
    reasons_phase: Phase
    """In which it was when these held: while proxies are asked it may go over into another."""
    sessions: tuple[m.SessionInfo, ...]
    sessions_total: int
    missing: tuple[str, ...]
    """Proxies that did not answer in time."""
    decisions: tuple[m.Decided, ...]
    """The latest first."""
    transitions: tuple[Transition, ...]
    """The latest first."""
    since: str
    """Transitions before that are not kept."""


async def of_database(name: str, desk: DatabaseDesk, fleet: FleetDesk) -> Story:
    """Asks the proxies. Raises NotFound."""
    asked = m.Sessions(name=name, limit=SESSIONS_MAX)
    why, listed = await asyncio.gather(desk.why(name), desk.sessions(asked))
    rows = fleet.fleet(m.AskFleet(names=(name,))).databases
    if not rows:
        raise NotFound(f"no database {name!r}")
    went = await fleet.transitions(m.AskTransitions(database=name, limit=TRANSITIONS_MAX))
    return Story(
        row=rows[0],
        reasons=why.reasons,
        reasons_phase=why.phase,
        sessions=listed.sessions,
        sessions_total=listed.total,
        missing=listed.missing,
        decisions=desk.decisions(name).decisions[: -DECISIONS_MAX - 1 : -1],
        transitions=went.transitions,
        since=went.since,
    )
