"""Machines that have cgroups, and this process in one of them: of either version, alone in it or
not."""

from __future__ import annotations

import os
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

from support.fakes.cgroups import Cgroups, FirstCgroups, Folder, SecondCgroups
from torpor_cli.local.cgroup_home import Surroundings
from torpor_cli.local.limits import Limits, Unlimited, limits_of
from torpor_cli.local.mounts import mounts
from torpor_cli.local.state_folder import StateFolder

US, OTHER = str(os.getpid()), "17"
TOP = Path("/sys/fs/cgroup")
SECOND_MOUNT = "31 25 0:27 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw"
FIRST_MOUNTS = "\n".join(
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
        is_first = isinstance(self.files, FirstCgroups)
        for top in [path for path in self.files.at if path.parent == TOP] if is_first else [TOP]:
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

    def use_memory(self, kept_bytes: int, cached_bytes: int) -> Folder:
        (found,) = [
            one
            for path, one in self.files.at.items()
            if path.name == "c1" and {"memory.max", "memory.limit_in_bytes"} & set(one.files)
        ]
        found.kept_bytes, found.cached_bytes = kept_bytes, cached_bytes
        return found

    def limits_of_compute(self) -> tuple[str, str]:
        if isinstance(self.files, FirstCgroups):
            return self.compute("cpu.cfs_quota_us"), self.compute("memory.limit_in_bytes")
        return self.compute("cpu.max").split()[0], self.compute("memory.max")


def first(user: int = 0) -> Machine:
    """We are at the top but for memory."""
    files = FirstCgroups()
    files.make(TOP / "memory/session")
    member_of = {"cpu": "/", "cpuacct": "/", "memory": "/session", "": "/"}
    return Machine(files, FIRST_MOUNTS, member_of, user)


def second(path: str, *with_us: str, user: int = 0, handed_on: str = "cpu memory") -> Machine:
    files = SecondCgroups(path, handed_on=handed_on)
    files.at[TOP / path].processes += [*with_us, US]
    return Machine(files, SECOND_MOUNT, {"": f"/{path}"}, user)


def alone() -> Machine:
    return second("user.slice/ours.scope", user=1000)


def among_others() -> Machine:
    return second("system.slice/ssh.service", OTHER)
