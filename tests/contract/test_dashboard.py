"""The dashboard of a real autoscaler; cluster, agents and proxy are fakes behind real sockets."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from support.fakes.town import Town, apply, opened_town, sampling
from support.ports import free_address
from torpor_api import messages as m
from torpor_api.failures import Refused
from torpor_autoscaler.dashboard import live
from torpor_autoscaler.dashboard.web import TICKET
from torpor_autoscaler.settings import OfDashboard

WAIT_SECONDS_MAX = 20.0


@pytest.fixture
async def town(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Town]:
    monkeypatch.setattr(live, "BEAT_S", 0.01)
    async with opened_town() as made:
        apply(made, idleTimeout="1h")
        await made.start_agent()
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as made:
        yield made


class Viewer:
    """A browser that was let in."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self.url = url
        self._ticket = ""

    async def enter(self, link: str) -> None:
        url, headers = f"{self.url}/api/enter", {"Origin": self.url}
        async with self._session.post(url, json={"link": link}, headers=headers) as answer:
            self._ticket = (await answer.json())["ticket"]

    async def get(self, path: str) -> Any:
        headers = {TICKET: self._ticket}
        async with self._session.get(self.url + path, headers=headers) as answer:
            assert answer.status == 200
            return await answer.json()

    def events(self, mark: str) -> str:
        """Their address."""
        return f"{self.url}/api/events?since={mark}&ticket={self._ticket}"

    async def post(self, path: str, body: Any = None) -> int:
        headers = {"Origin": self.url, TICKET: self._ticket}
        async with self._session.post(self.url + path, json=body or {}, headers=headers) as answer:
            return answer.status

    async def until(self, mark: str, name: str, phase: str | None) -> None:
        """By what the stream tells from the mark on; None: it is gone."""
        timeout = aiohttp.ClientTimeout(total=WAIT_SECONDS_MAX)
        async with self._session.get(self.events(mark), timeout=timeout) as events:
            async for line in events.content:
                if line.startswith(b"data: "):
                    told = json.loads(line[6:])
                    if name in told["gone"] if phase is None else [name, phase] in _phases(told):
                        return
        raise AssertionError("the stream has ended")


def _phases(told: Any) -> list[list[str]]:
    return [tile[:2] for tile in told["tiles"]]


async def opened(town: Town, session: aiohttp.ClientSession) -> Viewer:
    told = await town.person(m.AskDashboard())
    viewer = Viewer(session, f"http://{told.host}:{told.port}")
    await viewer.enter(told.link)
    return viewer


async def test_a_page_follows_and_acts(town: Town, session: aiohttp.ClientSession) -> None:
    await town.start_autoscaler(dashboard=OfDashboard(free_address()))
    proxy = await town.register()
    viewer = await opened(town, session)
    whole = await viewer.get("/api/fleet")
    assert _phases(whole) == [["shop", "Suspended"]]
    assert await viewer.post("/api/databases/shop/resume") == 204
    await viewer.until(whole["mark"], "shop", "Active")
    story = await viewer.get("/api/databases/shop")
    assert story["row"]["phase"] == "Active"
    assert any("dashboard" in one["line"] for one in story["decisions"])
    async with sampling(proxy), asyncio.timeout(WAIT_SECONDS_MAX):
        # The proxy's first word has to come before its sessions are known.
        while await viewer.post("/api/databases/shop/suspend") != 204:
            await asyncio.sleep(0.02)
    await viewer.until(whole["mark"], "shop", "Suspended")


async def test_databases_come_and_go(town: Town, session: aiohttp.ClientSession) -> None:
    await town.start_autoscaler(dashboard=OfDashboard(free_address()))
    viewer = await opened(town, session)
    mark = (await viewer.get("/api/fleet"))["mark"]
    apply(town, "books")
    await viewer.until(mark, "books", "Suspended")
    town.cluster.delete("shop")
    await viewer.until(mark, "shop", None)


async def test_the_autoscaler_ends_while_a_page_is_open(
    town: Town, session: aiohttp.ClientSession
) -> None:
    await town.start_autoscaler(dashboard=OfDashboard(free_address()))
    viewer = await opened(town, session)
    mark = (await viewer.get("/api/fleet"))["mark"]
    async with session.get(viewer.events(mark)) as events:
        await town.stop_autoscaler()
        assert await events.content.read() is not None
    await town.start_autoscaler()


async def test_without_a_dashboard_nobody_is_given_a_link(town: Town) -> None:
    await town.start_autoscaler()
    with pytest.raises(Refused, match="no dashboard is served"):
        await town.person(m.AskDashboard())


async def test_a_port_that_is_taken_hinders_no_database(town: Town) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = free_address()
        wanted = OfDashboard(type(address)(*taken.getsockname()))
        await town.start_autoscaler(dashboard=wanted)
        with pytest.raises(Refused, match="can't be served"):
            await town.person(m.AskDashboard())
        page = await town.person(m.AskFleet())
        assert [row.name for row in page.databases] == ["shop"]


async def test_pages_of_the_fleet_are_as_small_as_they_are_asked_for(town: Town) -> None:
    for name in ("books", "wiki"):
        apply(town, name)
    await town.start_autoscaler()
    first = await town.person(m.AskFleet(limit=2))
    assert [row.name for row in first.databases] == ["books", "shop"] and first.has_more
    second = await town.person(m.AskFleet(after="shop", limit=2))
    assert [row.name for row in second.databases] == ["wiki"] and not second.has_more
