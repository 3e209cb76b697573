"""On one machine: what the kernel lets a compute use is its database's size, and where that can't
be, its status says why."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import stand_ins
from support.scratch import DISK
from support.up import WAIT_SECONDS_MAX, Database, Up, a_database, give_template, running_up, until
from torpor_api import messages as m
from torpor_channel.client import dial
from torpor_channel.peer import Peer
from torpor_cli.client import ask_autoscaler, ask_cluster
from torpor_cli.local.limits import SWITCHED_OFF
from torpor_cli.local.state_folder import StateFolder

GIB = 1 << 30
PERIOD_US = 100_000

HOG = f"""
import sys
sys.stdin.readline()
held = bytearray({GIB + (GIB >> 2)})
held[::4096] = bytes([1]) * len(held[::4096])
print(flush=True)
sys.stdin.readline()
"""
"""A process that has more memory in use than the smallest compute may."""


@pytest.fixture(scope="module")
def limited() -> Iterator[Up]:
    with running_up("--warm", "1", parent=DISK) as up:
        if not up.folder.cgroups.exists():
            pytest.skip(json.loads(up.log_of("up").splitlines()[0])["reason"])
        yield up


@pytest.fixture(scope="module")
def only(limited: Up) -> Database:
    """For all tests: it takes a disk longer to remove one than all else."""
    return limited.database(maxCU=2)


@pytest.fixture
def database(only: Database) -> Database:
    """Awake, and of one unit."""
    only.wake()
    resize(only, "1")
    return only


def sized(database: Database) -> dict[str, Any]:
    """The condition, where there is something to say."""
    found = [one for one in database.status["conditions"] if one["type"] == "Sized"]
    return dict(found[0]) if found else {}


def resize(database: Database, cu: str) -> dict[str, Any]:
    return ask_autoscaler(database.up.folder, "Resize", name=database.name, cu=cu)


def folders(database: Database) -> set[Path]:
    """Of its compute's cgroup."""
    compute = database.status["compute"]
    homes = database.up.folder.cgroups.read_text().splitlines()
    return {Path(home) / compute for home in homes}


def kernel_limits(database: Database) -> tuple[int, int]:
    """Microseconds of a processor in a period, and bytes."""
    cpu = _text(database, "cpu.max", "cpu.cfs_quota_us")
    memory = _text(database, "memory.max", "memory.limit_in_bytes")
    return int(cpu.split()[0]), int(memory)


def _text(database: Database, *names: str) -> str:
    files = [folder / name for folder in folders(database) for name in names]
    return next(file.read_text() for file in files if file.exists())


async def sample_of(database: Database) -> m.ComputeSample:
    """What its agent tells of itself."""
    heard: asyncio.Queue[m.ComputeSample] = asyncio.Queue()

    async def hear(_: Peer, event: m.ComputeSample) -> None:
        heard.put_nowait(event)

    agent = await dial(
        database.up.folder.agent_socket(database.status["compute"]), {m.ComputeSample: hear}
    )
    try:
        await agent.ask(m.WatchSamples(), timeout_s=WAIT_SECONDS_MAX)
        return await asyncio.wait_for(heard.get(), WAIT_SECONDS_MAX)
    finally:
        await agent.close()


def test_the_kernel_s_limits_are_the_size(database: Database) -> None:
    assert kernel_limits(database) == (PERIOD_US, 4 * GIB)
    for cu, share in (("2", 2), ("0.25", 0.25)):
        assert resize(database, cu) == {"cu": cu, "pause_ms": None, "needs_restart": []}
        assert kernel_limits(database) == (PERIOD_US * share, 4 * GIB * share)
        assert database.status["currentCU"] == share
    assert not sized(database)


def test_all_of_its_processes_are_in_it_and_its_agent_tells_what_they_use(
    database: Database,
) -> None:
    for folder in folders(database):
        inside = set(map(int, (folder / "cgroup.procs").read_text().split()))
        assert {database.agent, *database.postgres} <= inside
    use = asyncio.run(sample_of(database)).use
    assert (use.cpu_limit, use.memory_limit_bytes) == (1.0, 4 * GIB)
    assert use.file_bytes is not None and use.throttled_seconds is not None
    assert use.kernel_bytes is not None and use.kernel_bytes < use.memory_bytes
    assert 0 < use.memory_bytes < GIB


