"""A kind of object kept in view, whatever becomes of the connection and of the server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from typing import Any, cast

import pytest

from support.fake_kube.server import FakeKube
from torpor_kube import watching
from torpor_kube.documents import name_of
from torpor_kube.kinds import CONFIG_MAP, SECRET, Kind
from torpor_kube.login import at
from torpor_kube.port import ALL_SENT, Change, ChangeType, Document, Kube
from torpor_kube.server import ApiServer
from torpor_kube.watching import Watch

ANSWER_SECONDS_MAX = 30.0


class Seen:
    """What was told, as lines, and what follows from it."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.there: dict[str, str] = {}
        self.breaks_at = ""
        self.since: Callable[[], str] = str
        """The version up to which everything was told."""
        self._news = asyncio.Event()

    def listed(self, all: Iterable[Document]) -> None:
        self.there = {name_of(one): _value(one) for one in all}
        self._say("listed " + ",".join(sorted(self.there)))

    def changed(self, one: Document) -> None:
        if name_of(one) == self.breaks_at:
            self.breaks_at = ""
            raise RuntimeError("a defect of whoever is told")
        self.there[name_of(one)] = _value(one)
        self._say(f"changed {name_of(one)}")

    def deleted(self, one: Document) -> None:
        del self.there[name_of(one)]
        self._say(f"deleted {name_of(one)}")

    def _say(self, line: str) -> None:
        self.lines.append(line)
        self._news.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while not holds():
                self._news.clear()
                await self._news.wait()

    def lists(self) -> int:
        return sum(line.startswith("listed") for line in self.lines)


def _value(document: Document) -> str:
    return str((document.get("data") or {}).get("value", ""))


