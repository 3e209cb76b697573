"""Where the cgroups of computes may be made, and why there is no such place.

In version 1 a child of our own cgroup is all it takes. In version 2 one that has processes can't
have children that are limited. So ours is divided where no process but this one is in it, which
goes into a child of its own; else root takes a place beside all others, where no limit is left
behind by that.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

from torpor_cli.local.cgroup_files import (
    CHILD_CONTROLLERS,
    CONTROLLERS,
    PROCESSES,
    Cgroup,
    Files,
    v2_cgroup,
)
from torpor_cli.local.mounts import (
    Mount,
    memberships,
    mounts,
    top_of,
    v1_folder,
    v2_folder,
)

OWN = "up"
"""The child for this process, and for its others that are no compute."""

OWN_WEIGHT = 1000
"""Ten times a compute's: the proxy serves all of them, and would have to wait behind each."""

V1_CONTROLLERS = ("cpu", "cpuacct", "memory")
"""Of version 1, in which time that was used is counted by one of its own."""


LIMITS = ("cpu.max", "cpuset.cpus", "memory.max", "memory.high", "memory.swap.max", "io.max")
"""That computes must not leave, where one says something else than ``max`` and than nothing. Not
among them is ``pids.max``: systemd sets it for whoever logs in, against too many processes."""


class MayNot(Exception):
    """Why no compute can be limited here, for a person."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """In which cgroups this process is, and who it is."""

    mounts: tuple[Mount, ...]
    member_of: dict[str, str]
    process: int
    user: int

    @property
    def hint(self) -> str:
        user = "" if self.user == 0 else "--user "
        return f"`systemd-run {user}--scope -p Delegate=yes torpor up` has one of its own"


def surroundings(proc: Path = Path("/proc/self")) -> Surroundings:
    """Of this process. Raises OSError and ValueError where they can't be read."""
    return Surroundings(
        tuple(mounts((proc / "mountinfo").read_text())),
        memberships((proc / "cgroup").read_text()),
        os.getpid(),
        os.geteuid(),
    )


@dataclass(frozen=True, slots=True)
class Home:
    """A cgroup whose children are those of computes."""

    cgroup: Cgroup
    divided: Path | None = None
    """The one that this process was in before."""
    given: tuple[str, ...] = ()
    """Controllers that the children of that one have by us: no others are taken from them."""


def found(files: Files, around: Surroundings, name: str) -> Home:
    """A home called ``name``. Raises MayNot."""
    v1 = [v1_folder(around.mounts, around.member_of, one) for one in V1_CONTROLLERS]
    cpu, cpuacct, memory = v1
    if cpu is not None and cpuacct is not None and memory is not None:
        return _v1(files, Cgroup(cpu, cpuacct, memory, is_v2=False).below(name))
    own = v2_folder(around.mounts, around.member_of)
    if own is None or any(v1):
        raise MayNot("no cgroups with the controllers cpu and memory are to be seen here")
    try:
        return _divided(files, around, own, name)
    except MayNot:
        if around.user != 0:
            raise
    return _at_top(files, around, own, name)


def give_back(files: Files, home: Home, process: int) -> bool:
    """Whether nothing is left of it. ``process``: this one, which goes to where it came from."""
    if home.divided is not None:
        for folder, given in ((home.cgroup.cpu, CONTROLLERS), (home.divided, home.given)):
            with contextlib.suppress(OSError):
                files.write(folder / CHILD_CONTROLLERS, _listed("-", given))
        with contextlib.suppress(OSError):
            files.write(home.divided / PROCESSES, str(process))
    return removed(files, home.cgroup)


def removed(files: Files, cgroup: Cgroup) -> bool:
    """With its children; whether nothing is left. What somebody is still in stays."""
    gone = [emptied(files, folder) for folder in cgroup.folders]
    return all(gone)


def emptied(files: Files, folder: Path) -> bool:
    """One folder, likewise."""
    try:
        for name in files.folders(folder):
            with contextlib.suppress(OSError):
                files.remove(folder / name)
        files.remove(folder)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def _v1(files: Files, home: Cgroup) -> Home:
    for folder in home.folders:
        try:
            files.make(folder)
        except OSError as error:
            give_back(files, Home(home), 0)
            raise MayNot(f"the cgroup {folder.parent} can't be divided: {error.strerror}") from None
    return Home(home)


def _divided(files: Files, around: Surroundings, own: Path, name: str) -> Home:
    home = Home(v2_cgroup(own / name), divided=own)
    try:
        if files.read(own / PROCESSES).split() != [str(around.process)]:
            raise MayNot(f"the cgroup {own} has other processes: {around.hint}")
        _refuse_missing(files, own)
        home = replace(home, given=_lacking(files, own))
        files.make(own / name)
        files.make(own / name / OWN)
        files.write(own / name / OWN / PROCESSES, str(around.process))
        _give(files, own)
        _give(files, own / name)
        files.write(own / name / OWN / "cpu.weight", str(OWN_WEIGHT))
    except OSError as error:
        give_back(files, home, around.process)
        raise MayNot(
            f"the cgroup {own} can't be divided: {error.strerror}: {around.hint}"
        ) from None
    return home


def _at_top(files: Files, around: Surroundings, own: Path, name: str) -> Home:
    top = top_of(around.mounts, own)
    if not _is_root(files, top) or _is_limited(files, own, top):
        raise MayNot(
            f"the cgroup {own} has other processes, and computes must not leave its limits: "
            f"{around.hint}"
        )
    try:
        _refuse_missing(files, top)
        _give(files, top)
        files.make(top / name)
        _give(files, top / name)
    except OSError as error:
        emptied(files, top / name)
        raise MayNot(f"the cgroup {top} can't be divided: {error.strerror}") from None
    return Home(v2_cgroup(top / name))


def _refuse_missing(files: Files, folder: Path) -> None:
    there = files.read(folder / "cgroup.controllers").split()
    missing = [one for one in CONTROLLERS if one not in there]
    if missing:
        raise MayNot(f"the cgroup {folder} has no controller {' and no '.join(missing)}")


def _give(files: Files, folder: Path) -> None:
    """Have each of its children limited for itself."""
    lacking = _lacking(files, folder)
    if lacking:
        files.write(folder / CHILD_CONTROLLERS, _listed("+", lacking))


def _lacking(files: Files, folder: Path) -> tuple[str, ...]:
    """Controllers that its children don't have."""
    given = files.read(folder / CHILD_CONTROLLERS).split()
    return tuple(one for one in CONTROLLERS if one not in given)


def _listed(sign: str, controllers: tuple[str, ...]) -> str:
    return " ".join(f"{sign}{one}" for one in controllers)


def _is_root(files: Files, folder: Path) -> bool:
    """Of all cgroups: the root that a container is shown has a type like any other."""
    return not _is_there(files, folder / "cgroup.type")


def _is_limited(files: Files, own: Path, top: Path) -> bool:
    while own != top:
        for name in LIMITS:
            if _is_there(files, own / name):
                text = files.read(own / name).strip()
                if text and not text.startswith("max"):
                    return True
        own = own.parent
    return False


def _is_there(files: Files, file: Path) -> bool:
    try:
        files.read(file)
    except OSError:
        return False
    return True
