"""A parked session's way back to a backend, or the reason why there is none for it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from torpor_api.failures import Failure
from torpor_proxy.core import parked
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.refusals import (
    CannotWake,
    ComputeLost,
    Refusal,
    Refused,
    RestoreRefused,
    SettingLeftOut,
    StillWaiting,
)
from torpor_proxy.core.restore import LeftOut, RestoreFailed
from torpor_proxy.core.session_state import SessionState
from torpor_proxy.executor import visit
from torpor_proxy.executor.arrival import Arrival
from torpor_proxy.executor.attachment import Attachment
from torpor_proxy.executor.hearing import Hearing
from torpor_proxy.executor.host import Host, Identity
from torpor_proxy.executor.relay import RelayedSession
from torpor_proxy.executor.waiting import Waiting
from torpor_proxy.ports import Stream

log = logging.getLogger(__name__)

ARRIVE_AGAIN_SECONDS = 0.05
"""After a session could not be put back for now."""


class ReturningSession(RelayedSession, Protocol):
    """The session."""

    identity: Identity
    known: SessionState
    hearing: Hearing
    waiting: Waiting
    client: Stream
    attachment: Attachment | None
    task: asyncio.Task[None] | None

    @property
    def host(self) -> Host[Any]: ...

    def attach(self, attachment: Attachment, reported: Pairs, arrival: Arrival) -> None:
        """It is put back; bytes may pass."""

    def refuse(self, refusal: Refusal) -> None:
        """Say why, and end."""


async def come_home(session: ReturningSession) -> None:
    """Until the session is attached, or has ended with the reason."""
    host, name = session.host, session.identity.route.endpoint
    notice = asyncio.get_running_loop().call_later(
        host.settings.notice_after_s, _tell_waiting, session
    )
    try:
        async with asyncio.timeout(host.settings.wake_timeout_s):
            is_attached = False
            while not is_attached:
                is_attached = await _arrive(session)
    except Refused as refused:
        session.refuse(refused.refusal)
    except Failure as failure:
        session.refuse(CannotWake(name, failure))
    except TimeoutError:
        session.refuse(host.too_late())
    except RestoreFailed as failed:
        session.refuse(RestoreRefused(failed.fields))
    except Exception:
        # A defect is that of one session: its client must not wait for ever.
        log.exception("session_defect", extra=session.identity.log_keys)
        session.refuse(ComputeLost(name, in_flight=False))
    finally:
        notice.cancel()
        session.task = None


async def _arrive(session: ReturningSession) -> bool:
    """Once; whether the session is attached. Raises what ends it."""
    arrival = await session.host.arrive(session.identity, session.known.startup_defaults)
    if not session.client.is_open:
        # It was in doubt itself when what has to be done before anybody attaches was done by it.
        visit.hang_up(arrival.backend.stream)
        return True
    # From here on the session's end sees to the backend.
    host = session.host
    attachment = Attachment(
        session, session.known, session.client, arrival.backend, host.tally, host.told_as
    )
    session.attachment = attachment
    try:
        reported, left_out = await _put_back(session, attachment)
    except (*visit.FAILED, RestoreFailed) as error:
        if isinstance(error, RestoreFailed) and not error.is_passing:
            raise
        extra = {**session.identity.log_keys, "reason": str(error)}
        log.warning("attach_failed", extra=extra)
        session.hearing.stay()
        session.attachment = None
        attachment.hang_up()
        # The compute was lost in between, or a timeout was short; nothing of the client has passed.
        await asyncio.sleep(ARRIVE_AGAIN_SECONDS)
        return False
    _tell_left_out(session, left_out)
    session.attach(attachment, reported, arrival)
    return True


async def _put_back(
    session: ReturningSession, attachment: Attachment
) -> tuple[Pairs, dict[bytes, LeftOut]]:
    with_unnamed = not parked.replaces_unnamed(session.waiting.pending)
    mark = session.hearing.return_soon()
    takes = session.hearing.takes
    put_back = await attachment.put_back(takes, mark, with_unnamed=with_unnamed)
    await session.hearing.come_to_mark()
    return put_back


def _tell_waiting(session: ReturningSession) -> None:
    endpoint, reason = session.identity.route.endpoint, session.host.why_not().message
    session.client.write(StillWaiting(endpoint, reason).as_report())


def _tell_left_out(session: ReturningSession, left_out: Mapping[bytes, LeftOut]) -> None:
    """Its value is told nobody: it may be a secret, in letters that an encoding may lack."""
    for name, one in left_out.items():
        if not one.why:
            continue
        setting = name.decode(errors="replace")
        keys = session.identity.log_keys
        extra = {**keys, "setting": setting, "reason": one.why, "sqlstate": one.sqlstate}
        log.warning("setting_left_out", extra=extra)
        session.client.write(SettingLeftOut(setting, one.why).as_report())
