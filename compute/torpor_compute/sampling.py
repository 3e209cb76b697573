"""Once a second, while Postgres runs and somebody watches: what the compute uses and does.

Over the agent's kept connection, so no backend is started for it. A sample that fails is left out:
the next one says the same and more, because totals grow. From the order to stop on nothing is asked
any more; what is being asked just then takes some milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from torpor_api.failures import Failure, NotFound
from torpor_api.messages import ComputeSample, ComputeUse, Event
from torpor_compute.core.claim import Claim
from torpor_compute.core.lifecycle import State
from torpor_compute.core.working_set import WorkingSet
from torpor_compute.ports import Postgres, SampleSql, Serving, Sql
from torpor_compute.tasks import Tasks

log = logging.getLogger(__name__)

T = TypeVar("T")

SAMPLE_SECONDS = 1.0

Became = Callable[[State, Claim | None, Serving | None], None]
"""Hears of each state of an agent."""


class Sampling:
    """Hears of each state of the agent and of each new watcher."""

    def __init__(
        self,
        postgres: Postgres,
        tell: Callable[[Event], None],
        is_watched: Callable[[], bool],
        container: Callable[[], ComputeUse] | None = None,
        every_s: float = SAMPLE_SECONDS,
        may_look: Callable[[], bool] = lambda: True,
    ) -> None:
        """``container``: what this compute's own one uses; None: it shares one with others.

        ``may_look``: False while pages are brought back, which would all seem to be in use.
        """
        self._use = postgres.use if container is None else container
        self._tell = tell
        self._is_watched = is_watched
        self._every_s = every_s
        self._may_look = may_look
        self._tasks = Tasks()
        self._claim: Claim | None = None
        self._sql: Sql | None = None
        """Of the Postgres that runs."""
        self._is_ending = False
        self._stirred = asyncio.Event()
        self._rounds: asyncio.Task[None] | None = None

    def became(self, state: State, claim: Claim | None, serving: Serving | None) -> None:
        self._claim = claim
        self._sql = serving.sql if serving is not None and state is State.RUNNING else None
        self._stir()

    def watched(self) -> None:
        """Somebody new watches."""
        self._stir()

    async def end(self) -> None:
        """A sample under way is the last."""
        self._is_ending = True
        self._stir()
        await self._tasks.end(self._every_s)

    def _stir(self) -> None:
        self._stirred.set()
        if self._is_wanted and (self._rounds is None or self._rounds.done()):
            self._rounds = self._tasks.run(self._go_on())

    @property
    def _is_wanted(self) -> bool:
        return self._sql is not None and not self._is_ending and self._is_watched()

    async def _go_on(self) -> None:
        """A first client has the processor before the first sample."""
        sampled: Sql | None = None
        while self._is_wanted:
            if await self._is_stirred():
                continue
            sql, claim = self._sql, self._claim
            assert sql is not None and claim is not None
            if sql is not sampled:
                sampled, samples = sql, _Samples(sql.samples, self._use, self._may_look)
            sample = await samples.take(claim)
            if self._sql is sql:
                self._tell(sample)

    async def _is_stirred(self) -> bool:
        """Before it is time for a sample."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._every_s):
                await self._stirred.wait()
        is_stirred = self._stirred.is_set()
        self._stirred.clear()
        return is_stirred


class _Samples:
    """Of one start of Postgres."""

    def __init__(
        self, sql: SampleSql, use: Callable[[], ComputeUse], may_look: Callable[[], bool]
    ) -> None:
        self._sql = sql
        self._use = use
        self._may_look = may_look
        self._clock = asyncio.get_running_loop().time
        self._working_set: WorkingSet | None = None
        self._has_looked_for_buffers = False

    async def take(self, claim: Claim) -> ComputeSample:
        use = self._use()
        at_s = self._clock()
        postgres = await _answered(self._sql.use())
        if self._may_look():
            await _answered(self._look())
        known = self._working_set
        return ComputeSample(
            database=claim.database,
            epoch=claim.epoch,
            at_s=at_s,
            use=use,
            postgres=postgres,
            shared_buffers_bytes=None if known is None else known.buffers.bytes,
            working_set_bytes=None if known is None else known.bytes_by_window(),
        )

    async def _look(self) -> None:
        if not self._has_looked_for_buffers:
            buffers = await self._sql.shared_buffers()
            self._has_looked_for_buffers = True
            self._working_set = None if buffers is None else WorkingSet(buffers)
        known = self._working_set
        if known is not None and known.is_due(self._clock()):
            try:
                pages = await self._sql.followed_pages(known.buffers.one_in)
            except NotFound:
                self._working_set, self._has_looked_for_buffers = None, False
                raise
            known.looked(pages, self._clock())


async def _answered(question: Awaitable[T]) -> T | None:
    try:
        return await question
    except Failure as failure:
        log.debug("not_sampled", extra={"reason": failure.message})
        return None
