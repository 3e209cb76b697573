"""Clients of an operator console, and an autoscaler that answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from support.fakes.session import FakeStream
from torpor_api import messages as m
from torpor_api.console import ConsoleRight, ConsoleRole
from torpor_api.failures import NotFound
from torpor_api.phases import Phase
from torpor_api.scram import verifier_of
from torpor_proxy.console.answers import Here
from torpor_proxy.console.sessions import ConsoleSessions, Entrance
from torpor_proxy.core import wire
from torpor_proxy.core.routing import Route
from torpor_proxy.settings import Settings

VERIFIER = str(verifier_of("secret", b"0123456789abcdef"))

ROLES = {
    name: ConsoleRole(name=name, right=right, verifier=VERIFIER)
    for name, right in (("torpor", ConsoleRight.ADMIN), ("viewer", ConsoleRight.SHOW))
}

PAGE = 1000

TURNS_MAX = 10_000


class FakeDesk:
    """So many databases, and what was asked about them."""

    def __init__(self, databases: int = 3) -> None:
        self.databases = databases
        self.sessions = 0
        """Of each."""
        self.asked: list[m.Request[Any]] = []
        self.holds = asyncio.Event()
        self.holds.set()
        self.failure: Exception | None = None

    async def ask(self, request: m.Request[Any], *, timeout_s: float) -> Any:
        self.asked.append(request)
        await self.holds.wait()
        if self.failure is not None:
            raise self.failure
        match request:
            case m.AskFleet(after=after):
                first = int(after[2:]) + 1 if after else 0
                numbers = range(first, min(first + PAGE, self.databases))
                has_more = first + PAGE < self.databases
                found = tuple(_row(number) for number in numbers)
                return m.FleetPage(databases=found, has_more=has_more, at="")
            case m.Sessions() if self.sessions:
                there = tuple(_session(number) for number in range(self.sessions))
                return m.SessionList(sessions=there, total=self.sessions)
            case m.Suspend():
                return m.Done()
            case m.Switchover():
                return m.SwitchedOver(epoch=8, compute="c2", pause_ms=31.5)
            case m.Resize(cu=cu):
                return m.Resized(cu=cu)
            case m.Why(name=name):
                reasons = ("session 7 is busy", "it was resumed")
                return m.WhyReply(name=name, phase=Phase.ACTIVE, reasons=reasons)
        raise NotFound(f"no database {getattr(request, 'name', '')!r}")


def _row(number: int) -> m.DatabaseRow:
    return m.DatabaseRow(
        name=f"db{number:05}", phase=Phase.SUSPENDED, cu=Decimal("0.25"), max_cu=Decimal(2), epoch=1
    )


def _session(number: int) -> m.SessionInfo:
    return m.SessionInfo(
        session=number,
        user="app",
        dbname="app",
        application="worker",
        client=f"10.0.0.1:{number}",
        state=m.SessionStanding.PARKED,
        since_s=1.5,
    )


class World:
    """The console of one proxy, and clients of it."""

    def __init__(self, desk: FakeDesk, **settings: Any) -> None:
        self.desk = desk
        self.roles = dict(ROLES)
        entrance = Entrance(self.roles.get, ("127.0.0.0/8",))
        here = Here("proxy-1", "1.2.3", list)
        self.console = ConsoleSessions(replace(Settings(), **settings), entrance, desk, here)

    def enters(self, user: str = "torpor", pending: bytes = b"") -> Guest:
        stream = FakeStream()
        route = Route("torpor", user, "torpor", (("application_name", "psql"),))
        self.console.enter(route, stream, "127.0.0.1:5000", True, pending)
        return Guest(stream)


class Guest:
    """What one client sends and hears."""

    def __init__(self, stream: FakeStream) -> None:
        self.stream = stream

    async def hears(self, kind: bytes = b"Z") -> list[tuple[bytes, bytes]]:
        """Up to a message of this kind."""
        found: list[tuple[bytes, bytes]] = []
        await until(lambda: any(each[0] == kind for each in self._more(found)))
        return found

    def _more(self, found: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        found += self.stream.taken()
        return found

    async def asks(self, *messages: bytes) -> list[tuple[bytes, bytes]]:
        self.stream.sends(b"".join(messages))
        return await self.hears()

    async def says(self, sql: str) -> list[tuple[bytes, bytes]]:
        return await self.asks(wire.query(sql))


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(TURNS_MAX):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never comes")


def kinds(messages: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(kind for kind, _ in messages)


def rows(messages: list[tuple[bytes, bytes]]) -> list[tuple[bytes | None, ...]]:
    return [tuple(wire.row(body)) for kind, body in messages if kind == b"D"]


def error(messages: list[tuple[bytes, bytes]]) -> dict[str, str]:
    (body,) = [body for kind, body in messages if kind == b"E"]
    return wire.report_fields(body)


def tags(messages: list[tuple[bytes, bytes]]) -> list[bytes]:
    return [body[:-1] for kind, body in messages if kind == b"C"]


async def settle() -> None:
    for _ in range(100):
        await asyncio.sleep(0)


async def gone(world: World) -> None:
    async with asyncio.timeout(10):
        while len(world.console):
            await asyncio.sleep(0.001)
