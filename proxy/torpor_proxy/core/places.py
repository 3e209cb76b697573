"""Who has a place at a compute, whose place is about to become free, and who waits for one. Pure.

A compute accepts so many connections, and a place is the right to one of them. It is taken before
the connection is made and free once the server has let it go; so nobody is refused for want of room
as long as all come this way. Whoever waits is served in turn, and has one place at a time.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

UNLIMITED = 0
"""As a limit: it is not known how many the compute accepts; it refuses them itself."""


class Places:
    """Of one compute after the other. Whoever may have a place is known by a number."""

    def __init__(self) -> None:
        self.limit = UNLIMITED
        self._taken: set[int] = set()
        self._leaving: set[int] = set()
        """Of ``_taken``: those that will be free without more ado."""
        self._waiting: OrderedDict[int, None] = OrderedDict()

    def __len__(self) -> int:
        """How many are taken."""
        return len(self._taken)

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def missing(self) -> int:
        """How many more have to leave so that all who wait get a place."""
        if self.limit == UNLIMITED:
            return 0
        return len(self._waiting) + len(self._taken) - len(self._leaving) - self.limit

    def ask(self, who: int) -> None:
        """From now on it waits; ``admitted`` says when it has a place."""
        assert who not in self._waiting, "it waits already"
        self._waiting[who] = None

    def give_up(self, who: int) -> None:
        """It waits no more."""
        self._waiting.pop(who, None)

    def admitted(self) -> Iterator[int]:
        """Those whose turn it is, in turn: they have a place now."""
        while (who := self._next()) is not None:
            del self._waiting[who]
            self._taken.add(who)
            yield who

    def _next(self) -> int | None:
        if self.limit != UNLIMITED and len(self._taken) >= self.limit:
            return None
        # One whose old connection still ends is not to have two, but keeps its turn.
        return next((who for who in self._waiting if who not in self._taken), None)

    def leaves(self, who: int) -> None:
        """Its place, if it has one, is about to become free."""
        if who in self._taken:
            self._leaving.add(who)

    def stays(self, who: int) -> None:
        """It does not leave after all."""
        self._leaving.discard(who)

    def free(self, who: int) -> None:
        """Its place is free."""
        self._taken.discard(who)
        self._leaving.discard(who)

    def begin(self) -> None:
        """Another compute, where all places are free; whoever waits still waits, in its turn."""
        self._taken.clear()
        self._leaving.clear()
