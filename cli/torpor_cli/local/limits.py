"""What the kernel lets each compute of this machine use: its size, or anything.

Each compute has a cgroup of its own from before it is told to do anything. A size counts as given
when the kernel has taken both of its limits.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Final, Protocol

from torpor_api.failures import Refused
from torpor_api.messages import AgentSize
from torpor_api.sizes import START_CU, cpu_milli, memory_bytes
from torpor_cli.local import cgroup_files, cgroup_home
from torpor_cli.local.cgroup_files import PROCESSES, Files, Kernel
from torpor_cli.local.cgroup_home import Home, MayNot, Surroundings
from torpor_cli.local.mounts import IN_MEMORY, kind_of
from torpor_cli.local.state_folder import StateFolder

log = logging.getLogger(__name__)

SWITCHED_OFF = "`torpor up` runs with --no-limits"

GONE_SECONDS_MAX: Final = 2.0
"""A cgroup can be removed once its last process has vanished, a moment after that was reaped."""

_POLL_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Begun:
    """What is known of a compute before its agent is started."""

    size: AgentSize | None
    """None: nothing limits it."""
    why_unlimited: str = ""
    options: tuple[str, ...] = ()
    """Of its agent's command line."""


class Limits(Protocol):
    """Of all computes of one `torpor up`."""

    def begin(self, compute: str) -> Begun:
        """Whatever comes of it, the agent can be started, and :meth:`end` is called at its end."""
        ...

    async def admit(self, compute: str, process: int) -> None:
        """From now on what this process does and starts is limited.

        For a compute that has begun with a size. Raises OSError; where that is not because the
        process has ended, those that begin afterwards are not limited, and say why."""
        ...

    async def resize(self, compute: str, now: AgentSize, cu: Decimal) -> AgentSize:
        """The size that it has then, with the refusal where it is as it was."""
        ...

    def has_run_out(self, compute: str) -> bool:
        """Whether the kernel has ended anything of it for want of memory, as far as it says so."""
        ...

    async def end(self, compute: str) -> None:
        """Nothing of it runs any more."""
        ...

    def close(self) -> None:
        """Nothing is left of any of them."""
        ...


class Unlimited:
    """Nothing limits a compute here."""

    def __init__(self, why: str) -> None:
        self._why = why

    def begin(self, compute: str) -> Begun:
        return Begun(None, self._why)

    async def admit(self, compute: str, process: int) -> None:
        pass

    async def resize(self, compute: str, now: AgentSize, cu: Decimal) -> AgentSize:
        return now

    def has_run_out(self, compute: str) -> bool:
        return False

    async def end(self, compute: str) -> None:
        pass

    def close(self) -> None:
        pass


class Cgroups:
    """Each compute has one of its own, in ``home``, which ``folder`` remembers."""

    def __init__(self, files: Files, home: Home, folder: StateFolder) -> None:
        self._files = files
        self._home = home
        self._folder = folder
        self._why_unlimited = ""
        _remember(folder, [*_remembered(folder), *home.cgroup.folders])

    def begin(self, compute: str) -> Begun:
        if self._why_unlimited:
            return Begun(None, self._why_unlimited)
        cgroup, size = self._home.cgroup.below(compute), _size(START_CU)
        try:
            for folder in cgroup.folders:
                self._files.make(folder)
            cgroup_files.forbid_swap(self._files, cgroup)
            cgroup_files.limit(self._files, cgroup, size)
        except OSError as error:
            self._remove(compute)
            why = f"the kernel refuses its cgroup {cgroup.cpu}: {error.strerror}"
            log.warning("not_limited", extra={"compute": compute, "reason": why})
            return Begun(None, why)
        return Begun(
            size, options=("--cgroup", str(cgroup.cpu), str(cgroup.cpuacct), str(cgroup.memory))
        )

    async def admit(self, compute: str, process: int) -> None:
        cgroup = self._home.cgroup.below(compute)

        def write() -> None:
            for folder in cgroup.folders:
                self._files.write(folder / PROCESSES, str(process))

        # The kernel may have to wait until no process is just being made: some milliseconds.
        try:
            await asyncio.to_thread(write)
        except ProcessLookupError:
            raise
        except OSError as error:
            # Its agent has been told of a cgroup: the next one is not, and runs.
            why = f"the kernel lets no process into the cgroup {cgroup.cpu}: {error.strerror}"
            self._why_unlimited = why
            log.warning("nothing_is_limited", extra={"reason": why})
            raise

    async def resize(self, compute: str, now: AgentSize, cu: Decimal) -> AgentSize:
        wanted = _size(cu)
        limit, cgroup = cgroup_files.limit, self._home.cgroup.below(compute)
        try:
            # To take memory back takes a second for some GiB.
            await asyncio.to_thread(limit, self._files, cgroup, wanted)
            return wanted
        except Refused as refused:
            refusal = refused.message
        except OSError as error:
            refusal = f"the kernel refuses it: {error.strerror}"
        log.info("not_resized", extra={"compute": compute, "cu": str(cu), "reason": refusal})
        return now.model_copy(update={"refusal": refusal})

    def has_run_out(self, compute: str) -> bool:
        with contextlib.suppress(OSError, KeyError, ValueError):
            return cgroup_files.oom_kills(self._files, self._home.cgroup.below(compute)) > 0
        return False

    async def end(self, compute: str) -> None:
        await asyncio.to_thread(_until, lambda: self._remove(compute))

    def close(self) -> None:
        if not _until(lambda: cgroup_home.give_back(self._files, self._home, os.getpid())):
            log.warning("cgroups_stay", extra={"folder": str(self._home.cgroup.cpu)})
        remove_leftovers(self._folder, self._files)

    def _remove(self, compute: str) -> bool:
        return cgroup_home.removed(self._files, self._home.cgroup.below(compute))


