"""What people shall read of a database: events of its resource."""

from __future__ import annotations

import asyncio
import logging

from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.core.actions import Tell
from torpor_kube.events import Events
from torpor_kube.kinds import SERVERLESS_DATABASE
from torpor_kube.port import Document

log = logging.getLogger(__name__)

CONTROLLER = "torpor.dev/autoscaler"

ACTION = "Serve"

UNDER_WAY_MAX = 16
"""Of them; more are lost, but for their lines in the log: where a node dies, each of its databases
has something to say, while they all ask the API server for what matters."""


class DatabaseEvents:
    """Told beside everything else."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._under_way: set[asyncio.Task[None]] = set()

    async def close(self) -> None:
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def tell(self, resource: ServerlessDatabase, what: Tell) -> None:
        if len(self._under_way) >= UNDER_WAY_MAX:
            log.warning("event_lost", extra={"database": resource.name, "reason": what.reason})
            return
        telling = self._events.tell(
            _named(resource), what.reason, what.note, is_warning=what.is_warning
        )
        task = asyncio.create_task(telling)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _named(resource: ServerlessDatabase) -> Document:
    whole = resource.metadata
    return {
        "apiVersion": SERVERLESS_DATABASE.api_version,
        "kind": SERVERLESS_DATABASE.kind,
        "metadata": {"name": whole.name, "namespace": whole.namespace, "uid": whole.uid},
    }
