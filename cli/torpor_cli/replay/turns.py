"""Sessions wait here for their turn, as :mod:`torpor_cli.replay.order` has it."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from math import inf
from typing import Final

from torpor_cli.replay.order import Order
from torpor_cli.replay.statement import Statement

TURN_SECONDS_MAX: Final = 30.0
"""A statement that is held up for longer may wait for its own session: for a lock of the kind that
outlives a transaction. Then it goes out of order, which is told."""


class Turns:
    """Of one replay."""

    def __init__(self) -> None:
        self._order = Order()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []
        self._last = 0

    def opened_until(self, log_s: float = inf) -> None:
        """No session that is still to open begins before this; or nobody waits for such a one."""
        self._order.opened_s = log_s
        self._let()

    def expect(self, statement: Statement | None) -> int:
        """The number by which it is ``done``; None: there is no further one."""
        return 0 if statement is None else self._order.expect(statement)

    def done(self, number: int) -> None:
        self._order.done(number)
        self._let()

    async def come(self, statement: Statement) -> bool:
        """When it is its turn; False: it has waited for too long."""
        if statement.begin_s <= self._order.limit_s:
            return True
        self._last += 1
        turn = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (statement.begin_s, self._last, turn))
        try:
            await asyncio.wait_for(turn, TURN_SECONDS_MAX)
        except TimeoutError:
            return False
        return True

    def _let(self) -> None:
        limit_s = self._order.limit_s
        while self._waiting and self._waiting[0][0] <= limit_s:
            turn = heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
