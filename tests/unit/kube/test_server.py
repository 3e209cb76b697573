"""The client: repeated where nothing was done, bounded in time, logged in anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from support.fake_kube.server import FakeKube
from torpor_api.failures import Conflict, NotFound, Unavailable
from torpor_kube.kinds import CONFIG_MAP
from torpor_kube.login import at
from torpor_kube.server import ApiServer

ONE: dict[str, Any] = {"metadata": {"name": "one", "namespace": "default"}}


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with FakeKube().serving() as serving:
        yield serving


@pytest.fixture
async def kube(fake: FakeKube) -> AsyncIterator[ApiServer]:
    server = ApiServer(at(fake.url), request_s_max=5)
    yield server
    await server.close()


async def test_a_server_that_is_too_busy_is_asked_again(fake: FakeKube, kube: ApiServer) -> None:
    fake.faults.too_busy = 2
    await kube.create(CONFIG_MAP, ONE)
    assert len(fake.requests) == 3


async def test_one_that_is_away_is_unavailable(fake: FakeKube, kube: ApiServer) -> None:
    with fake.faults.away(), pytest.raises(Unavailable, match="/configmaps/one"):
        await kube.get(CONFIG_MAP, "one", "default")
    with pytest.raises(NotFound):
        await kube.get(CONFIG_MAP, "one", "default")


async def test_what_was_done_unheard_is_not_done_twice(fake: FakeKube, kube: ApiServer) -> None:
    with fake.faults.lose_replies(), pytest.raises(Unavailable):
        await kube.create(CONFIG_MAP, ONE)
    assert fake.requests.count("POST /api/v1/namespaces/default/configmaps") == 1
    with pytest.raises(Conflict):
        await kube.create(CONFIG_MAP, ONE)


class Deaf:
    """Takes every question and answers none, or only who has the right token."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self.logins = 0
        self.url = ""
        self.is_ending = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        if not self.token:
            await self.is_ending.wait()
        is_known = request.headers.get("Authorization") == f"Bearer {self.token}"
        return web.json_response({"metadata": {}}, status=200 if is_known else 401)

    async def login(self) -> Configuration:
        self.logins += 1
        token = "old" if self.logins == 1 else "new"
        return Configuration(host=self.url, api_key={"BearerToken": f"Bearer {token}"})


@pytest.fixture
async def deaf() -> AsyncIterator[Deaf]:
    server = Deaf()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    yield server
    server.is_ending.set()
    await runner.cleanup()


async def test_every_question_ends_in_time(deaf: Deaf) -> None:
    kube = ApiServer(deaf.login, request_s_max=0.2)
    began = time.monotonic()
    with pytest.raises(Unavailable, match="in time"):
        await kube.get(CONFIG_MAP, "one", "default")
    assert time.monotonic() - began < 30
    await kube.close()


async def test_a_token_that_is_no_longer_taken_is_fetched_anew(deaf: Deaf) -> None:
    deaf.token = "new"
    kube = ApiServer(deaf.login)
    await kube.get(CONFIG_MAP, "one", "default")
    await kube.get(CONFIG_MAP, "one", "default")
    assert deaf.logins == 2
    await kube.close()


async def test_whom_the_server_never_knows_is_told_so(deaf: Deaf) -> None:
    deaf.token = "another"
    kube = ApiServer(deaf.login)
    with pytest.raises(Unavailable, match="401"):
        await kube.get(CONFIG_MAP, "one", "default")
    await kube.close()
