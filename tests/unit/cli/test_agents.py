"""What agents of one machine are limited to: one change at a time, and none where that can't be."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import cast

import pytest

from torpor_api.messages import AgentInfo, AgentSize
from torpor_cli.local.agents import Agents
from torpor_cli.local.limits import Begun
from torpor_cli.local.nursery import Nursery
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.processes import Child, Children
from torpor_cli.local.state_folder import StateFolder

SIZE = AgentSize(cpu_milli=1000, memory_bytes=4 << 30)


class FakeChild:
    """An agent that does nothing but listen."""

    def __init__(self, pid: int, address: Path) -> None:
        self.pid = pid
        self.status = 0
        self.has_ended = asyncio.Event()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(address))
        self.listener.listen()

    @property
    def is_running(self) -> bool:
        return not self.has_ended.is_set()

    def end(self, status: int = 0) -> None:
        self.status = status
        self.listener.close()
        self.has_ended.set()

    async def ended(self, timeout_s: float | None = None) -> int | None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.has_ended.wait(), timeout_s)
        return None if self.is_running else self.status


class FakeChildren:
    """Nothing is left of those that have ended."""

    async def end(self, child: Child, *, grace_s: float) -> None:
        if child.is_running:
            cast(FakeChild, child).end()

    async def kill_orphans(self) -> bool:
        return True


class FakeNursery:
    """Is prepared when the test says so."""

    def __init__(self) -> None:
        self.has_warmed_up = True
        self.started: list[FakeChild] = []

    def is_prepared(self) -> bool:
        return self.has_warmed_up

    def start_agent(self, name: str, options: Sequence[str]) -> Child:
        child = FakeChild(len(self.started), Path(options[options.index("--listen") + 1]))
        self.started.append(child)
        return cast(Child, child)


@dataclass
class FakeLimits:
    """Takes as long for a size as the test likes."""

    size: AgentSize | None = SIZE
    refuses: set[int] = field(default_factory=set)
    """Processes that it does not admit."""
    run_out: bool = False
    admitted: list[int] = field(default_factory=list)
    begun: list[tuple[AgentSize, Decimal]] = field(default_factory=list)
    """Changes: from which size, to which."""
    go_on: asyncio.Queue[None] = field(default_factory=asyncio.Queue)

    def begin(self, compute: str) -> Begun:
        return Begun(self.size, "" if self.size else "for a reason")

    async def admit(self, compute: str, process: int) -> None:
        self.admitted.append(process)
        if process in self.refuses:
            raise PermissionError

    async def resize(self, compute: str, now: AgentSize, cu: Decimal) -> AgentSize:
        self.begun.append((now, cu))
        await self.go_on.get()
        return now.model_copy(update={"cpu_milli": int(cu * 1000)})

    def has_run_out(self, compute: str) -> bool:
        return self.run_out

    async def end(self, compute: str) -> None:
        pass

    def close(self) -> None:
        pass


class Machine:
    def __init__(self, root: Path, limits: FakeLimits) -> None:
        self.limits, self.nursery = limits, FakeNursery()
        self.told: asyncio.Queue[AgentInfo] = asyncio.Queue()
        folder = StateFolder(root)
        folder.agent_socket("c").parent.mkdir(parents=True)
        self.agents = Agents(
            cast(Children, FakeChildren()),
            cast(Nursery, self.nursery),
            folder,
            PostgresBinaries(Path(), "18"),
            limits,
            "torpor",
            set,
            self.told.put_nowait,
        )


@contextlib.asynccontextmanager
async def with_one_warm(
    root: Path, limits: FakeLimits, *, is_prepared: bool = True
) -> AsyncIterator[Machine]:
    machine = Machine(root, limits)
    machine.nursery.has_warmed_up = is_prepared
    machine.agents.set_size(1)
    yield machine
    await machine.agents.close()


async def steps() -> None:
    """All that can go on without being waited for."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_one_size_after_the_other_also_where_nobody_waits_for_the_first(
    tmp_path: Path,
) -> None:
    limits = FakeLimits()
    async with with_one_warm(tmp_path, limits) as machine:
        compute = (await machine.told.get()).compute
        first = asyncio.create_task(machine.agents.resize(compute, Decimal(1) / 2))
        await steps()
        first.cancel()
        second = asyncio.create_task(machine.agents.resize(compute, Decimal(2)))
        await steps()
        half = SIZE.model_copy(update={"cpu_milli": 500})
        assert limits.begun == [(SIZE, Decimal("0.5"))]
        limits.go_on.put_nowait(None)
        assert (await machine.told.get()).size == half
        limits.go_on.put_nowait(None)
        await second
        assert limits.begun[1:] == [(half, Decimal(2))]
        told = machine.agents.running(compute)
        assert told is not None and told.size == half.model_copy(update={"cpu_milli": 2000})


async def test_one_that_is_not_limited_is_not_admitted_to_anything(tmp_path: Path) -> None:
    limits = FakeLimits(size=None)
    async with with_one_warm(tmp_path, limits) as machine:
        told = await machine.told.get()
        assert (told.size, told.why_unlimited) == (None, "for a reason")
        await machine.agents.resize(told.compute, Decimal(2))
        assert not limits.admitted and not limits.begun


async def test_one_that_is_not_admitted_serves_nobody_and_has_a_successor(tmp_path: Path) -> None:
    """It could use what it likes, and has been told that it can't."""
    async with with_one_warm(tmp_path, FakeLimits(refuses={0})) as machine:
        told = await machine.told.get()
        assert len(machine.nursery.started) == 2 and not machine.nursery.started[0].is_running
        assert [one.compute for one in machine.agents.infos()] == [told.compute]


@pytest.mark.parametrize(
    ("status", "has_run_out", "is_told"),
    [
        (-signal.SIGKILL, True, True),
        (1, True, True),  # Its Postgres could not be brought back.
        (-signal.SIGKILL, False, False),
        (0, True, False),  # One backend was ended long ago.
    ],
)
async def test_one_that_ended_for_want_of_memory_is_told_as_such(
    tmp_path: Path, status: int, has_run_out: bool, is_told: bool
) -> None:
    async with with_one_warm(tmp_path, FakeLimits(run_out=has_run_out)) as machine:
        compute = (await machine.told.get()).compute
        (child,) = machine.nursery.started
        child.end(status)
        told = await machine.told.get()
        assert (told.compute, told.is_gone) == (compute, True)
        assert told.ran_out_of_memory == is_told


async def test_agents_are_started_once_the_nursery_can_fork_them(tmp_path: Path) -> None:
    async with with_one_warm(tmp_path, FakeLimits(), is_prepared=False) as machine:
        await asyncio.sleep(0)
        assert not machine.nursery.started
        machine.nursery.has_warmed_up = True
        assert (await machine.told.get()).compute
        assert len(machine.nursery.started) == 1
