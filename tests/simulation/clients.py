"""Clients: each connects through a proxy, queries, commits, pauses, and sometimes holds state."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from simulation.town import WAKE_DEADLINE_S, Town
from support.fakes.proxy import FakeProxy
from support.fakes.proxy_session import FakeSession
from torpor_api.failures import Failure

RECONNECT_S = 0.2

ATTACH_S_MAX = 6 * WAKE_DEADLINE_S
"""A client may have to ask several times; while faults are on nothing better is promised."""


@dataclass
class Ledger:
    """What clients were told: commits that were acknowledged, and how often things went wrong."""

    acknowledged: dict[str, list[str]] = field(default_factory=dict)
    refusals: int = 0
    broken_queries: int = 0

    def acknowledge(self, database: str, commit: str) -> None:
        self.acknowledged.setdefault(database, []).append(commit)

    @property
    def commits(self) -> int:
        return sum(map(len, self.acknowledged.values()))


class Client:
    """One client for the whole run; it connects again whenever its proxy dies."""

    def __init__(self, town: Town, name: str, database: str, proxy: str, ledger: Ledger) -> None:
        self._town = town
        self._random = town.random
        self._name = name
        self._database = database
        self._proxy_name = proxy
        self._ledger = ledger
        self._commits = 0
        self.pauses_s = 3.0

    async def live(self) -> None:
        while True:
            proxy = self._town.proxies.get(self._proxy_name)
            if proxy is None or proxy.is_draining or self._database not in proxy.gates:
                await asyncio.sleep(RECONNECT_S)
                continue
            session = proxy.connect(self._database)
            while self._is_connected(proxy, session):
                await asyncio.sleep(self._random.expovariate(1 / self.pauses_s))
                await self._transact(proxy, session)
                await self._hold_state(session)

    def _is_connected(self, proxy: FakeProxy, session: FakeSession) -> bool:
        gate = proxy.gates.get(self._database)
        is_there = self._town.proxies.get(self._proxy_name) is proxy
        return is_there and gate is not None and session in gate.sessions

    async def _transact(self, proxy: FakeProxy, session: FakeSession) -> None:
        try:
            async with asyncio.timeout(ATTACH_S_MAX):
                await proxy.attach(session)
        except (Failure, TimeoutError):
            self._ledger.refusals += 1
            return
        session.is_busy = True
        try:
            await asyncio.sleep(self._random.expovariate(1 / 0.05))
            self._commit(session)
        finally:
            session.is_busy = False
            gate = proxy.gates.get(self._database)
            if gate is not None:
                gate.used_at = self._town.clock.now()

    def _commit(self, session: FakeSession) -> None:
        backend = session.backend
        if backend is None or session.is_lost or backend.volume is None:
            self._ledger.broken_queries += 1
            session.backend = None
            return
        self._commits += 1
        what = f"{self._name}-{self._commits}"
        backend.volume.commit(backend.compute, what)
        self._ledger.acknowledge(self._database, what)

    async def _hold_state(self, session: FakeSession) -> None:
        if session.backend is not None and self._random.random() < 0.1:
            session.pinned = "holds advisory lock 42"
            await asyncio.sleep(self._random.expovariate(1 / 2.0))
            session.pinned = ""


async def keep_proxy_alive(town: Town, proxy: FakeProxy) -> None:
    """What a proxy's process does: register, report every second, and begin again when it must."""
    while town.proxies.get(proxy.name) is proxy:
        life = town.life
        if not life.knows(proxy):
            try:
                await proxy.register()
            except Failure:
                await asyncio.sleep(RECONNECT_S)
                continue
        proxy.tell(proxy.sample())
        await asyncio.sleep(town.random.uniform(0.5, 1.0))