def test_memory_in_use_is_not_taken(database: Database) -> None:
    """Nor is anything else: its agent's size says why it is as it was."""
    folder, compute = database.up.folder, database.status["compute"]

    def size_asked_for(cu: str) -> dict[str, Any]:
        ask_cluster(folder, "ResizeCompute", compute=compute, cu=cu)
        agents = ask_cluster(folder, "WatchAgents")["agents"]
        return next(dict(one["size"]) for one in agents if one["compute"] == compute)

    before = size_asked_for("1")
    with hog(folders(database)):
        found = size_asked_for("0.25")
        words = found.pop("refusal")
        assert words.startswith("its memory would be limited to 1 GiB, and 1.")
        assert found | {"refusal": ""} == before
        assert kernel_limits(database) == (PERIOD_US, 4 * GIB)
    assert size_asked_for("1") == before


@contextlib.contextmanager
def hog(crowded: set[Path]) -> Iterator[None]:
    """A process that takes part in what a compute uses."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOG], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        for folder in crowded:
            (folder / "cgroup.procs").write_text(str(process.pid))
        process.stdin.write(b"\n")
        process.stdin.flush()
        assert process.stdout.readline()
        yield
    finally:
        process.kill()
        process.communicate()


def test_nothing_is_left_of_a_compute_that_has_ended(database: Database) -> None:
    places = folders(database)
    assert all(place.exists() for place in places)
    database.fall_asleep()
    until(lambda: not any(place.exists() for place in places), "it is removed")


def test_nothing_is_left_of_a_killed_torpor_up_by_the_next_one(limited: Up) -> None:
    with stand_ins.folder_with_stand_ins(DISK) as root, stand_ins.started_before(root) as up:
        record = StateFolder(up.state).cgroups
        up.start("--warm", "1")
        up.ready()
        homes = [Path(line) for line in record.read_text().splitlines()]
        left = {one for home in homes for one in home.iterdir() if one.is_dir()}
        up.signal(signal.SIGKILL)
        up.ended()
        until(lambda: up.processes("torpor_") == [], "every component ends with it")
        for pid in up.processes():
            os.kill(pid, signal.SIGKILL)
        until(lambda: up.processes() == [], "nothing of a compute runs any more")
        assert left and all(one.exists() for one in left)
        with stand_ins.Up(root) as again:
            again.start("--warm", "1")
            again.ready()
            assert not any(one.exists() for one in left)
            again.signal(signal.SIGINT)
            assert again.ended() == 0, again.output
        assert not any(home.exists() for home in homes) and not record.exists()


def test_who_does_not_want_it_is_told_so(up: Up) -> None:
    with a_database(up) as database:
        until(lambda: bool(sized(database)), "it is said")
        told = sized(database)
        assert (told["status"], told["reason"]) == ("True", "Unlimited")
        assert told["message"] == (
            "Postgres's settings follow the size; nothing limits its CPU and memory here: "
            f"{SWITCHED_OFF}"
        )
        assert asyncio.run(sample_of(database)).use.memory_limit_bytes is None
        assert not up.folder.cgroups.exists()


@pytest.mark.skipif(
    os.geteuid() != 0 or stand_ins.PYTHON_OF_OTHERS is None,
    reason="needs root, and a Python that another user can run",
)
def test_why_an_ordinary_user_may_not() -> None:
    with stand_ins.folder_with_stand_ins(DISK) as root, stand_ins.Up(root, user=65534) as up:
        give_template(StateFolder(up.state))
        subprocess.run(["chown", "-R", "65534:65534", up.state], check=True)
        up.start("--warm", "1")
        up.ready()
        (agent, *_) = ask_cluster(StateFolder(up.state), "WatchAgents")["agents"]
        assert agent["size"] is None and agent["why_unlimited"].startswith("the cgroup /")
        up.signal(signal.SIGINT)
        assert up.ended() == 0, up.output
