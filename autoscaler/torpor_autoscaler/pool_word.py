"""Tells the cluster how many agents shall wait warm and which are claimed, when that changes."""

from __future__ import annotations

import asyncio
import logging

from torpor_api.failures import Failure
from torpor_api.messages import SetWarmPool
from torpor_autoscaler.lifecycle.limits import backoff_s
from torpor_autoscaler.lifecycle.warm_pool import Need, WarmPool
from torpor_autoscaler.ports import Cluster

log = logging.getLogger(__name__)

ANSWER_S_MAX = 10.0
RETRY_S_MIN = 1.0
RETRY_S_MAX = 30.0
"""Before the same word is said again to a cluster that did not answer, or has no such pool now."""


class PoolWord:
    """At most one word under way for each pool; changes meanwhile go into the next one."""

    def __init__(self, pool: WarmPool, cluster: Cluster) -> None:
        self._pool = pool
        self._cluster = cluster
        self._seen_revision: int | None = None
        self._said: dict[str, Need] = {}
        self._speaking: dict[str, asyncio.Task[None]] = {}

    def say_if_changed(self) -> None:
        if self._seen_revision == self._pool.revision:
            return
        self._seen_revision = self._pool.revision
        for pool in self._pool.pools:
            if pool not in self._speaking:
                self._speaking[pool] = asyncio.create_task(self._say(pool))

    async def close(self) -> None:
        speaking = list(self._speaking.values())
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)

    async def _say(self, pool: str) -> None:
        tries = 0
        try:
            while (need := self._pool.need(pool)) != self._said.get(pool):
                word = SetWarmPool(size=need.size, claimed=need.claimed, pool=pool)
                try:
                    await self._cluster.ask(word, timeout_s=ANSWER_S_MAX)
                    self._said[pool], tries = need, 0
                except Failure as failure:
                    log.warning("warm_pool_untold", extra={"pool": pool, "reason": failure.message})
                    tries += 1
                    await asyncio.sleep(backoff_s(tries, RETRY_S_MIN, RETRY_S_MAX))
        except Exception:
            log.exception("pool_word_defect", extra={"pool": pool})
        finally:
            del self._speaking[pool]  # The next change has it said again, whatever ended this.
