"""The agents of this machine: started ahead of need, told about, ended, and known to be gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Collection, Coroutine
from decimal import Decimal
from pathlib import Path
from typing import Any

from torpor_api.failures import NotFenced, NotFound
from torpor_api.messages import AgentInfo
from torpor_cli.local.limits import Limits
from torpor_cli.local.nursery import Nursery
from torpor_cli.local.pool import AgentFacts, plan_pool, refill_delay_s
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.processes import Child, Children
from torpor_cli.local.sockets import is_listening
from torpor_cli.local.state_folder import COMPUTE_ID_CHARACTERS, StateFolder

log = logging.getLogger(__name__)

READY_SECONDS_MAX = 90.0
"""An agent that doesn't listen by then is ended and another one started. It takes half a second on
an idle machine if it is not forked; on one that is starved, a start that is given up is one more
that has to be made."""

STOP_SECONDS_MAX = 10.0
"""What an agent has for its own end after SIGTERM; a clean stop of Postgres takes 10 ms."""

RETRY_SECONDS_MIN = 0.1
RETRY_SECONDS_MAX = 5.0
"""Between two starts while agents die before they are ready, doubling: no hot loop."""

_POLL_SECONDS = 0.02

CORES = len(os.sched_getaffinity(0))
"""That we may use."""


class Agent:
    """One agent process; listed once it listens."""

    def __init__(self, info: AgentInfo, child: Child) -> None:
        self.info = info
        self.child = child
        self.was_claimed = False
        self.is_ready = False
        self.is_ending = False
        self.gone = asyncio.Event()
        self.resizing = asyncio.Lock()


class Agents:
    """Keeps the wished number warm. ``claimed`` asks the store who is bound to a database."""

    def __init__(
        self,
        children: Children,
        nursery: Nursery,
        folder: StateFolder,
        binaries: PostgresBinaries,
        limits: Limits,
        proxy_user: str,
        claimed: Callable[[], set[str]],
        tell: Callable[[AgentInfo], None],
    ) -> None:
        self._children = children
        self._nursery = nursery
        self._folder = folder
        self._binaries = binaries
        self._limits = limits
        self._proxy_user = proxy_user
        self._claimed_in_store = claimed
        self._claimed_by_word: frozenset[str] = frozenset()
        self._tell = tell
        self._agents: dict[str, Agent] = {}
        self._size = 0
        self._retry_s = RETRY_SECONDS_MIN
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._timer: asyncio.TimerHandle | None = None

    def set_size(self, size: int, claimed: frozenset[str] | None = None) -> None:
        """How many shall be warm; ``claimed`` is the autoscaler's word on who is not.

        At once where none is warm, for somebody may wait; else more are started when those who
        wake just now have had the cores."""
        if claimed is not None:
            self._claimed_by_word = claimed
            self._mark(claimed)
        is_lacking = size > self._size and not self.warm_count
        self._size = size
        if is_lacking:
            self._reconcile()
        else:
            self.reconcile_soon()

    def reconcile_soon(self, claimed: str | None = None) -> None:
        """Start what is missing and end what is too many, once for all changes until then."""
        # A claim may be over again before then, and its agent is used up all the same.
        if claimed is not None and claimed in self._agents:
            self._agents[claimed].was_claimed = True
        if not self._is_closing:
            self._reconcile_in(refill_delay_s(self.warm_count))

    def _reconcile_in(self, delay_s: float) -> None:
        """At the latest."""
        loop = asyncio.get_running_loop()
        if self._timer is not None:
            if self._timer.when() <= loop.time() + delay_s:
                return
            self._timer.cancel()
        self._timer = loop.call_later(delay_s, self._reconcile)

    def _reconcile(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._is_closing:
            return
        # A claim is in the store before the autoscaler's next word, so both count.
        claimed = self._claimed_in_store() | self._claimed_by_word
        self._mark(claimed)
        plan = plan_pool(
            {
                compute: AgentFacts(agent.was_claimed, agent.is_ready)
                for compute, agent in self._agents.items()
                if not agent.is_ending
            },
            claimed,
            self._size,
            CORES,
        )
        for compute in plan.end:
            self._agents[compute].is_ending = True
            self._run(self._children.end(self._agents[compute].child, grace_s=STOP_SECONDS_MAX))
        if plan.start and not self._nursery.is_prepared():
            self._reconcile_in(_POLL_SECONDS)
            return
        for _ in range(plan.start):
            self._start()

    def _mark(self, claimed: Collection[str]) -> None:
        """Whoever was claimed once is never warm again."""
        for compute in self._agents.keys() & claimed:
            self._agents[compute].was_claimed = True

    def infos(self) -> tuple[AgentInfo, ...]:
        return tuple(agent.info for agent in self._agents.values() if agent.is_ready)

    def running(self, compute: str) -> AgentInfo | None:
        agent = self._agents.get(compute)
        return None if agent is None else agent.info

    @property
    def warm_count(self) -> int:
        """Agents that listen and serve nobody."""
        return sum(agent.is_ready and not agent.was_claimed for agent in self._agents.values())

    async def resize(self, compute: str, cu: Decimal) -> None:
        """Its :class:`AgentInfo` tells what became of it. Raises NotFound where it has ended."""
        agent = self._agents.get(compute)
        if agent is None:
            raise NotFound(f"compute {compute} has ended")
        # Whoever asks may not wait till the end, but what the kernel does goes on until then.
        await asyncio.shield(self._run(self._resize(agent, cu)))

    async def _resize(self, agent: Agent, cu: Decimal) -> None:
        """One at a time: each writes several files, and knows what stood there before."""
        compute = agent.info.compute
        async with agent.resizing:
            if agent.info.size is None:
                return
            size = await self._limits.resize(compute, agent.info.size, cu)
            if self._agents.get(compute) is agent:
                agent.info = agent.info.model_copy(update={"size": size})
                self._tell(agent.info)

    async def make_gone(self, compute: str) -> None:
        """Kill the agent and what it started, if it still runs. Raises NotFenced."""
        agent = self._agents.get(compute)
        if agent is None:
            return
        agent.is_ending = True
        await self._children.end(agent.child, grace_s=0)
        await agent.gone.wait()
        if not await self._children.kill_orphans():
            raise NotFenced(f"processes of compute {compute} can't be ended")

    async def close(self) -> None:
        """End every agent, the busy ones too; their databases should be stopped before."""
        self._is_closing = True
        agents = list(self._agents.values())
        await asyncio.gather(
            *(self._children.end(a.child, grace_s=STOP_SECONDS_MAX) for a in agents)
        )
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        compute = secrets.token_hex(COMPUTE_ID_CHARACTERS // 2)
        socket = self._folder.agent_socket(compute)
        begun = self._limits.begin(compute)
        options = [
            *("--compute", compute),
            *("--listen", str(socket)),
            *("--run-dir", str(self._folder.compute_directory(compute))),
            *("--postgres", str(self._binaries.directory)),
            *("--postgres-version", self._binaries.major),
            *("--proxy-user", self._proxy_user),
            *begun.options,
        ]
        child = self._nursery.start_agent(f"agent {compute}", options)
        info = AgentInfo(
            compute=compute,
            address=str(socket),
            postgres_version=self._binaries.major,
            size=begun.size,
            why_unlimited=begun.why_unlimited,
        )
        self._agents[compute] = Agent(info, child)
        self._run(self._watch(self._agents[compute]))

    async def _watch(self, agent: Agent) -> None:
        """The life of one agent, from its start until nothing of it is left."""
        if await self._is_limited(agent) and await self._becomes_ready(agent):
            agent.is_ready = True
            self._retry_s = RETRY_SECONDS_MIN
            self._tell(agent.info)
            self.reconcile_soon()  # More may have waited for the cores.
        elif not agent.is_ending:
            await self._children.end(agent.child, grace_s=0)
            await self._pause_before_retry(agent)
        status = await agent.child.ended()
        was_expected = agent.is_ending or self._is_closing
        level = logging.INFO if was_expected else logging.WARNING
        log.log(level, "agent_ended", extra={"compute": agent.info.compute, "status": status})
        await self._bury(agent, status)

    async def _is_limited(self, agent: Agent) -> bool:
        """As far as it is to be, before anybody can have it start a process."""
        if agent.info.size is None:
            return True
        try:
            await self._limits.admit(agent.info.compute, agent.child.pid)
        except OSError as error:
            words = {"compute": agent.info.compute, "reason": str(error)}
            log.error("agent_not_limited", extra=words)
            return False
        return True

    async def _becomes_ready(self, agent: Agent) -> bool:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS_MAX
        while agent.child.is_running and asyncio.get_running_loop().time() < deadline:
            if is_listening(Path(agent.info.address)):
                return True
            await agent.child.ended(_POLL_SECONDS)
        return False

    async def _pause_before_retry(self, agent: Agent) -> None:
        log.error("agent_failed", extra={"compute": agent.info.compute, "retry_s": self._retry_s})
        pause_s, self._retry_s = self._retry_s, min(self._retry_s * 2, RETRY_SECONDS_MAX)
        await asyncio.sleep(pause_s)

    async def _bury(self, agent: Agent, status: int | None) -> None:
        """Say that it is gone only when nothing of its Postgres is left either."""
        while not await self._children.kill_orphans():
            log.error("orphans_stay", extra={"compute": agent.info.compute})
        self._forget_agent(agent.info)
        agent.gone.set()
        if agent.is_ready:
            # As of a container: it did not end well, and the kernel has ended something of it.
            ran_out = status != 0 and self._limits.has_run_out(agent.info.compute)
            told = {"is_gone": True, "ran_out_of_memory": ran_out}
            self._tell(agent.info.model_copy(update=told))
        self._reconcile()
        await self._limits.end(agent.info.compute)

    def _forget_agent(self, info: AgentInfo) -> None:
        del self._agents[info.compute]
        shutil.rmtree(self._folder.compute_directory(info.compute), ignore_errors=True)
        Path(info.address).unlink(missing_ok=True)

    def _run(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        with contextlib.suppress(asyncio.CancelledError):
            if task.exception() is not None:
                log.error("agents_defect", exc_info=task.exception())
