"""Which statement may begin: what had ended before it in the log ends before it now. Pure.

Clients wait for each other: what one session has written, another reads a moment later. Time alone
would not keep that, because the first statement behind a sleep takes longer than it did, and those
behind it would be there before it is done. So a statement waits for every one, of any session, that
had ended before it began. Statements that overlapped may overlap again.

No wait is for ever: of the statements that are left, the one that began first waits for nobody.
"""

from __future__ import annotations

from heapq import heappop, heappush
from math import inf
from typing import Final

from torpor_cli.replay.statement import Statement

PRECISION_S: Final = 0.001
"""A log's times are cut to milliseconds, so what seems to overlap by less may not have."""


class Order:
    """Of all sessions of one replay."""

    def __init__(self) -> None:
        self._ends: list[tuple[float, int]] = []
        """Of the statements that have not ended, by when they did in the log; of others too, until
        they come to the front."""
        self._unfinished: set[int] = set()
        self._last = 0
        self.opened_s = -inf
        """Every session that began before this is known."""

    @property
    def limit_s(self) -> float:
        """Whatever began until then may begin."""
        while self._ends and self._ends[0][1] not in self._unfinished:
            heappop(self._ends)
        return min(self._ends[0][0] if self._ends else inf, self.opened_s)

    def expect(self, statement: Statement) -> int:
        """The next one of its session, said before the one ahead of it is ``done``."""
        self._last += 1
        ended_s = statement.begin_s + (statement.took_ms or 0.0) / 1000
        heappush(self._ends, (max(ended_s - PRECISION_S, statement.begin_s), self._last))
        self._unfinished.add(self._last)
        return self._last

    def done(self, number: int) -> None:
        """It has ended, or will never begin; ``number``: as it was expected."""
        self._unfinished.discard(number)
