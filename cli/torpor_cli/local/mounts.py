"""What the kernel says of mounted file systems, and of the cgroups that a process is in. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

V2 = "cgroup2"
V1 = "cgroup"
"""Kinds of file systems: cgroups of the second version, and hierarchies of the first."""

IN_MEMORY = frozenset({"tmpfs", "ramfs"})
"""Kinds whose files are in memory and nowhere else."""

_OCTAL = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of ``/proc/PID/mountinfo``."""

    device: str
    """``MAJOR:MINOR``, of every file in it."""
    root: str
    """What of the file system is shown."""
    point: Path
    kind: str
    options: frozenset[str]
    """Of the file system: in version 1 the names of a hierarchy's controllers are among them."""


def mounts(mountinfo: str) -> list[Mount]:
    """In the kernel's order."""
    return [_mount(line) for line in mountinfo.splitlines()]


def memberships(cgroup: str) -> dict[str, str]:
    """Of ``/proc/PID/cgroup``: the path by controller; the one of version 2 has the name ""."""
    found: dict[str, str] = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        found |= dict.fromkeys(controllers.split(","), path)
    return found


def v2_folder(all_mounts: Iterable[Mount], member_of: dict[str, str]) -> Path | None:
    """Of the cgroup of version 2; None: there is none, or it is not to be seen from here."""
    return _shown([one for one in all_mounts if one.kind == V2], member_of.get(""))


def v1_folder(
    all_mounts: Iterable[Mount], member_of: dict[str, str], controller: str
) -> Path | None:
    """Of the cgroup of version 1 in the hierarchy of this controller; None likewise."""
    of_it = [one for one in all_mounts if one.kind == V1 and controller in one.options]
    return _shown(of_it, member_of.get(controller))


def top_of(all_mounts: Iterable[Mount], folder: Path) -> Path:
    """Where the file system of version 2 with this folder is mounted."""
    return next(o.point for o in all_mounts if o.kind == V2 and folder.is_relative_to(o.point))


def kind_of(all_mounts: Iterable[Mount], device: str) -> str:
    """Of the file system with this device number; empty: the list does not tell."""
    return next((one.kind for one in all_mounts if one.device == device), "")


def _mount(line: str) -> Mount:
    before, _, behind = line.partition(" - ")
    device, root, point = before.split()[2:5]
    kind, _, options = behind.split(" ", 2)  # The source between them may be empty.
    return Mount(device, _plain(root), Path(_plain(point)), kind, frozenset(options.split(",")))


def _plain(field: str) -> str:
    """Blanks and the like are written as octal numbers."""
    return _OCTAL.sub(lambda match: chr(int(match[1], 8)), field)


def _shown(candidates: list[Mount], path: str | None) -> Path | None:
    if path is None:
        return None
    for one in candidates:
        if ".." not in path and PurePosixPath(path).is_relative_to(one.root):
            return one.point / PurePosixPath(path).relative_to(one.root)
    return None
