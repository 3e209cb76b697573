"""What a client has prepared, and what it is about to be answered: bounded in number."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from torpor_proxy.console.faults import (
    PortalThere,
    PortalUnknown,
    StatementThere,
    StatementUnknown,
    TooMuch,
)
from torpor_proxy.console.statements import Statement
from torpor_proxy.console.values import Row
from torpor_proxy.core.refusals import Refused

STATEMENTS_MAX = 200
"""Prepared by one client; there are not half as many commands."""

PORTALS_MAX = 5
"""Open at a time; each may keep a page of rows, or ten thousand sessions, for as long as its client
asks for no more of them."""


@dataclass(frozen=True, slots=True)
class Notice:
    """Said beside the rows."""

    words: str


Told = AsyncGenerator[Row | Notice, None]


@dataclass(frozen=True, slots=True)
class Prepared:
    """None: the empty statement."""

    statement: Statement | None
    oids: tuple[int, ...] = ()


@dataclass(slots=True)
class Portal:
    """A statement with its parameters; ``told`` once it runs."""

    statement: Statement | None
    formats: tuple[int, ...] = ()
    told: Told | None = None

    async def close(self) -> None:
        if self.told is not None:
            await self.told.aclose()


class Portals:
    """Those of one client, and its prepared statements."""

    def __init__(self) -> None:
        self._prepared: dict[str, Prepared] = {}
        self._open: dict[str, Portal] = {}

    def prepare(self, name: str, prepared: Prepared) -> None:
        """Without a name in place of the one before. Raises Refused."""
        if name and name in self._prepared:
            raise Refused(StatementThere(name))
        if name not in self._prepared and len(self._prepared) >= STATEMENTS_MAX:
            raise Refused(TooMuch(f"more than {STATEMENTS_MAX} statements are prepared"))
        self._prepared[name] = prepared

    def prepared(self, name: str) -> Prepared:
        """Raises Refused."""
        found = self._prepared.get(name)
        if found is None:
            raise Refused(StatementUnknown(name))
        return found

    def forget(self, name: str | None) -> None:
        """None: all. One that is not there is as good."""
        if name is None:
            self._prepared.clear()
        else:
            self._prepared.pop(name, None)

    async def open(self, name: str, portal: Portal) -> None:
        """Without a name in place of the one before. Raises Refused."""
        if name and name in self._open:
            raise Refused(PortalThere(name))
        if name not in self._open and len(self._open) >= PORTALS_MAX:
            raise Refused(TooMuch(f"more than {PORTALS_MAX} portals are open"))
        await self.close(name)
        self._open[name] = portal

    def portal(self, name: str) -> Portal:
        """Raises Refused."""
        found = self._open.get(name)
        if found is None:
            raise Refused(PortalUnknown(name))
        return found

    async def close(self, name: str) -> None:
        portal = self._open.pop(name, None)
        if portal is not None:
            await portal.close()

    async def close_all(self) -> None:
        """At the end of a transaction."""
        for name in list(self._open):
            await self.close(name)
