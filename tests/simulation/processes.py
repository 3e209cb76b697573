"""Processes in virtual time that can be stopped where they stand, as by SIGSTOP, and go on later.

All that a process does runs in its own context, which tasks and callbacks inherit; while it stands
still nothing of that context runs, and what it waited for has come when it goes on.
"""

from __future__ import annotations

import asyncio
from asyncio.events import Handle, TimerHandle
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from typing import TypeVarTuple

from simulation.virtual_time import VirtualLoop

Name = str

ArgsT = TypeVarTuple("ArgsT")

_OF: ContextVar[Name] = ContextVar("process", default="")


def context_of(process: Name) -> Context:
    """For all that it does."""
    context = copy_context()
    context.run(_OF.set, process)
    return context


class Machine(VirtualLoop):
    """The loop of several processes."""

    def __init__(self, after_turn: Callable[[], None]) -> None:
        self._still: dict[Name, list[Handle]] = {}
        super().__init__(after_turn)

    def stand_still(self, process: Name) -> None:
        self._still.setdefault(process, [])

    def go_on(self, process: Name) -> None:
        """With everything that has become due meanwhile, in that order."""
        for handle in self._still.pop(process, []):
            super().call_soon(_unless_cancelled, handle)

    def call_soon(
        self,
        callback: Callable[[*ArgsT], object],
        *args: *ArgsT,
        context: Context | None = None,
    ) -> Handle:
        context = copy_context() if context is None else context
        held = self._still.get(context.get(_OF, ""))
        if held is None:
            return super().call_soon(callback, *args, context=context)
        handle = Handle(callback, args, self, context)
        held.append(handle)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*ArgsT], object],
        *args: *ArgsT,
        context: Context | None = None,
    ) -> TimerHandle:
        context = copy_context() if context is None else context
        timers: list[TimerHandle] = []

        def due() -> None:
            held = self._still.get(context.get(_OF, ""))
            if held is None:
                callback(*args)
            else:
                held.append(Handle(later, (), self, context))

        def later() -> None:
            if not timers[0].cancelled():
                callback(*args)

        timers.append(super().call_at(when, due, context=context))
        return timers[0]


def _unless_cancelled(handle: Handle) -> None:
    if not handle.cancelled():
        handle._run()


def machine() -> Machine:
    """The running loop."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Machine)
    return loop
