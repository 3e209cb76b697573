"""What the proxy does on a session's backend between two words of its client: capture, repair."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol

from torpor_proxy.core.capture import Captured
from torpor_proxy.core.refusals import ComputeLost, Refusal
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor import visit
from torpor_proxy.executor.attachment import Attachment
from torpor_proxy.executor.hearing import Hearing
from torpor_proxy.executor.host import Host, Identity
from torpor_proxy.executor.waiting import Waiting

log = logging.getLogger(__name__)


class VisitedSession(Protocol):
    """The session, whose client's bytes wait meanwhile."""

    identity: Identity
    known: SessionState
    hearing: Hearing
    waiting: Waiting
    task: asyncio.Task[None] | None

    @property
    def host(self) -> Host[Any]: ...

    def is_visited(self) -> bool:
        """False once it has ended meanwhile."""

    def captured(self, found: Captured) -> None:
        """Its backend has answered."""

    def part(self, attachment: Attachment) -> None:
        """Let the backend go."""

    def go_on(self, attachment: Attachment, *, is_repaired: bool = False) -> None:
        """Bytes pass again."""

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""

    def visit_failed(self, error: Exception) -> None:
        """The backend was lost."""


async def capture(session: VisitedSession, attachment: Attachment, *, then_park: bool) -> None:
    """Find out what it would lose; ``then_park``: and let its backend go, if that loses nothing."""
    host = session.host
    catalogs = host.catalogs(session.identity.route.database)
    try:
        found = await attachment.read_state(
            session.identity, catalogs, host.settings.capture_timeout_s, host.cancel
        )
        if not session.is_visited():
            return
        session.captured(found)
        is_free = then_park and not session.known.pins and await session.hearing.leave(attachment)
    except visit.FAILED as error:
        session.visit_failed(error)
        return
    except Exception as defect:
        _end(session, defect)
        return
    if not session.is_visited():
        return
    if is_free:
        session.part(attachment)
    else:
        session.go_on(attachment)


async def repair(session: VisitedSession, attachment: Attachment) -> None:
    """Try again the statements that could not be put back, before the client uses them."""
    try:
        await attachment.repair(bytes(session.waiting.pending or b""))
    except visit.FAILED as error:
        session.visit_failed(error)
        return
    except Exception as defect:
        _end(session, defect)
        return
    finally:
        session.task = None
    if session.is_visited():
        session.go_on(attachment, is_repaired=True)


def _end(session: VisitedSession, defect: Exception) -> None:
    """A defect is that of one session: its client must not wait for ever."""
    log.error("visit_defect", exc_info=defect, extra=session.identity.log_keys)
    session.refuse(ComputeLost(session.identity.route.endpoint, in_flight=False))
