"""The contract of connections to computes: ``Computes``.

A world brings an adapter, and a server in the place of a compute's Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Protocol

import pytest
import uvloop

from support.agent import until
from support.connections import Recorder
from torpor_api.messages import ComputeAddress
from torpor_proxy.adapters.compute import SocketComputes
from torpor_proxy.core import wire
from torpor_proxy.ports import BackendLost, Computes

WAIT_SECONDS_MAX = 10.0

LISTENER = """
import os, socket, sys, time
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
os.setresuid(*[int(sys.argv[2])] * 3)
server.listen()
print("listening", flush=True)
time.sleep(999)
"""


class Server:
    """Notes what each connection has said before it hung up; hangs up on whoever says anything."""

    def __init__(self) -> None:
        self.connections = 0
        self.said: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with contextlib.closing(writer):
            self.said.append(await reader.read(1000))


class World(Protocol):
    """An adapter, and a compute."""

    computes: Computes
    server: Server
    address: ComputeAddress

    async def lose(self) -> None:
        """Nobody listens any more."""


class UnixWorld:
    """A compute of this machine, in the same process."""

    def __init__(self, folder: Path) -> None:
        self.computes: Computes = SocketComputes()
        self.server = Server()
        self.address = ComputeAddress(socket_directory=str(folder), user_id=os.geteuid())
        self._path = folder / f".s.PGSQL.{self.address.port}"

    async def listen(self) -> None:
        self._listener = await asyncio.start_unix_server(self.server.serve, self._path)

    async def lose(self) -> None:
        self._listener.close()
        self._path.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def unix_world() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        world = UnixWorld(Path(folder))
        await world.listen()
        yield world
        await world.lose()


WORLDS = {"unix": unix_world}
"""Whoever makes another adapter, or a fake, adds it here."""


@pytest.fixture(params=sorted(WORLDS))
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    async with WORLDS[request.param]() as made:
        yield made


# --- the contract ------------------------------------------------------------------------


async def test_on_a_new_connection_nothing_was_said(world: World) -> None:
    stream = await world.computes.dial(world.address)
    stream.sink = sink = Recorder()
    assert stream.is_open and not stream.is_full
    stream.write(b"hello")
    await until(lambda: sink.calls == ["ended"], "the server hangs up")
    stream.close()
    await until(lambda: sink.calls == ["ended", "lost"], "the connection is over")
    assert world.server.said == [b"hello"]


async def test_each_call_makes_a_connection_of_its_own(world: World) -> None:
    streams = [await world.computes.dial(world.address) for _ in range(3)]
    await until(lambda: world.server.connections == 3, "all have come")
    for stream in streams:
        stream.close()
    await until(lambda: world.server.said == [b""] * 3, "all have gone, without a word")


async def test_where_nobody_listens_the_backend_is_lost(world: World) -> None:
    await world.lose()
    for _ in range(2):
        with pytest.raises(BackendLost, match=r"\S"):
            await world.computes.dial(world.address)


@pytest.mark.parametrize("secret", [b"four", b"s" * 32])
async def test_a_cancel_request_comes_whole_and_ends_with_the_connection(
    world: World, secret: bytes
) -> None:
    async with asyncio.timeout(WAIT_SECONDS_MAX):
        await world.computes.cancel(world.address, 4242, secret)
    assert world.server.said == [wire.cancel_request(4242, secret)]


async def test_a_cancel_request_to_nobody_is_no_error(world: World) -> None:
    await world.lose()
    await world.computes.cancel(world.address, 4242, b"four")


async def test_nothing_is_said_to_another_user(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever has put a socket of its own in the place of the database's is told nothing."""
    address = world.address.model_copy(update={"user_id": os.geteuid() + 1})
    with caplog.at_level(logging.ERROR), pytest.raises(BackendLost, match="listens user"):
        await world.computes.dial(address)
    await world.computes.cancel(address, 4242, b"four")
    await until(lambda: world.server.said == [b"", b""], "both have gone, without a word")
    assert [record.message for record in caplog.records] == ["stranger_at_socket"] * 2


async def test_of_an_address_that_names_no_user_anybody_may_listen(world: World) -> None:
    address = world.address.model_copy(update={"user_id": None})
    (await world.computes.dial(address)).close()
    await until(lambda: world.server.said == [b""], "it was let in")


# --- only on one machine ---------------------------------------------------------------------


@pytest.fixture
def user_id() -> int:
    """Of somebody who is not this process's user."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can make a socket of another user")
    return 51_000


@pytest.fixture
def address(user_id: int) -> Iterator[ComputeAddress]:
    """Where a process of another user listens."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        made = ComputeAddress(socket_directory=folder, user_id=user_id)
        argv = [sys.executable, "-c", LISTENER, f"{folder}/.s.PGSQL.{made.port}", str(user_id)]
        process = subprocess.Popen(argv, stdout=subprocess.PIPE)
        assert process.stdout is not None
        with process.stdout as says:
            says.readline()
            yield made
            process.kill()
            process.wait()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_the_database_s_own_user_is_let_in_and_no_other(
    address: ComputeAddress, new_loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    """On each loop, because each has its own way to the socket beneath a connection."""

    async def dial(user_id: int | None) -> None:
        changed = address.model_copy(update={"user_id": user_id})
        (await SocketComputes().dial(changed)).abort()

    own = address.user_id or 0
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(dial(own))
        for other in (0, own + 1):
            with pytest.raises(BackendLost, match=f"listens user {own}, not {other}"):
                runner.run(dial(other))
        runner.run(asyncio.sleep(0))  # What was hung up on is closed in the loop's next turn.
