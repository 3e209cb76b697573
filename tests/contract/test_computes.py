"""The contract of connections to computes: ``Computes``.

A world brings an adapter, and a server in the place of a compute's Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import ssl
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Protocol

import pytest
import uvloop

from support.agent import until
from support.certificates import Authority
from support.connections import Recorder
from support.ports import free_address
from torpor_api.messages import ComputeAddress
from torpor_channel.tls import PROXY, Identity
from torpor_compute.adapters.server_tls import ServerTls
from torpor_proxy.adapters.compute import SocketComputes
from torpor_proxy.adapters.network_compute import NetworkComputes
from torpor_proxy.core import wire
from torpor_proxy.ports import BackendLost, Computes

WAIT_SECONDS_MAX = 30.0

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
            try:
                self.said.append(await reader.read(1000))
            except ConnectionError:
                self.said.append(b"")


class World(Protocol):
    """An adapter, and a compute."""

    computes: Computes
    server: Server
    address: ComputeAddress
    address_of_another: ComputeAddress
    """At the same place, where by rights another one listens."""

    async def lose(self) -> None:
        """Nobody listens any more."""


class UnixWorld:
    """A compute of this machine, in the same process."""

    def __init__(self, folder: Path) -> None:
        self.computes: Computes = SocketComputes()
        self.server = Server()
        self.address = ComputeAddress(socket_directory=str(folder), user_id=os.geteuid())
        another = {"user_id": os.geteuid() + 1}
        self.address_of_another = self.address.model_copy(update=another)
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


class TlsWorld:
    """A compute on a network, by certificates; ``direct_tls``: from the first byte."""

    def __init__(self, folder: Path, *, direct_tls: bool) -> None:
        authority = Authority()
        self.server = Server()
        self.identity = Identity(authority.folder(folder / "proxy", PROXY))
        self.computes: Computes = NetworkComputes(self.identity)
        own = ServerTls(folder, self.identity.folder / "ca.crt")
        own.write_key(None)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(own.certificate, own.key)
        self._context.load_verify_locations(own.ca)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._context.set_alpn_protocols(["postgresql"])
        place = free_address()
        self.address = ComputeAddress(
            host=place.host,
            port=place.port,
            certificate_sha256=own.sha256,
            direct_tls=direct_tls,
        )
        another = {"certificate_sha256": "0" * 64}
        self.address_of_another = self.address.model_copy(update=another)

    async def listen(self) -> None:
        context = self._context if self.address.direct_tls else None
        self._listener = await asyncio.start_server(
            self._serve, self.address.host, self.address.port, ssl=context
        )

    async def lose(self) -> None:
        self._listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.address.direct_tls:
            assert await reader.readexactly(8) == b"\0\0\0\x08\x04\xd2\x16/"
            writer.write(b"S")
            await writer.start_tls(self._context)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "postgresql"
        await self.server.serve(reader, writer)


@contextlib.asynccontextmanager
async def tls_world(*, direct_tls: bool = False) -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        world = TlsWorld(Path(folder), direct_tls=direct_tls)
        await world.listen()
        yield world
        await world.lose()


WORLDS: dict[str, Callable[[], contextlib.AbstractAsyncContextManager[World]]] = {
    "unix": unix_world,
    "tls": tls_world,
    "direct tls": partial(tls_world, direct_tls=True),
}
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


async def test_nothing_is_said_to_a_stranger(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever has put itself in the place of the database's Postgres is told nothing."""
    with caplog.at_level(logging.ERROR), pytest.raises(BackendLost, match="listens"):
        await world.computes.dial(world.address_of_another)
    await world.computes.cancel(world.address_of_another, 4242, b"four")
    await until(lambda: world.server.said == [b"", b""], "both have gone, without a word")
    strange = [each.message for each in caplog.records if each.message.startswith("stranger_at_")]
    assert len(strange) == 2


# --- only on one machine ---------------------------------------------------------------------


async def test_of_an_address_that_names_no_user_anybody_may_listen() -> None:
    async with unix_world() as world:
        address = world.address.model_copy(update={"user_id": None})
        (await world.computes.dial(address)).close()
        await until(lambda: world.server.said == [b""], "it was let in")


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
