"""The client: repeated where nothing was done, bounded in time, logged in anew."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from support.fake_kube.server import FakeKube
from torpor_api.failures import Conflict, NotFound, Unavailable
from torpor_kube.kinds import CONFIG_MAP
from torpor_kube.login import at
from torpor_kube.server import ApiServer
from torpor_kube.transport import KEEPALIVE_IDLE_S, QUESTIONS_MAX

ANSWER_S_MAX = 60.0
"""Of hundreds of questions at once, on a machine that has other things to do."""

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


async def test_whoever_writes_is_named(fake: FakeKube) -> None:
    kube = ApiServer(at(fake.url), manager="torpor-operator")
    await kube.create(CONFIG_MAP, ONE)
    await kube.patch(CONFIG_MAP, "one", "default", {"data": {"a": "b"}})
    assert fake.managers == {"torpor-operator"}
    await kube.close()


class Deaf:
    """Takes every question and answers none, or only who has the right token."""

    def __init__(self, token: str = "") -> None:
        self.token = token
        self.refuses_each = 0
        """Every so many-th question is refused whatever its token; 0: none."""
        self.asked = 0
        self.logins = 0
        self.url = ""
        self.is_ending = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        if not self.token:
            await self.is_ending.wait()
        is_known = request.headers.get("Authorization") == f"Bearer {self.token}"
        if self.refuses_each and self.asked % self.refuses_each == 0:
            is_known = False
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


async def test_a_login_that_is_refused_cuts_off_nobody(deaf: Deaf) -> None:
    """One of many answers in three is a 401, as of a server whose own store is slow."""
    deaf.token, deaf.refuses_each = "new", 3
    kube = ApiServer(deaf.login, request_s_max=ANSWER_S_MAX)
    questions = [kube.get(CONFIG_MAP, "one", "default") for _ in range(6 * QUESTIONS_MAX)]
    tasks = [asyncio.create_task(question) for question in questions]
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert any(isinstance(one, dict) for one in found)
    refused = [one for one in found if not isinstance(one, dict)]
    others = [one for one in refused if not isinstance(one, Unavailable) or "401" not in str(one)]
    assert others == []
    await kube.close()


async def test_who_asks_while_all_is_closed_is_told_and_not_ended(deaf: Deaf) -> None:
    kube = ApiServer(deaf.login)
    questions = [kube.get(CONFIG_MAP, "one", "default") for _ in range(2 * QUESTIONS_MAX)]
    tasks = [asyncio.create_task(question) for question in questions]
    while deaf.asked < QUESTIONS_MAX:
        await asyncio.sleep(0)
    await kube.close()
    found = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(one) for one in found} == {Unavailable}


def asked_by_the_kernel_in_s(port: int) -> list[float]:
    """Of each connection to the port that is quiet: when it is asked whether it still is one."""
    found = []
    for row in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, _, remote, _, _, timer, *_ = row.split()
        which, when = timer.split(":")
        if int(remote.split(":")[1], 16) == port and which == "02":
            found.append(int(when, 16) / 100)
    return found


async def test_a_watch_that_is_quiet_is_asked_about(fake: FakeKube, kube: ApiServer) -> None:
    """A network that is away ends it in half a minute, and what it misses comes by the next."""
    changes = kube.changes(CONFIG_MAP, "default", with_all=True)
    async with aclosing(changes):
        await anext(changes)
        async with asyncio.timeout(5):
            while not asked_by_the_kernel_in_s(urlsplit(fake.url).port or 0):
                await asyncio.sleep(0.01)
        (when_s,) = asked_by_the_kernel_in_s(urlsplit(fake.url).port or 0)
        assert when_s <= KEEPALIVE_IDLE_S


async def test_watches_leave_room_for_questions(fake: FakeKube, kube: ApiServer) -> None:
    """However many namespaces are watched."""
    count = QUESTIONS_MAX + 1
    watches = [kube.changes(CONFIG_MAP, f"ns-{number}", with_all=True) for number in range(count)]
    for watch in watches:
        await anext(watch)
    with pytest.raises(NotFound):
        await kube.get(CONFIG_MAP, "one", "default")
    for watch in watches:
        await watch.aclose()
