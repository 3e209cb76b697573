"""Tells at once when something in a folder changes, by inotify.

Where the kernel gives no watch (its number for each user is limited), it looks again every few
milliseconds instead: whoever is told must look for itself in any case.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from pathlib import Path

_IN_MODIFY = 0x2
_IN_MOVED_TO = 0x80
_IN_CREATE = 0x100
_IN_ONLYDIR = 0x1000000
_IN_DONT_FOLLOW = 0x2000000

_EVENTS_BYTES = 1 << 16

_POLL_SECONDS = 0.002

_libc = ctypes.CDLL(None, use_errno=True)


class FolderWatch:
    """Calls ``on_change`` from the event loop until it is closed."""

    def __init__(self, folder: Path, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._descriptor = _watch(folder)
        if self._descriptor is None:
            self._look_later()
        else:
            self._loop.add_reader(self._descriptor, self._events)

    @property
    def is_polling(self) -> bool:
        return self._descriptor is None

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._descriptor is not None:
            self._loop.remove_reader(self._descriptor)
            # The kernel takes about 10 ms to let go of a watch, and nobody has to wait for that.
            self._loop.run_in_executor(None, os.close, self._descriptor)

    def _events(self) -> None:
        assert self._descriptor is not None
        os.read(self._descriptor, _EVENTS_BYTES)
        self._on_change()

    def _look_later(self) -> None:
        self._timer = self._loop.call_later(_POLL_SECONDS, self._look)

    def _look(self) -> None:
        self._on_change()
        self._look_later()


def _watch(folder: Path) -> int | None:
    descriptor: int = _libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if descriptor < 0:
        return None
    events = _IN_MODIFY | _IN_CREATE | _IN_MOVED_TO | _IN_ONLYDIR | _IN_DONT_FOLLOW
    if _libc.inotify_add_watch(descriptor, os.fsencode(folder), events) < 0:
        os.close(descriptor)
        return None
    return descriptor
