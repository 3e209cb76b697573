"""Tells the cluster how many agents shall wait warm and which are claimed, when that changes."""

from __future__ import annotations

import asyncio
import logging

from torpor_api.failures import Failure
from torpor_api.messages import SetWarmPool
from torpor_autoscaler.core.warm_pool import WarmPool
from torpor_autoscaler.ports import Cluster

log = logging.getLogger(__name__)

ANSWER_S_MAX = 10.0
RETRY_S = 1.0
"""Before the same word is said again to a cluster that did not answer."""


class PoolWord:
    """At most one word under way; changes meanwhile go into the next one."""

    def __init__(self, pool: WarmPool, cluster: Cluster) -> None:
        self._pool = pool
        self._cluster = cluster
        self._said_revision: int | None = None
        self._task: asyncio.Task[None] | None = None

    def say_if_changed(self) -> None:
        if self._task is None and self._said_revision != self._pool.revision:
            self._task = asyncio.create_task(self._say())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _say(self) -> None:
        while self._said_revision != self._pool.revision:
            revision = self._pool.revision
            word = SetWarmPool(size=self._pool.size_wanted, claimed=self._pool.claimed)
            try:
                await self._cluster.ask(word, timeout_s=ANSWER_S_MAX)
                self._said_revision = revision
            except Failure as failure:
                log.warning("warm_pool_untold", extra={"reason": failure.message})
                await asyncio.sleep(RETRY_S)
        self._task = None
