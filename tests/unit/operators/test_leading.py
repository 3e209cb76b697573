"""The dispatcher: whatever waits to be looked at, everything else comes to its turn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import pytest

from support.operating import SYSTEM, serving, settings
from torpor_api.failures import Unavailable
from torpor_kube.login import at
from torpor_kube.port import Document
from torpor_kube.server import ApiServer
from torpor_operator import main
from torpor_operator.adapters.handlers import KopfThread, kopf_login
from torpor_operator.core.cache import Cache
from torpor_operator.core.naming import Key
from torpor_operator.core.targets import CERTIFICATES, Sort, Target, database
from torpor_operator.leading import Leading

MANY = [database(Key("default", f"db-{number}")) for number in range(500)]


async def nothing() -> AsyncGenerator[Document, None]:
    for document in list[Document]():
        yield document


class Looks:
    """Which never wait for anything; the first one of each target may fail."""

    def __init__(self, fails: bool = False) -> None:
        self.seen: list[Key] = []
        self.fails = fails

    async def look(self, key: Key) -> float | None:
        self.seen.append(key)
        if self.fails and self.seen.count(key) == 1:
            raise Unavailable("not now")
        return None


def leading(
    tmp_path: Path,
    looks: Looks,
    pools: Callable[[], AsyncGenerator[Document, None]] = nothing,
    is_through: Callable[[], None] = lambda: None,
) -> Leading:
    async def certificates(key: Key) -> float | None:
        found.has_certificates.set()
        return None

    every = {Sort.DATABASE: looks.look, Sort.POOL: looks.look, Sort.CERTIFICATES: certificates}
    found = Leading(Cache(SYSTEM), settings(tmp_path), every, pools, is_through)
    return found


async def until_looked_at(leading: Leading, looks: Looks, count: int) -> None:
    async with asyncio.timeout(20):
        while len(looks.seen) < count:
            await asyncio.sleep(0)


async def test_a_crowd_that_is_settled_holds_nobody_up(tmp_path: Path) -> None:
    looks = Looks()
    dispatcher = leading(tmp_path, looks)
    dispatcher.start([])
    await dispatcher.is_complete.wait()
    dispatcher.report(MANY)
    turns = 0
    while len(looks.seen) < len(MANY):
        await asyncio.sleep(0)
        turns += 1
    await dispatcher.close()
    assert turns > len(MANY) / 10


async def test_nothing_but_certificates_is_looked_at_before_all_is_known(tmp_path: Path) -> None:
    looks = Looks()
    dispatcher = leading(tmp_path, looks)
    dispatcher.report([*MANY, CERTIFICATES])
    assert len(dispatcher.queue) == 1
    dispatcher.start([])
    await until_looked_at(dispatcher, looks, len(MANY))
    await dispatcher.close()


async def test_after_many_looks_it_says_once_that_nothing_waits_any_more(tmp_path: Path) -> None:
    looks, seen_by_then = Looks(), list[int]()
    through = asyncio.Event()

    def is_through() -> None:
        seen_by_then.append(len(looks.seen))
        through.set()

    dispatcher = leading(tmp_path, looks, is_through=is_through)
    dispatcher.start([])
    await dispatcher.is_complete.wait()
    dispatcher.report(MANY)
    async with asyncio.timeout(20):
        await through.wait()
    dispatcher.report(MANY[:2])  # As by a wake.
    await until_looked_at(dispatcher, looks, len(MANY) + 2)
    await dispatcher.close()
    assert seen_by_then == [len(MANY)]


async def test_what_failed_is_looked_at_again(tmp_path: Path) -> None:
    looks = Looks(fails=True)
    dispatcher = leading(tmp_path, looks)
    dispatcher.start([])
    await dispatcher.is_complete.wait()
    target: Target = MANY[0]
    dispatcher.report([target])
    await until_looked_at(dispatcher, looks, 2)
    await dispatcher.close()
    assert looks.seen == [target.key, target.key]


async def test_a_pool_that_goes_before_kopf_tells_of_it_holds_nobody_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torpor_operator.leading.TOLD_S_MAX", 0.05)
    lists = 0

    async def pools() -> AsyncGenerator[Document, None]:
        nonlocal lists
        lists += 1
        if lists == 1:
            yield {"metadata": {"name": "default", "namespace": SYSTEM}}

    dispatcher = leading(tmp_path, Looks(), pools)
    dispatcher.start([])
    async with asyncio.timeout(20):
        await dispatcher.is_complete.wait()
    await dispatcher.close()


async def test_its_watches_and_looks_end_before_kopf_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kopf may take ten seconds, and another one leads by then."""
    ended_first = asyncio.Event()

    class Kopf(KopfThread):
        def start(self) -> None:
            pass

        async def close(self) -> None:
            async with asyncio.timeout(20):
                while fake.watchers():
                    fake.bookmark()  # A server notices that nobody listens when it speaks.
                    await asyncio.sleep(0.01)
            ended_first.set()

    monkeypatch.setattr("torpor_operator.main.KopfThread", Kopf)
    async with serving() as fake:
        kube = ApiServer(at(fake.url))
        async with main.leading(settings(tmp_path), kube, kopf_login, lambda: None):
            async with asyncio.timeout(20):
                while not fake.watchers():
                    await asyncio.sleep(0.01)
        await kube.close()
    assert ended_first.is_set()
