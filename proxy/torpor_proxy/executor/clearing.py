"""Behind a closed gate: every session of a database leaves its compute, or nothing changes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine
from time import monotonic

from torpor_api.failures import Busy
from torpor_api.messages import SessionReport
from torpor_proxy.executor.examining import Examining
from torpor_proxy.executor.listing import reasons_of
from torpor_proxy.executor.session import Session

CLEAR_AGAIN_SECONDS = 0.05
"""Between two looks at the sessions that have not come to a safe point, if none of them moves."""

REPORTS_MAX = 3
"""Told to who asked for a suspend."""


class Clearing:
    """Of one endpoint.

    Whoever listens is handed over to the common listener, which hears on: as long as the gates of
    other proxies are open, their sessions may notify.
    """

    def __init__(
        self,
        attached: Collection[Session],
        returning: Callable[[], list[Session]],
        examining: Examining,
        reports: Callable[[], list[SessionReport]],
        start: Callable[[Coroutine[None, None, None]], asyncio.Task[None]],
        watch: Callable[[], None],
    ) -> None:
        """``returning``: who has come through the gate and is being put back; soon it is attached.
        ``reports``: who needs the compute. ``start``: a task of the endpoint's. ``watch``:
        whether safe points are waited for may have changed."""
        self.is_patient = False
        """Sessions are parked as they reach their safe points."""
        self._attached = attached
        self._returning = returning
        self._reports = reports
        self._examining = examining
        self._start = start
        self._watch = watch
        self._moved = asyncio.Event()

    def moved(self) -> None:
        """A session has changed its state."""
        self._moved.set()

    async def at_once(self) -> None:
        """Raises Busy where a session is in use."""
        self._refuse_if_busy()
        await self._examining.examine([s for s in self._attached if s.needs_capture])
        self._refuse_if_busy()
        if not all(s.can_be_let_go and s.is_at_rest for s in self._attached):
            raise Busy("a session was used at the last moment")
        for session in [s for s in self._attached if not s.listens]:
            session.let_go()
        await self._examining.park(list(self._attached))
        if self._attached:
            words = reasons_of(list(self._attached))
            raise Busy(words or "a session was used at the last moment")

    async def patiently(self, deadline: float, *, insists: bool) -> None:
        """Park each session where it comes to a safe point. Raises Busy at the deadline; if it
        ``insists``, whoever is left then keeps its backend, and listeners theirs: they hear it."""
        self.is_patient = True
        self._watch()
        again_at: dict[Session, float] = {}
        try:
            while there := [*self._attached, *self._returning()]:
                pinned = [s for s in there if s.is_pinned and not s.known.pins.is_passing]
                is_over = monotonic() > deadline
                if insists and (is_over or len(pinned) == len(there)):
                    return
                if is_over or (pinned and not insists):
                    raise Busy(reasons_of(pinned or there))
                self._moved.clear()
                for session in list(self._attached):
                    if session not in pinned and monotonic() >= again_at.get(session, 0.0):
                        if session.is_pinned:  # For now: to be asked is a move of it as well.
                            again_at[session] = monotonic() + CLEAR_AGAIN_SECONDS
                        self._start(session.park(insists=True))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._moved.wait(), CLEAR_AGAIN_SECONDS)
        finally:
            self.is_patient = False
            self._watch()

    def _refuse_if_busy(self) -> None:
        reports = self._reports()[:REPORTS_MAX]
        if reports:
            raise Busy("; ".join(f"session {r.session} of {r.user} {r.reason}" for r in reports))
