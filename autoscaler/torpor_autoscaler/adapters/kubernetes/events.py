"""What people shall read of a database: events of its resource."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.lifecycle.actions import Tell
from torpor_kube.events import Events
from torpor_kube.kinds import SERVERLESS_DATABASE
from torpor_kube.port import Document

log = logging.getLogger(__name__)

CONTROLLER = "torpor.dev/autoscaler"

ACTION = "Serve"

UNDER_WAY_MAX = 16
"""Where a node dies, each of its databases has something to say, while they all ask the API server
for what matters: the others wait."""

WAITING_MAX = 10_000
"""Of them, 1 KiB each; more are lost, but for their lines in the log."""


class DatabaseEvents:
    """Told beside everything else."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._waiting: deque[tuple[ServerlessDatabase, Tell]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def tell(self, resource: ServerlessDatabase, what: Tell) -> None:
        if len(self._waiting) >= WAITING_MAX:
            full = f"{WAITING_MAX} of them wait"
            fields = {"database": resource.name, "said": what.reason, "reason": full}
            log.warning("event_lost", extra=fields)
            return
        self._waiting.append((resource, what))
        if len(self._under_way) < UNDER_WAY_MAX:
            task = asyncio.create_task(self._tell_all())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _tell_all(self) -> None:
        """One after the other, until none waits."""
        while self._waiting:
            resource, what = self._waiting.popleft()
            await self._events.tell(
                _named(resource), what.reason, what.note, is_warning=what.is_warning
            )


def _named(resource: ServerlessDatabase) -> Document:
    whole = resource.metadata
    return {
        "apiVersion": SERVERLESS_DATABASE.api_version,
        "kind": SERVERLESS_DATABASE.kind,
        "metadata": {"name": whole.name, "namespace": whole.namespace, "uid": whole.uid},
    }
