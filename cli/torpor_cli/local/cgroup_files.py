"""The files of cgroups: how the kernel is asked for one, and what is written to limit it.

The kernel's own rules stand in its documentation: admin-guide/cgroup-v2.rst, admin-guide/cgroup-v1.
"""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from torpor_api.failures import Refused
from torpor_api.messages import AgentSize

CPU_PERIOD_US: Final = 100_000
"""The kernel's own, and a kubelet's: a compute that has used its part waits for the next one."""

GIB: Final = 1 << 30

CONTROLLERS = ("cpu", "memory")

PROCESSES = "cgroup.procs"

CHILD_CONTROLLERS = "cgroup.subtree_control"
"""Version 2: of those that a cgroup has, the ones that its children have."""


class Files(Protocol):
    """What of a file system is needed here; every error is an OSError."""

    def make(self, folder: Path) -> None:
        """Nothing happens where it is there already."""
        ...

    def remove(self, folder: Path) -> None:
        """A cgroup without processes and children."""
        ...

    def folders(self, folder: Path) -> list[str]:
        """Names of the cgroups in this one."""
        ...

    def read(self, file: Path) -> str: ...

    def write(self, file: Path, text: str) -> None:
        """In one go, and never a file that is not there already."""
        ...


class Kernel:
    """The real ones."""

    def make(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)

    def remove(self, folder: Path) -> None:
        folder.rmdir()

    def folders(self, folder: Path) -> list[str]:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]

    def read(self, file: Path) -> str:
        return file.read_text()

    def write(self, file: Path, text: str) -> None:
        descriptor = os.open(file, os.O_WRONLY)
        try:
            os.write(descriptor, text.encode())
        finally:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Cgroup:
    """One of a version's own: in the first version a folder in each of three hierarchies."""

    cpu: Path
    cpuacct: Path
    memory: Path
    is_v2: bool

    def below(self, name: str) -> Cgroup:
        return Cgroup(self.cpu / name, self.cpuacct / name, self.memory / name, self.is_v2)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Each once: in version 2 there is but one, in version 1 hierarchies may be shared."""
        return tuple(dict.fromkeys((self.cpu, self.cpuacct, self.memory)))


def v2_cgroup(folder: Path) -> Cgroup:
    return Cgroup(folder, folder, folder, is_v2=True)


def forbid_swap(files: Files, cgroup: Cgroup) -> None:
    """As a kubelet does. What is swapped out does not count as in use: else less memory than that
    would be granted, and the database would wait for the disk. Raises OSError."""
    name = "memory.swap.max" if cgroup.is_v2 else "memory.swappiness"
    with contextlib.suppress(FileNotFoundError):  # Of a kernel that can't swap.
        files.write(cgroup.memory / name, "0")


def limit(files: Files, cgroup: Cgroup, size: AgentSize) -> None:
    """Nothing has changed where this raises Refused: memory that is in use is not taken away.

    Raises OSError where it can't be done at all.
    """
    before = _cpu_quota(files, cgroup)
    _write_cpu(files, cgroup, str(size.cpu_milli * CPU_PERIOD_US // 1000))
    try:
        if cgroup.is_v2:
            _limit_v2_memory(files, cgroup.memory, size.memory_bytes)
        else:
            _limit_v1_memory(files, cgroup.memory, size.memory_bytes)
    except (OSError, Refused):
        _write_cpu(files, cgroup, before)
        raise


def _cpu_quota(files: Files, cgroup: Cgroup) -> str:
    """As it would be written: without a limit ``max`` or ``-1``."""
    if cgroup.is_v2:
        return files.read(cgroup.cpu / "cpu.max").split()[0]
    return files.read(cgroup.cpu / "cpu.cfs_quota_us").strip()


def _write_cpu(files: Files, cgroup: Cgroup, quota: str) -> None:
    if cgroup.is_v2:
        files.write(cgroup.cpu / "cpu.max", f"{quota} {CPU_PERIOD_US}")
    else:
        files.write(cgroup.cpu / "cpu.cfs_quota_us", quota)


def _limit_v1_memory(files: Files, folder: Path, limit_bytes: int) -> None:
    """The kernel takes back what it can, and refuses where that is not enough."""
    try:
        files.write(folder / "memory.limit_in_bytes", str(limit_bytes))
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        used_bytes = int(files.read(folder / "memory.usage_in_bytes"))
        raise in_use(limit_bytes, used_bytes) from None


def _limit_v2_memory(files: Files, folder: Path, limit_bytes: int) -> None:
    """``memory.max`` below what is in use ends processes. Below ``memory.high`` the kernel takes
    back what it can, and nobody gets much more until the other one is set."""
    high = folder / "memory.high"
    files.write(high, str(limit_bytes))
    try:
        used_bytes = int(files.read(folder / "memory.current"))
        if used_bytes > limit_bytes:
            raise in_use(limit_bytes, used_bytes)
        files.write(folder / "memory.max", str(limit_bytes))
    finally:
        with contextlib.suppress(OSError):
            files.write(high, "max")


def oom_kills(files: Files, cgroup: Cgroup) -> int:
    """Processes of it that the kernel has ended for want of memory. Raises OSError, and KeyError
    of an old kernel, which does not count them."""
    name = "memory.events" if cgroup.is_v2 else "memory.oom_control"
    lines = files.read(cgroup.memory / name).splitlines()
    return int(dict(line.split() for line in lines)["oom_kill"])


def in_use(limit_bytes: int, used_bytes: int) -> Refused:
    return Refused(
        f"its memory would be limited to {limit_bytes / GIB:g} GiB, "
        f"and {used_bytes / GIB:.2f} GiB are in use"
    )
