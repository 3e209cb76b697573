"""One client of a fake proxy, and what is told of it."""

from __future__ import annotations

from dataclasses import dataclass

from support.fakes.agent import FakeAgent
from torpor_api import messages as m


@dataclass(eq=False)
class FakeSession:
    """One client. ``pinned`` is why it can't be parked; ``is_busy`` while a query runs."""

    number: int
    database: str
    is_busy: bool = False
    is_attached: bool = False
    pinned: str = ""
    is_ended: bool = False
    backend: FakeAgent | None = None
    """Whose Postgres it is attached to, where tests have one."""

    @property
    def is_lost(self) -> bool:
        """The Postgres under it has died, or has never been there."""
        return self.backend is not None and self not in self.backend.clients


def has_backend(session: FakeSession) -> bool:
    """Where tests have no Postgres, one that is at work has."""
    return session.is_busy if session.backend is None else not session.is_lost


def detach(session: FakeSession) -> None:
    session.is_attached = False
    if session.backend is not None:
        session.backend.clients.discard(session)
        session.backend = None


def session_info(session: FakeSession) -> m.SessionInfo:
    state = m.SessionStanding.ATTACHED if session.is_attached else m.SessionStanding.PARKED
    return m.SessionInfo(
        session=session.number,
        user="app",
        dbname="app",
        application="worker",
        client="10.0.0.7",
        state=m.SessionStanding.PINNED if session.pinned else state,
        since_s=180.0,
        reason=session.pinned or ("a query is running" if session.is_busy else ""),
        database=session.database,
    )


def report_of(session: FakeSession) -> m.SessionReport:
    return m.SessionReport(
        session=session.number,
        user="app",
        application="worker",
        client="10.0.0.7",
        reason=session.pinned,
        since_s=180.0,
    )
