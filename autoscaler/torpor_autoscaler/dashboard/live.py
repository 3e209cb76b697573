"""Keeps the board up to date while somebody looks, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
from collections.abc import Callable, Iterator

from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_autoscaler.dashboard.board import SLICE_MAX, Board, Changes, Mark
from torpor_autoscaler.dashboard.tile import FIELDS
from torpor_autoscaler.ports import FleetDesk

BEAT_S = 1.0
"""An eye follows no faster, and what changes twice within it is sent once."""

VIEWERS_MAX = 32
"""Pages that are open at a time: each is a connection that stays."""

KEPT_S = 60.0
"""After the last viewer; a page that is loaded anew finds the board as it is."""

GZIP_LEVEL = 1
"""A sixth of the bytes; higher levels take thrice the time for a tenth less."""


class Live:
    """``whole`` is what a page begins with, ``watching`` and ``since`` what it goes on with."""

    def __init__(self, desk: FleetDesk, now: Callable[[], float]) -> None:
        """``now``: seconds of a clock that never goes back."""
        self._desk = desk
        self._now = now
        self._board: Board | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._viewers = 0
        self._looked_at = now()
        self._news = asyncio.Event()

    def touched(self, name: str) -> None:
        """Its row may have changed; called often, and for nothing where nobody looks."""
        if self._board is not None:
            self._board.touched(name)

    async def whole(self) -> bytes:
        """All tiles as gzipped JSON, and the mark from which a viewer goes on."""
        board = await self._filled()
        tiles, mark = board.tiles(), board.mark
        return await asyncio.to_thread(_packed, tiles, mark)

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """One more viewer, for so long. Raises Unavailable where there are too many."""
        if self._viewers >= VIEWERS_MAX:
            raise Unavailable(f"{VIEWERS_MAX} pages are open already", "close one of them")
        self._viewers += 1
        try:
            yield
        finally:
            self._viewers -= 1
            self._looked_at = self._now()

    def since(self, mark: Mark, limit: int) -> Changes | None:
        """What is new; None where the viewer is to begin with the whole again."""
        return None if self._board is None else self._board.since(mark, limit)

    async def news(self, timeout_s: float) -> bool:
        """Whether something has changed within that time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._news.wait()
        except TimeoutError:
            return False
        return True

    def stir(self) -> None:
        """Wake all that wait for news, as if there were some."""
        # Whoever waits now is woken; whoever comes later waits for the next.
        self._news.set()
        self._news = asyncio.Event()

    async def close(self) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)

    async def _filled(self) -> Board:
        """In a task of its own: who asks first may hang up meanwhile."""
        self._looked_at = self._now()
        if self._keeping is None:
            self._keeping = asyncio.create_task(self._keep())
        await self._ready.wait()
        if self._board is None:
            raise Unavailable("the fleet can't be read now", "see the log of the autoscaler")
        return self._board

    async def _keep(self) -> None:
        try:
            self._board = Board()
            await self._fill(self._board)
            self._ready.set()
            while self._viewers or self._now() - self._looked_at < KEPT_S:
                await asyncio.sleep(BEAT_S)
                await self._refresh(self._board)
        finally:
            # Also after a defect: then viewers are told to begin anew.
            self._board = self._keeping = None
            self._ready.set()
            self._ready = asyncio.Event()
            self.stir()

    async def _fill(self, board: Board) -> None:
        after, has_more = "", True
        while has_more:
            page = self._desk.fleet(m.AskFleet(after=after, limit=SLICE_MAX))
            board.saw((), page.databases)
            has_more = page.has_more and bool(page.databases)
            after = page.databases[-1].name if page.databases else after
            await asyncio.sleep(0)

    async def _refresh(self, board: Board) -> None:
        before = board.mark
        for names in board.due():
            board.saw(names, self._desk.fleet(m.AskFleet(names=names)).databases)
            await asyncio.sleep(0)
        if board.mark != before:
            self.stir()


def _packed(tiles: tuple[str, ...], mark: Mark) -> bytes:
    head = json.dumps({"mark": str(mark), "fields": FIELDS})
    text = f'{head[:-1]},"tiles":[{",".join(tiles)}]}}'
    return gzip.compress(text.encode(), GZIP_LEVEL)
