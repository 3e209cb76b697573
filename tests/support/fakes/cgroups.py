"""Cgroups that behave as the kernel's documentation says, of either version; nothing is on a disk.

A process is in one cgroup of each hierarchy, and what it uses of memory is set by the test.
"""

from __future__ import annotations

import errno
import os
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path

UNLIMITED = str((1 << 63) - 4096)
"""Of the first version."""


@dataclass
class Folder:
    files: dict[str, str] = field(default_factory=dict)
    processes: list[str] = field(default_factory=list)
    handed_on: set[str] = field(default_factory=set)
    """Version 2: what ``cgroup.subtree_control`` says."""
    kept_bytes: int = 0
    """Memory in use that the kernel can't take back."""
    cached_bytes: int = 0
    """That it can."""

    @property
    def used_bytes(self) -> int:
        return self.kept_bytes + self.cached_bytes

    def reclaim(self, limit_bytes: int) -> None:
        self.cached_bytes = max(0, min(self.cached_bytes, limit_bytes - self.kept_bytes))


class Cgroups(ABC):
    """What both versions have in common. See :class:`torpor_cli.local.cgroup_files.Files`."""

    def __init__(self) -> None:
        self.at: dict[Path, Folder] = {}
        self.read_only: set[Path] = set()
        """Where nothing may be made or written, but below them."""
        self.closed_by: int | None = None
        """Why no process may go to another cgroup: an error number."""

    def make(self, folder: Path) -> None:
        if folder in self.at:
            return
        self._writable(folder.parent)
        self.at[folder] = Folder(dict(self.new_files(folder)))

    def remove(self, folder: Path) -> None:
        if self._found(folder).processes or self.folders(folder):
            raise failed(errno.EBUSY, folder)
        del self.at[folder]

    def folders(self, folder: Path) -> list[str]:
        self._found(folder)
        return [path.name for path in self.at if path.parent == folder]

    def read(self, file: Path) -> str:
        text = self.text_of(self._found(file.parent), file)
        if text is None:
            raise failed(errno.ENOENT, file)
        return text + "\n"

    def write(self, file: Path, text: str) -> None:
        self.read(file)
        self._writable(file.parent)
        folder = self.at[file.parent]
        if file.name == "cgroup.procs":
            self.put(file.parent, text)
        else:
            self.changed(folder, file, text)

    def put(self, folder: Path, process: str) -> None:
        """The process goes there from wherever it is in this hierarchy."""
        if self.closed_by is not None:
            raise failed(self.closed_by, folder)
        for other, found in self.at.items():
            if process in found.processes and self.hierarchy(other) == self.hierarchy(folder):
                found.processes.remove(process)
        self.at[folder].processes.append(process)

    @abstractmethod
    def hierarchy(self, folder: Path) -> Path:
        """Its top."""

    @abstractmethod
    def new_files(self, folder: Path) -> dict[str, str]:
        """That the kernel puts into a cgroup which is made."""

    def text_of(self, folder: Folder, file: Path) -> str | None:
        if file.name == "cgroup.procs":
            return "\n".join(folder.processes)
        return folder.files.get(file.name)

    def changed(self, folder: Folder, file: Path, text: str) -> None:
        folder.files[file.name] = text

    def _found(self, folder: Path) -> Folder:
        if folder not in self.at:
            raise failed(errno.ENOENT, folder)
        return self.at[folder]

    def _writable(self, folder: Path) -> None:
        self._found(folder)
        if folder in self.read_only:
            raise failed(errno.EACCES, folder)


