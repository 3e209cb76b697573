"""Sizes the pools, and tells the cluster how many agents shall wait warm and which are claimed.

It looks after every step of a database that concerns a pool, so at each claim, and every ten
seconds, because time alone changes what is wanted. The cluster hears of it when that is news.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass

from torpor_api.failures import Failure
from torpor_api.messages import SetWarmPool
from torpor_autoscaler.lifecycle.limits import backoff_s
from torpor_autoscaler.lifecycle.warm_pool import Need
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.ports import Cluster

log = logging.getLogger(__name__)

ANSWER_S_MAX = 10.0
RETRY_S_MIN = 1.0
RETRY_S_MAX = 30.0
"""Before the same word is said again to a cluster that did not answer, or has no such pool now."""

LOOK_EVERY_S = 10.0
"""Small beside the minute by which what is foreseen is looked at ahead. A look takes a tenth of a
millisecond and asks nobody."""


@dataclass(frozen=True, slots=True)
class Word:
    """What is to be said of a pool."""

    need: Need
    decision: str
    learned: str

    def request(self, pool: str) -> SetWarmPool:
        return SetWarmPool(
            size=self.need.size,
            claimed=self.need.claimed,
            pool=pool,
            decision=self.decision,
            learned=self.learned,
        )


class PoolWord:
    """At most one word under way for each pool; changes meanwhile go into the next one."""

    def __init__(self, world: World, cluster: Cluster, tick: Callable[[], float]) -> None:
        """``tick``: shows the core the time."""
        self._world = world
        self._cluster = cluster
        self._tick = tick
        self._seen_revision: int | None = None
        self._said: dict[str, Word] = {}
        self._speaking: dict[str, asyncio.Task[None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """The cluster has told what there is: look, and go on looking."""
        self.look()
        self._timer = asyncio.get_running_loop().call_later(LOOK_EVERY_S, self.begin)

    def stepped(self) -> None:
        """A database has taken a step."""
        if self._seen_revision != self._world.pool.revision:
            self.look()

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        speaking = list(self._speaking.values())
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)

    def look(self) -> None:
        """Size each pool for this moment, and say what is news."""
        world = self._world
        self._tick()
        for pool, choice in world.stocks.size(world.pool, world.now, world.wall_s):
            fields = {"pool": pool, "size": choice.size, "reason": choice.decision.line}
            log.info("warm_pool_sized", extra=fields)
        self._seen_revision = world.pool.revision
        for pool in world.pool.pools:
            if pool not in self._speaking and self._word(pool) != self._said.get(pool):
                self._speaking[pool] = asyncio.create_task(self._say(pool))

    def _word(self, pool: str) -> Word:
        stock = self._world.stocks.of(pool)
        return Word(self._world.pool.need(pool), stock.decision, stock.learned)

    async def _say(self, pool: str) -> None:
        tries = 0
        try:
            while (word := self._word(pool)) != self._said.get(pool):
                try:
                    await self._cluster.ask(word.request(pool), timeout_s=ANSWER_S_MAX)
                    self._said[pool], tries = word, 0
                except Failure as failure:
                    log.warning("warm_pool_untold", extra={"pool": pool, "reason": failure.message})
                    tries += 1
                    await asyncio.sleep(backoff_s(tries, RETRY_S_MIN, RETRY_S_MAX))
        except Exception:
            log.exception("pool_word_defect", extra={"pool": pool})
        finally:
            del self._speaking[pool]  # The next change has it said again, whatever ended this.
