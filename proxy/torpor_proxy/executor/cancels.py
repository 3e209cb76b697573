"""Cancel requests: most are for a session of this proxy, some for one of another.

Behind a Service a client's CancelRequest is a connection like any other, and goes wherever that
sends it. The proxies know nothing of each other: the autoscaler asks them all. Whoever sends keys
that nobody knows is no client, so few of them are asked about at a time.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from torpor_api.failures import Failure
from torpor_proxy.core.startup import CancelRequest
from torpor_proxy.ports import Fleet

log = logging.getLogger(__name__)

ASKED_AT_ONCE = 16
"""Keys of others that are asked about at a time; each takes some milliseconds. The rest is dropped,
as a Postgres drops the connections that it has no room for."""

ANSWER_SECONDS_MAX = 6.0
"""The autoscaler gives the proxies a second less."""


class Cancels:
    """Of one proxy."""

    def __init__(self, cancel_here: Callable[[int, bytes], Awaitable[bool]], fleet: Fleet) -> None:
        """``cancel_here``: whether the key is that of a session of this proxy."""
        self._cancel_here = cancel_here
        self._fleet = fleet
        self._asked = 0

    async def carry_out(self, request: CancelRequest) -> None:
        """Ends once the signal is sent, or nothing will come of it."""
        if await self._cancel_here(request.process_id, request.secret):
            return
        if self._asked >= ASKED_AT_ONCE:
            log.warning("cancel_dropped", extra={"asked_at_once_max": ASKED_AT_ONCE})
            return
        self._asked += 1
        try:
            await self._fleet.cancel(
                request.process_id, request.secret, timeout_s=ANSWER_SECONDS_MAX
            )
        except Failure as failure:
            log.info("cancel_not_passed_on", extra={"reason": failure.message})
        finally:
            self._asked -= 1