class V1Cgroups(Cgroups):
    """A hierarchy for each controller, in folders of its name."""

    TOP = Path("/sys/fs/cgroup")

    def __init__(self) -> None:
        super().__init__()
        for name in ("cpu", "cpuacct", "memory"):
            self.at[self.TOP / name] = Folder(self.new_files(self.TOP / name))

    def hierarchy(self, folder: Path) -> Path:
        return self.TOP / folder.relative_to(self.TOP).parts[0]

    def new_files(self, folder: Path) -> dict[str, str]:
        name = self.hierarchy(folder).name
        of_each = {
            "cpu": {"cpu.cfs_quota_us": "-1"},
            "memory": {
                "memory.limit_in_bytes": UNLIMITED,
                "memory.swappiness": "60",
                "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 0",
            },
        }
        return of_each.get(name, {})

    def text_of(self, folder: Folder, file: Path) -> str | None:
        if file.name == "memory.usage_in_bytes":
            return str(folder.used_bytes)
        return super().text_of(folder, file)

    def changed(self, folder: Folder, file: Path, text: str) -> None:
        if file.name == "memory.limit_in_bytes":
            folder.reclaim(int(text))
            if folder.used_bytes > int(text):
                raise failed(errno.EBUSY, file)
        if file.name == "cpu.cfs_quota_us" and int(text) > self._quota_above(file.parent):
            raise failed(errno.EINVAL, file)
        super().changed(folder, file, text)

    def _quota_above(self, folder: Path) -> float:
        """No child has more of a processor than what is above it."""
        above = self.at.get(folder.parent)
        quota = float("inf") if above is None else int(above.files["cpu.cfs_quota_us"])
        return quota if quota > 0 else self._quota_above(folder.parent)


class V2Cgroups(Cgroups):
    """One hierarchy. A cgroup with processes hands no controller on, except the root of all."""

    TOP = Path("/sys/fs/cgroup")

    def __init__(self, *paths: str, handed_on: str = "cpu memory") -> None:
        """``paths``: of the cgroups that are there, each with what is above it; ``handed_on``: by
        those that are above others."""
        super().__init__()
        self.ended: list[str] = []
        """Processes for which there was no memory."""
        self.at[self.TOP] = Folder(handed_on=set(handed_on.split()))
        for path in paths:
            for folder in reversed([self.TOP / path, *(self.TOP / path).parents]):
                if folder != self.TOP and folder.is_relative_to(self.TOP):
                    self.make(folder)
                    self.at[folder.parent].handed_on = set(handed_on.split())

    def hierarchy(self, folder: Path) -> Path:
        return self.TOP

    def new_files(self, folder: Path) -> dict[str, str]:
        return {
            "cgroup.type": "domain",
            "cpu.max": "max 100000",
            "cpu.weight": "100",
            "memory.high": "max",
            "memory.max": "max",
            "memory.swap.max": "max",
            "memory.events": "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0",
            "cpuset.cpus": "",
            "io.max": "",
        }

    def put(self, folder: Path, process: str) -> None:
        if folder != self.TOP and self.at[folder].handed_on:
            raise failed(errno.EBUSY, folder)
        super().put(folder, process)

    def text_of(self, folder: Folder, file: Path) -> str | None:
        has = self._controllers(file.parent)
        if file.name == "cgroup.controllers":
            return " ".join(sorted(has))
        if file.name == "cgroup.subtree_control":
            return " ".join(sorted(folder.handed_on))
        if file.name.partition(".")[0] in {"cpu", "memory"} - has:
            return None
        if file.name == "memory.current":
            return str(folder.used_bytes)
        return super().text_of(folder, file)

    def changed(self, folder: Folder, file: Path, text: str) -> None:
        if file.name == "cgroup.subtree_control":
            self._hand_on(folder, file.parent, text.split())
            return
        if file.name in ("memory.high", "memory.max") and text != "max":
            folder.reclaim(int(text))
            if file.name == "memory.max" and folder.used_bytes > int(text):
                self.ended += folder.processes
        super().changed(folder, file, text)

    def _controllers(self, folder: Path) -> set[str]:
        return {"cpu", "memory"} if folder == self.TOP else self.at[folder.parent].handed_on

    def _hand_on(self, folder: Folder, path: Path, words: list[str]) -> None:
        names = {word[1:] for word in words}
        if words[0][0] == "+":
            if not names <= self._controllers(path):
                raise failed(errno.ENOENT, path)
            if folder.files.get("cgroup.type") == "threaded":
                raise failed(errno.EOPNOTSUPP, path)
            if folder.processes and path != self.TOP:
                raise failed(errno.EBUSY, path)
            folder.handed_on |= names
        else:
            if any(names & self.at[path / name].handed_on for name in self.folders(path)):
                raise failed(errno.EBUSY, path)
            folder.handed_on -= names


def failed(number: int, path: Path) -> OSError:
    return OSError(number, os.strerror(number), str(path))
