"""Sessions as people and the autoscaler are told of them."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence

from torpor_api.messages import SessionInfo, SessionList, SessionReport, SessionStanding
from torpor_proxy.executor.host import State
from torpor_proxy.executor.session import Session

REASONS_MAX = 3
"""Told to who asked for a suspend or a switchover."""


def reasons_of(sessions: Sequence[Session]) -> str:
    """Why they can't be parked, in words, of the first few."""
    return "; ".join(
        f"session {each.identity.number} of {each.route.user} {each.reason}"
        for each in sessions[:REASONS_MAX]
    )


def report_of(session: Session, now: float) -> SessionReport | None:
    """Why it keeps its database awake, or None where it does not."""
    if not session.is_busy and not session.is_pinned:
        return None
    return SessionReport(
        session=session.identity.number,
        user=session.identity.route.user,
        application=session.known.application,
        client=session.identity.client,
        reason=session.reason,
        since_s=max(0.0, now - session.last_used),
    )


def info_of(session: Session, now: float) -> SessionInfo:
    """One line of ``torpor sessions``."""
    standing = _standing(session)
    is_at_rest = standing in (SessionStanding.PARKED, SessionStanding.ATTACHED)
    key = session.identity.key
    backend = session.backend
    return SessionInfo(
        session=session.identity.number,
        user=session.identity.route.user,
        dbname=session.identity.route.database,
        application=session.known.application,
        client=session.identity.client,
        state=standing,
        since_s=max(0.0, now - session.since),
        reason="" if is_at_rest and not session.is_busy else session.reason,
        process_id=key[0] if key else 0,
        is_captured=session.is_captured,
        backend_process_id=backend.process_id if backend else 0,
        database=session.identity.route.endpoint,
    )


def list_of(sessions: Iterable[Session], now: float, limit: int) -> SessionList:
    """Those that keep their database awake first, then by number."""
    every = list(sessions)
    first = heapq.nsmallest(
        limit,
        every,
        key=lambda each: (not each.is_pinned, not each.is_busy, each.identity.number),
    )
    return SessionList(sessions=tuple(info_of(each, now) for each in first), total=len(every))


def _standing(session: Session) -> SessionStanding:
    match session.state:
        case State.PARKED | State.ENDED:
            return SessionStanding.PARKED
        case State.WAITING:
            return SessionStanding.WAITING
        case State.ATTACHED | State.CAPTURING:
            return SessionStanding.PINNED if session.is_pinned else SessionStanding.ATTACHED
