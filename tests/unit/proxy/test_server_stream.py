"""A connection to a Postgres: whose place is free when, and only when, the server has hung up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.connections import Recorder
from torpor_proxy.adapters import leaving
from torpor_proxy.adapters.server_stream import ServerStream

SECONDS_MAX = 30.0


class Pair:
    """A stream, and the server's end of it."""

    def __init__(self, stream: ServerStream, reader: asyncio.StreamReader) -> None:
        self.stream = stream
        self.reader = reader
        self.writer: asyncio.StreamWriter
        self.gone = asyncio.Event()
        stream.when_gone(self.gone.set)

    async def is_gone(self) -> None:
        async with asyncio.timeout(SECONDS_MAX):
            await self.gone.wait()


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Longer than any test waits, so that it explains nothing."""
    monkeypatch.setattr(leaving, "LEAVE_SECONDS_MAX", 100 * SECONDS_MAX)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    path, accepted = str(tmp_path / "s"), asyncio.Queue[asyncio.StreamWriter]()
    readers = list[asyncio.StreamReader]()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        readers.append(reader)
        accepted.put_nowait(writer)

    server = await asyncio.start_unix_server(accept, path)
    _, stream = await asyncio.get_running_loop().create_unix_connection(ServerStream, path)
    writer = await accepted.get()
    made = Pair(stream, readers[0])
    made.writer = writer
    yield made
    stream.abort()
    writer.close()
    server.close()
    await server.wait_closed()
    await made.is_gone()


async def test_it_is_gone_when_the_server_hangs_up_and_not_before(pair: Pair) -> None:
    pair.stream.sink = sink = Recorder()
    pair.stream.write(b"goodbye")
    pair.stream.close()
    pair.stream.close()
    assert not pair.stream.is_open
    assert await pair.reader.read() == b"goodbye"
    assert not pair.gone.is_set() and sink.calls == []
    pair.writer.close()
    await pair.is_gone()
    assert sink.calls == ["lost"]


async def test_a_server_that_has_hung_up_already(pair: Pair) -> None:
    pair.stream.sink = sink = Recorder()
    pair.writer.close()
    async with asyncio.timeout(SECONDS_MAX):
        while not sink.calls:
            await asyncio.sleep(0.001)
    assert sink.calls == ["ended"] and not pair.gone.is_set()
    pair.stream.close()
    await pair.is_gone()
    assert sink.calls == ["ended", "lost"]


async def test_a_server_that_still_talks_is_not_listened_to(pair: Pair) -> None:
    pair.stream.close()
    pair.writer.write(b"rows and rows")
    await pair.is_gone()


async def test_a_server_that_does_not_hang_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leaving, "LEAVE_SECONDS_MAX", 0.02)
    pair.stream.close()
    await pair.is_gone()


async def test_who_asks_too_late_is_told_at_once(pair: Pair) -> None:
    pair.stream.abort()
    await pair.is_gone()
    late = asyncio.Event()
    pair.stream.when_gone(late.set)
    assert late.is_set()
