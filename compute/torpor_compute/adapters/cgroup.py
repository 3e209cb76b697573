"""What the kernel says of this compute's own container: cgroups of either version.

Whether there is one the agent is told, as nobody can see it from within: a pod has one to itself,
and on one machine a cgroup may have been made for it. Else it shares one with others, and
Postgres's processes are counted instead.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from torpor_api.messages import ComputeUse

MOUNTED = Path("/sys/fs/cgroup")

KERNEL_V2 = ("kernel_stack", "pagetables", "percpu", "sock", "slab_unreclaimable")
"""What a kernel can't give back of its own memory; an old one does not tell each of them."""

NO_LIMIT_BYTES = 1 << 60
"""Version 1 has no word for "none": the limit is the largest number of whole pages."""


class Folders(NamedTuple):
    """With the files of a cgroup; all the same one in version 2, which has but one hierarchy."""

    cpu: Path
    cpuacct: Path
    memory: Path


def enter(folders: Sequence[Path]) -> None:
    """Before it starts any process, so that none is outside of what was made for it.

    Whoever started the agent puts it there, too, and says why that can't be: it may come later than
    an agent's first process, and nothing is lost where this one is refused.
    """
    for folder in dict.fromkeys(folders):
        with contextlib.suppress(OSError), (folder / "cgroup.procs").open("r+") as processes:
            processes.write(str(os.getpid()))


def own(folders: Folders) -> Callable[[], ComputeUse] | None:
    """Reads it; None where it can't be read."""

    def read() -> ComputeUse:
        return _v2(folders.cpu) if _is_v2(folders.cpu) else _v1(folders)

    try:
        read()
    except (OSError, KeyError, ValueError):
        return None
    return read


def of_compute(
    folders: Sequence[Path], *, has_own_container: bool, mounted: Path = MOUNTED
) -> Callable[[], ComputeUse] | None:
    """As the agent was told: ``folders`` of a cgroup that was made for it, or that it has a
    container to itself; None: it shares one with others."""
    if folders:
        return own(Folders(*folders))
    return own(of_container(mounted)) if has_own_container else None


def of_container(mounted: Path = MOUNTED) -> Folders:
    """A runtime shows a container its own cgroup as the root of each hierarchy."""
    if _is_v2(mounted):
        return Folders(mounted, mounted, mounted)
    return Folders(mounted / "cpu", mounted / "cpuacct", mounted / "memory")


def _is_v2(folder: Path) -> bool:
    return (folder / "cgroup.controllers").exists()


def _v2(folder: Path) -> ComputeUse:
    cpu, memory = _table(folder / "cpu.stat"), _table(folder / "memory.stat")
    return ComputeUse(
        cpu_seconds=cpu["usage_usec"] / 1e6,
        memory_bytes=_number(folder / "memory.current"),
        anonymous_bytes=memory["anon"],
        shared_memory_bytes=memory["shmem"],
        kernel_bytes=sum(memory.get(name, 0) for name in KERNEL_V2),
        memory_limit_bytes=_limit(folder / "memory.max"),
        oom_kills=_oom_kills(folder / "memory.events"),
        file_bytes=memory["file"] - memory["shmem"],
        refaults=memory.get("workingset_refault_file"),
        cpu_limit=_cpu_max(folder / "cpu.max"),
        throttled_seconds=_in_seconds(cpu.get("throttled_usec"), 1e6),
    )


def _v1(folders: Folders) -> ComputeUse:
    cpu, memory = _table(folders.cpu / "cpu.stat"), _table(folders.memory / "memory.stat")
    limit = _number(folders.memory / "memory.limit_in_bytes")
    quota = _number(folders.cpu / "cpu.cfs_quota_us")
    return ComputeUse(
        cpu_seconds=_number(folders.cpuacct / "cpuacct.usage") / 1e9,
        memory_bytes=_number(folders.memory / "memory.usage_in_bytes"),
        anonymous_bytes=memory["total_rss"],
        shared_memory_bytes=memory["total_shmem"],
        kernel_bytes=_kernel_v1(folders.memory / "memory.kmem.usage_in_bytes"),
        memory_limit_bytes=limit if limit < NO_LIMIT_BYTES else None,
        oom_kills=_oom_kills(folders.memory / "memory.oom_control"),
        file_bytes=memory["total_cache"] - memory["total_shmem"],
        refaults=memory.get("total_workingset_refault_file"),
        cpu_limit=quota / _number(folders.cpu / "cpu.cfs_period_us") if quota > 0 else None,
        throttled_seconds=_in_seconds(cpu.get("throttled_time"), 1e9),
    )


def _table(path: Path) -> Mapping[str, int]:
    return {name: int(value) for name, value in map(str.split, path.read_text().splitlines())}


def _oom_kills(path: Path) -> int | None:
    """None where an old kernel does not count them."""
    with contextlib.suppress(OSError):
        return _table(path).get("oom_kill")
    return None


def _kernel_v1(path: Path) -> int | None:
    """With what it could give back, which this version does not tell apart: rather too much than
    too little. None where it is not counted."""
    with contextlib.suppress(OSError):
        return _number(path)
    return None


def _number(path: Path) -> int:
    return int(path.read_text())


def _limit(path: Path) -> int | None:
    text = path.read_text().strip()
    return None if text == "max" else int(text)


def _cpu_max(path: Path) -> float | None:
    quota, period = path.read_text().split()
    return None if quota == "max" else int(quota) / int(period)


def _in_seconds(value: int | None, per_second: float) -> float | None:
    return None if value is None else value / per_second
