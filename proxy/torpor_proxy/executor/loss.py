"""A session whose backend is gone: it goes on without, or its client is told and it ends."""

from __future__ import annotations

from typing import Protocol

from torpor_proxy.core import failover, wire
from torpor_proxy.core.exchange import Exchange
from torpor_proxy.core.failover import Aftermath, OwedError
from torpor_proxy.core.refusals import (
    ComputeLost,
    NotificationsMissed,
    ProtocolViolation,
    Refusal,
    TransactionLost,
)
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor.hearing import Hearing
from torpor_proxy.executor.host import Identity
from torpor_proxy.executor.waiting import Waiting
from torpor_proxy.ports import Stream


class OrphanedSession(Protocol):
    """The session."""

    identity: Identity
    known: SessionState
    hearing: Hearing
    waiting: Waiting
    client: Stream

    @property
    def exchange(self) -> Exchange: ...

    @property
    def can_be_let_go(self) -> bool: ...

    def survive(self) -> None:
        """Be parked."""

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""

    def end(self) -> None:
        """Without a word."""


def backend_lost(session: OrphanedSession) -> None:
    """Decide what becomes of it."""
    if session.exchange.is_over or session.waiting.has_ended:
        session.end()
    elif session.can_be_let_go:
        _survive(session)
    elif session.known.fault:
        session.refuse(ProtocolViolation(session.known.fault))
    else:
        _fail_over(session)


def _fail_over(session: OrphanedSession) -> None:
    """Something was in flight, or a transaction open, or it is not known what it had."""
    exchange, endpoint = session.exchange, session.identity.route.endpoint
    in_flight = not exchange.is_idle
    error = TransactionLost(endpoint, in_flight=in_flight).as_report()
    match failover.judge(exchange, is_as_captured=session.known.is_as_captured):
        case Aftermath.ANSWERED:
            exchange.abandoned()
            session.client.write(error + wire.ready_for_query())
            _survive(session)
        case Aftermath.BEGUN:
            exchange.abandoned()
            session.client.write(error)
            session.waiting.answer_next(OwedError(b""))
            _survive(session)
        case Aftermath.OWED:
            exchange.abandoned()
            session.waiting.answer_next(OwedError(error))
            _survive(session)
        case Aftermath.ENDS:
            session.refuse(ComputeLost(endpoint, in_flight=in_flight))


def _survive(session: OrphanedSession) -> None:
    if session.hearing.is_in_doubt:
        session.refuse(NotificationsMissed())
    else:
        session.survive()
