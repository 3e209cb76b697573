"""Machines that have cgroups, and this process in one of them: of either version, alone in it or
not."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from support.fakes.cgroups import Cgroups, Folder, V1Cgroups, V2Cgroups
from torpor_cli.local.cgroup_home import Surroundings
from torpor_cli.local.limits import Limits, Unlimited, limits_of
from torpor_cli.local.mounts import mounts
from torpor_cli.local.state_folder import StateFolder

US, OTHER = str(os.getpid()), "17"
TOP = Path("/sys/fs/cgroup")
V2_MOUNT = "31 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
V1_MOUNTS = "\n".join(
    f"33 31 0:{number} / /sys/fs/cgroup/{name} rw - cgroup cgroup rw,{name}"
    for number, name in enumerate(("cpu", "cpuacct", "memory"), start=40)
)


class Machine:
    """Its cgroups, and which of them we are in."""

    def __init__(self, files: Cgroups, listed: str, member_of: dict[str, str], user: int = 0):
        self.files = files
        self.around = Surroundings(tuple(mounts(listed)), member_of, os.getpid(), user)

    def limits(self, folder: StateFolder) -> Limits:
        return limits_of(folder, self.files, lambda: self.around)

    def why_not(self, folder: StateFolder) -> str:
        """The reason, where nothing has been changed."""
        before = deepcopy(self.files.at)
        limits = self.limits(folder)
        assert isinstance(limits, Unlimited) and self.files.at == before
        assert not folder.cgroups.exists()
        begun = limits.begin("c1")
        assert begun.size is None and not begun.options
        return begun.why_unlimited

    def killed(self) -> None:
        """And on it again, in another cgroup than before."""
        for one in self.files.at.values():
            one.processes.clear()
        place = f"session-{len(self.files.at)}"
        is_v1 = isinstance(self.files, V1Cgroups)
        for top in [path for path in self.files.at if path.parent == TOP] if is_v1 else [TOP]:
            self.files.make(top / place)
            self.files.put(top / place, US)
        member_of = dict.fromkeys(self.around.member_of, f"/{place}")
        self.around = replace(self.around, member_of=member_of)

    def compute(self, file: str, name: str = "c1") -> str:
        """What a file of its cgroup says."""
        (found,) = [
            one.files[file]
            for path, one in self.files.at.items()
            if path.name == name and file in one.files
        ]
        return found

    def of_memory(self) -> Folder:
        """The cgroup of c1 in which its memory counts."""
        (found,) = [
            one
            for path, one in self.files.at.items()
            if path.name == "c1" and {"memory.max", "memory.limit_in_bytes"} & set(one.files)
        ]
        return found

    def use_memory(self, kept_bytes: int, cached_bytes: int) -> Folder:
        found = self.of_memory()
        found.kept_bytes, found.cached_bytes = kept_bytes, cached_bytes
        return found

    def limits_of_compute(self) -> tuple[str, str]:
        if isinstance(self.files, V1Cgroups):
            return self.compute("cpu.cfs_quota_us"), self.compute("memory.limit_in_bytes")
        return self.compute("cpu.max").split()[0], self.compute("memory.max")


def v1(user: int = 0) -> Machine:
    """We are at the top but for memory."""
    files = V1Cgroups()
    files.make(TOP / "memory/session")
    member_of = {"cpu": "/", "cpuacct": "/", "memory": "/session", "": "/"}
    return Machine(files, V1_MOUNTS, member_of, user)


def v2(path: str, *with_us: str, user: int = 0, handed_on: str = "cpu memory") -> Machine:
    files = V2Cgroups(path, handed_on=handed_on)
    files.at[TOP / path].processes += [*with_us, US]
    return Machine(files, V2_MOUNT, {"": f"/{path}"}, user)


def alone() -> Machine:
    return v2("user.slice/ours.scope", user=1000)


def among_others() -> Machine:
    return v2("system.slice/ssh.service", OTHER)