@pytest.fixture
async def fake(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[FakeKube]:
    monkeypatch.setattr(watching, "RETRY_S_MIN", 0.01)
    monkeypatch.setattr(watching, "RETRY_S_MAX", 0.05)
    async with FakeKube().serving() as serving:
        yield serving


@pytest.fixture
async def kube(fake: FakeKube) -> AsyncIterator[ApiServer]:
    server = ApiServer(at(fake.url))
    yield server
    await server.close()


@pytest.fixture
async def seen(kube: ApiServer) -> AsyncIterator[Seen]:
    told = Seen()
    watch = Watch(kube, CONFIG_MAP, lambda document: document, told)
    told.since = lambda: watch.since
    watch.start()
    yield told
    await watch.close()


def put(fake: FakeKube, name: str, value: str = "") -> None:
    key = (CONFIG_MAP, "default", name)
    document = {"metadata": {"name": name, "namespace": "default"}, "data": {"value": value}}
    if key in fake.objects.stored:
        fake.objects.patch(key, document, "")
    else:
        fake.objects.create(CONFIG_MAP, document)


def drop(fake: FakeKube, name: str) -> None:
    fake.objects.delete((CONFIG_MAP, "default", name), {}, None)


async def test_first_all_then_every_change_in_order(fake: FakeKube, seen: Seen) -> None:
    put(fake, "a")
    await seen.until(lambda: bool(seen.lines))
    put(fake, "b", "1")
    put(fake, "b", "2")
    drop(fake, "b")
    await seen.until(lambda: seen.lines[-1] == "deleted b")
    assert seen.lines == ["listed a", "changed b", "changed b", "deleted b"]


async def test_after_a_lost_connection_only_what_was_missed_is_told(
    fake: FakeKube, seen: Seen
) -> None:
    put(fake, "a")
    await seen.until(lambda: bool(seen.lines))
    fake.cut_watches()
    put(fake, "b")
    drop(fake, "a")
    await seen.until(lambda: "deleted a" in seen.lines)
    assert seen.lists() == 1 and set(seen.there) == {"b"}


async def test_what_happened_while_the_server_was_away_is_heard(fake: FakeKube, seen: Seen) -> None:
    put(fake, "a")
    await seen.until(lambda: bool(seen.lines))
    with fake.faults.away():
        fake.cut_watches()
        put(fake, "b")
        asked = len(fake.requests)
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            while len(fake.requests) < asked + 3:
                await asyncio.sleep(0.01)
    await seen.until(lambda: set(seen.there) == {"a", "b"})


async def test_where_the_server_no_longer_knows_all_is_listed_again(
    fake: FakeKube, seen: Seen
) -> None:
    put(fake, "a")
    await seen.until(lambda: bool(seen.lines))
    with fake.faults.away():
        fake.cut_watches()
        put(fake, "b")
        drop(fake, "a")
        fake.objects.compact()
    await seen.until(lambda: seen.lists() == 2)
    assert set(seen.there) == {"b"}


async def test_bookmarks_keep_a_quiet_watch_from_expiring(fake: FakeKube, seen: Seen) -> None:
    put(fake, "a")
    await seen.until(lambda: bool(seen.lines))
    fake.objects.create(SECRET, {"metadata": {"name": "other", "namespace": "default"}})
    fake.bookmark()
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        while seen.since() != str(fake.objects.version):
            await asyncio.sleep(0.01)
    fake.objects.compact()
    fake.cut_watches()
    put(fake, "b")
    await seen.until(lambda: "b" in seen.there)
    assert seen.lists() == 1


async def test_an_older_server_is_listed_page_by_page(
    fake: FakeKube, seen: Seen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torpor_kube.server.PAGE_ITEMS_MAX", 2)
    fake.faults.can_stream = False
    for name in "abcde":
        put(fake, name)
    await seen.until(lambda: bool(seen.lines))
    put(fake, "f")
    await seen.until(lambda: "f" in seen.there)
    assert seen.lines == ["listed a,b,c,d,e", "changed f"]


async def test_a_defect_of_whoever_is_told_costs_a_new_list(
    fake: FakeKube, seen: Seen, caplog: pytest.LogCaptureFixture
) -> None:
    put(fake, "a")
    await seen.until(lambda: bool(seen.lines))
    seen.breaks_at = "b"
    put(fake, "b")
    await seen.until(lambda: seen.lists() == 2)
    assert set(seen.there) == {"a", "b"}
    assert "watch_defect" in caplog.text


class Scripted:
    """A server whose first watch is written down here; only :meth:`changes` is asked."""

    def __init__(self, *script: Change) -> None:
        self._script = script
        self._is_over = asyncio.Event()

    async def changes(self, kind: Kind, namespace: str, **how: Any) -> AsyncGenerator[Change, None]:
        for change in self._script:
            yield change
        await self._is_over.wait()


def change(type: ChangeType, name: str, version: int, value: str = "") -> Change:
    metadata: Document = {"name": name, "resourceVersion": str(version)}
    if type is ChangeType.BOOKMARK:
        metadata["annotations"] = {ALL_SENT: "true"}
    return Change(type, {"metadata": metadata, "data": {"value": value}})


@pytest.mark.parametrize("can_stream", [True, False])
async def test_one_that_can_not_be_read_costs_itself_and_is_named(
    fake: FakeKube, kube: ApiServer, caplog: pytest.LogCaptureFixture, can_stream: bool
) -> None:
    def keep(document: Document) -> Document:
        if _value(document) == "bad":
            raise ValueError("what is that?")
        return document

    fake.faults.can_stream = can_stream
    put(fake, "before", "bad")
    put(fake, "good", "1")
    seen = Seen()
    watch = Watch(kube, CONFIG_MAP, keep, seen)
    watch.start()
    await seen.until(lambda: seen.lists() == 1)
    put(fake, "good", "bad")  # What was kept of it stays.
    put(fake, "after", "2")
    await seen.until(lambda: seen.there == {"good": "1", "after": "2"})
    await watch.close()
    assert seen.lists() == 1
    named = {record.__dict__.get("object") for record in caplog.records}
    assert {"default/before", "default/good"} <= named


async def test_what_changes_while_all_is_sent_is_in_the_list_as_it_is_then() -> None:
    seen = Seen()
    script = Scripted(
        change(ChangeType.ADDED, "a", 1, "old"),
        change(ChangeType.ADDED, "b", 2),
        change(ChangeType.MODIFIED, "a", 3, "new"),
        change(ChangeType.DELETED, "b", 4),
        change(ChangeType.BOOKMARK, "", 4),
    )
    watch = Watch(cast(Kube, script), CONFIG_MAP, lambda document: document, seen)
    watch.start()
    await seen.until(lambda: bool(seen.lines))
    assert seen.lines == ["listed a"] and seen.there == {"a": "new"}
    assert watch.since == "4" and watch.is_in_touch
    await watch.close()


async def test_before_the_first_word_nothing_is_in_touch(kube: ApiServer) -> None:
    assert not Watch(kube, CONFIG_MAP, lambda document: document, Seen()).is_in_touch
