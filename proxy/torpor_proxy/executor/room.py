"""The room that one compute has: sessions take places in turn, and the idlest make way.

While nobody waits for a place nothing happens here. Once somebody does, the sessions that have been
idle for longest are parked, as many as are missing. One whose client asks again and again keeps its
place for a tenure and is parked at its next safe point then; how long that is, and for how long a
client that pauses is waited for, follows from what a change of places takes (``core/turns.py``). A
session that is pinned keeps its place.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import Counter
from collections.abc import Callable, Collection, Coroutine
from time import monotonic
from typing import Protocol

from torpor_proxy.core.places import UNLIMITED, Places
from torpor_proxy.core.turns import Turns
from torpor_proxy.executor.host import Identity

PAUSE_SECONDS_MIN = 0.005
"""A client that has not asked again by then may well be about to think: its session makes way."""

TENURES_MAX = 10
"""To which changes that take long may stretch a tenure."""

LOOK_AGAIN_SECONDS = PAUSE_SECONDS_MIN
"""While somebody waits. Nobody tells that a session has become idle for long enough."""

KEPT_FOR_LISTENERS = 1
"""Of the connections: a session that listens can't be parked before somebody else listens, and when
nobody makes way for want of a listener, there would never be room for one."""

REASONS_MAX = 3
"""In one sentence for a client; there are seldom more kinds."""


class Guest(Protocol):
    """An attached session, as far as its place goes."""

    identity: Identity
    last_used: float
    since: float
    """When it was attached."""

    @property
    def is_at_rest(self) -> bool: ...

    @property
    def can_be_let_go(self) -> bool: ...

    @property
    def needs_capture(self) -> bool: ...

    @property
    def is_pinned(self) -> bool: ...

    @property
    def reason(self) -> str: ...

    def park(self) -> Coroutine[None, None, None]:
        """Begins at once; to be awaited."""


class Place:
    """The right to one connection to the compute of one epoch.

    Whoever has it frees it once its connection is gone, or when it makes none.
    """

    __slots__ = ("_free", "epoch", "is_bound")

    def __init__(self, epoch: int, free: Callable[[], None]) -> None:
        self.epoch = epoch
        self.is_bound = False
        """The end of a connection frees it."""
        self._free: Callable[[], None] | None = free

    def free(self) -> None:
        """Again: nothing."""
        free, self._free = self._free, None
        if free is not None:
            free()


class Room:
    """Of the compute that serves a database now."""

    def __init__(
        self,
        attached: Collection[Guest],
        tenure_s: float,
        patience_s: float,
        pressure_changed: Callable[[], None],
        others: Callable[[], int],
    ) -> None:
        self.is_pressed = False
        """Somebody waits, and nobody is about to make way: safe points are waited for."""
        self._attached = attached
        self._tenure_s = tenure_s
        self._pressure_changed = pressure_changed
        self._others = others
        """Connections that take no place: the common listeners'."""
        self._accepts = UNLIMITED
        self._places = Places()
        self._turns = Turns(PAUSE_SECONDS_MIN, TENURES_MAX * tenure_s, patience_s)
        self._epoch = 0
        self._admitted: dict[int, asyncio.Future[int]] = {}
        """Of each that waits, with the epoch in the end."""
        self._parking: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None

    def serve(self, epoch: int, limit: int) -> None:
        """The compute of this epoch accepts so many connections; 0: not known."""
        if epoch != self._epoch:
            self._epoch = epoch
            self._places.begin()
            self._turns.begin()
        self._accepts = limit or self._accepts
        self._changed()

    @property
    def _limit(self) -> int:
        if self._accepts == UNLIMITED:
            return UNLIMITED
        return max(1, self._accepts - self._others() - KEPT_FOR_LISTENERS)

    # --- who comes and goes -----------------------------------------------------------

    async def enter(self, who: int) -> Place:
        """Wait for a place. The caller bounds the time; who gives up leaves the queue.

        ``who`` has one place at a time: the next one only when the connection before is gone.
        """
        admitted = self._admitted[who] = asyncio.get_running_loop().create_future()
        self._places.ask(who)
        self._changed()
        try:
            epoch = await admitted
        except BaseException:
            self._gives_up(who, admitted)
            raise
        return Place(epoch, lambda: self._freed(who, epoch))

    def _gives_up(self, who: int, admitted: asyncio.Future[int]) -> None:
        if admitted.done() and not admitted.cancelled():
            # It was admitted in the moment in which it gave up.
            self._freed(who, admitted.result())
        else:
            self._admitted.pop(who, None)
            self._places.give_up(who)
            self._changed()

    def _freed(self, who: int, epoch: int) -> None:
        # The places of a compute that is gone are gone with it.
        if epoch == self._epoch:
            self._places.free(who)
            self._turns.left(who, monotonic())
            self._changed()

    def arrived(self, who: int) -> None:
        """It is attached: its client is served."""
        self._turns.has_come(who, monotonic())

    def detached(self, who: int) -> None:
        """It has let its connection go, of which the server takes notice in a moment."""
        self._places.leaves(who)

    # --- who makes way ----------------------------------------------------------------

    def at_safe_point(self, guest: Guest) -> None:
        """It could be parked now."""
        if self._places.missing > 0 and self._has_stayed(guest, monotonic()):
            self._park(guest)
            self._changed()

    def refused(self) -> None:
        """The compute is full in spite of its word: others have come past the proxy."""
        self._park_idlest(1)

    def _changed(self) -> None:
        """Admit whoever's turn it is, and see that others make way for those who wait."""
        self._places.limit = self._limit
        for who in self._places.admitted():
            admitted = self._admitted.pop(who)
            if admitted.cancelled():
                # Its task has been told, but has not had its turn to say that it gives up.
                self._places.free(who)
            else:
                admitted.set_result(self._epoch)
                self._turns.comes(who, monotonic())
        if self._limit != UNLIMITED:
            self._turns.rounds = self._places.waiting / self._limit
        if self._places.missing > 0 and self._timer is None:
            self._park_idlest(self._places.missing)
            if self._places.missing > 0:
                loop = asyncio.get_running_loop()
                self._timer = loop.call_later(LOOK_AGAIN_SECONDS, self._look_again)
        is_pressed = self._places.missing > 0
        if is_pressed != self.is_pressed:
            self.is_pressed = is_pressed
            self._pressure_changed()

    def _look_again(self) -> None:
        self._timer = None
        self._changed()

    def _park_idlest(self, count: int) -> None:
        now = monotonic()
        idle = [guest for guest in self._attached if self._may_go(guest, now)]
        for guest in heapq.nsmallest(count, idle, key=lambda each: each.last_used):
            self._park(guest)

    def _may_go(self, guest: Guest, now: float) -> bool:
        is_idle = guest.needs_capture or (guest.can_be_let_go and guest.is_at_rest)
        pauses = now - guest.last_used >= self._turns.pause_s
        return is_idle and (pauses or self._has_stayed(guest, now))

    def _has_stayed(self, guest: Guest, now: float) -> bool:
        return now - guest.since >= self._turns.tenure_s(self._tenure_s)

    def _park(self, guest: Guest) -> None:
        """Where it turns out to be pinned, it stays."""
        self._places.leaves(guest.identity.number)
        self._turns.leaves(guest.identity.number, monotonic())
        task = asyncio.get_running_loop().create_task(self._until_parked(guest, guest.park()))
        self._parking.add(task)
        task.add_done_callback(self._parking.discard)

    async def _until_parked(self, guest: Guest, parking: Coroutine[None, None, None]) -> None:
        await parking
        if guest in self._attached:
            # What was found pins it: somebody else has to go.
            self._places.stays(guest.identity.number)
            self._turns.stays(guest.identity.number)
            self._changed()

    # --- for a person -----------------------------------------------------------------

    @property
    def is_full(self) -> bool:
        """Whether all places are taken."""
        return self._accepts != UNLIMITED and len(self._places) >= self._limit

    def why_full(self) -> str:
        """Who has the places, in words."""
        pinned = [guest.reason for guest in self._attached if guest.is_pinned]
        busy = [g.reason for g in self._attached if not g.is_pinned and not g.can_be_let_go]
        kinds = Counter(filter(None, pinned + busy)).most_common(REASONS_MAX)
        words = "; ".join(f"{count} × {reason}" for reason, count in kinds)
        return (
            f"its compute accepts {self._accepts} connections and {len(self._places)} are "
            f"taken, {len(pinned)} by pinned sessions" + (f": {words}" if words else "")
        )