def limits_of(
    folder: StateFolder,
    files: Files | None = None,
    around: Callable[[], Surroundings] = cgroup_home.surroundings,
) -> Limits:
    """As far as this process may, which has no children yet."""
    files = files or Kernel()
    remove_leftovers(folder, files)
    try:
        return _found(folder, files, around())
    except MayNot as why:
        reason = str(why)
    except (OSError, ValueError) as error:
        # A kernel without cgroups, or a sandbox that shows other files than a kernel does.
        reason = f"what the kernel says of mounts and cgroups can't be read: {error}"
    log.info("nothing_is_limited", extra={"reason": reason})
    return Unlimited(reason)


def _found(folder: StateFolder, files: Files, around: Surroundings) -> Cgroups:
    """Raises MayNot."""
    kind = _kind(folder.databases, around)
    if kind in IN_MEMORY:
        # Its files would count as what its computes use, and the kernel can't take them back.
        raise MayNot(f"{folder.databases} is in memory itself ({kind})")
    home = cgroup_home.found(files, around, _name(folder))
    log.info("limited", extra={"cgroup": str(home.cgroup.cpu)})
    return Cgroups(files, home, folder)


def _kind(folder: Path, around: Surroundings) -> str:
    device = folder.stat().st_dev
    return kind_of(around.mounts, f"{os.major(device)}:{os.minor(device)}")


def _name(folder: StateFolder) -> str:
    """No other state folder of this machine has it, in whatever container that is."""
    found = folder.root.stat()
    return f"torpor-{found.st_dev:x}-{found.st_ino:x}"


def remove_leftovers(folder: StateFolder, files: Files | None = None) -> None:
    """Of a `torpor up` of this state folder that has ended; nothing of anybody else's."""
    places = [place for place in _remembered(folder) if place.name == _name(folder)]
    left = [place for place in places if not cgroup_home.emptied(files or Kernel(), place)]
    _remember(folder, left)


def _remembered(folder: StateFolder) -> list[Path]:
    with contextlib.suppress(FileNotFoundError):
        return [Path(line) for line in folder.cgroups.read_text().splitlines()]
    return []


def _remember(folder: StateFolder, places: Iterable[Path]) -> None:
    text = "".join(f"{place}\n" for place in dict.fromkeys(places))
    if text:
        folder.cgroups.write_text(text)
    else:
        folder.cgroups.unlink(missing_ok=True)


def _size(cu: Decimal) -> AgentSize:
    return AgentSize(cpu_milli=cpu_milli(cu), memory_bytes=memory_bytes(cu))


def _until(is_done: Callable[[], bool]) -> bool:
    """Whether it was in time."""
    deadline = time.monotonic() + GONE_SECONDS_MAX
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True
