"""Computes on a network: whom the proxy believes, and what it does with odd answers."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from support.agent import until
from support.certificates import Authority
from support.connections import Recorder
from support.ports import free_address
from torpor_api.messages import ComputeAddress
from torpor_channel.tls import PROXY, Identity
from torpor_compute.adapters.server_tls import ServerTls
from torpor_proxy.adapters import leaving, network_compute
from torpor_proxy.adapters.network_compute import NetworkComputes
from torpor_proxy.adapters.server_stream import TlsServerStream
from torpor_proxy.ports import BackendLost

WAIT_SECONDS_MAX = 30.0

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class World:
    """A proxy, and the files of a compute."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.authority = Authority()
        self.identity = Identity(self.authority.folder(folder / "proxy", PROXY))
        self.computes = NetworkComputes(self.identity)
        self.tls = ServerTls(folder, self.identity.folder / "ca.crt")
        self.tls.write_key(None)
        self.place = free_address()

    def address(self, *, direct_tls: bool, sha256: str | None = None) -> ComputeAddress:
        return ComputeAddress(
            host=self.place.host,
            port=self.place.port,
            certificate_sha256=self.tls.sha256 if sha256 is None else sha256,
            direct_tls=direct_tls,
        )

    def context(self) -> ssl.SSLContext:
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        made.load_cert_chain(self.tls.certificate, self.tls.key)
        made.load_verify_locations(self.tls.ca)
        made.verify_mode = ssl.CERT_REQUIRED
        return made

    @contextlib.asynccontextmanager
    async def serving(self, serve: Serve, context: ssl.SSLContext | None) -> AsyncIterator[None]:
        open_ones, came = set[asyncio.StreamWriter](), asyncio.Event()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.set()
            open_ones.add(writer)
            with contextlib.suppress(ConnectionError):
                await serve(reader, writer)
            writer.close()
            open_ones.discard(writer)

        host, port = self.place.host, self.place.port
        listener = await asyncio.start_server(accept, host, port, ssl=context)
        yield
        listener.close()
        await until(lambda: came.is_set() and not open_ones, "everybody has gone")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def until_it_hangs_up(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    await reader.read()


@contextlib.asynccontextmanager
async def dialled(world: World) -> AsyncIterator[TlsServerStream]:
    stream = await world.computes.dial(world.address(direct_tls=True))
    try:
        yield stream
    finally:
        stream.abort()
        await until(lambda: stream._transport is None, "it is gone")


async def test_an_address_without_a_certificate_is_nobodys(world: World) -> None:
    async with world.serving(until_it_hangs_up, world.context()):
        with pytest.raises(BackendLost, match="with another certificate"):
            await world.computes.dial(world.address(direct_tls=True, sha256=""))


@pytest.mark.parametrize("answer", [b"N", b"E", b"SS", b"S\x16\x03\x01", b""])
async def test_who_does_not_accept_tls_is_told_nothing(world: World, answer: bytes) -> None:
    """Least of all where something was put behind the answer, before the encryption."""
    said = list[bytes]()

    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said.append(await reader.readexactly(8))
        writer.write(answer)
        if not answer:
            return
        said.append(await reader.read())

    async with world.serving(odd, None):
        with pytest.raises(BackendLost, match=r"does not accept TLS|hung up"):
            await world.computes.dial(world.address(direct_tls=False))
        await until(lambda: len(said) == 1 + bool(answer), "it has heard the end")
    assert said[1:] == [b""] * bool(answer)


@pytest.mark.parametrize("direct_tls", [True, False])
async def test_who_is_silent_is_not_waited_for_forever(
    world: World, direct_tls: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(network_compute, "CONNECT_SECONDS_MAX", 0.05)
    async with world.serving(until_it_hangs_up, None):
        with pytest.raises(BackendLost, match="no answer in time"):
            await world.computes.dial(world.address(direct_tls=direct_tls))


async def test_a_renewed_certificate_is_shown(world: World) -> None:
    names = list[object]()

    async def note(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        names.append(writer.get_extra_info("peercert")["serialNumber"])
        await reader.read()

    async with world.serving(note, world.context()):
        for expected in (1, 1, 2):
            if len(names) == 2:
                world.authority.folder(world.identity.folder, PROXY)
            count = len(names)
            async with dialled(world):
                await until(lambda count=count: len(names) > count, "it was let in")  # type: ignore[misc]
            assert len(set(names)) == expected


async def test_it_is_gone_when_the_server_hangs_up_and_not_before(world: World) -> None:
    may_go, heard = asyncio.Event(), list[bytes]()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read())
        await may_go.wait()

    async with world.serving(slow, world.context()), dialled(world) as stream:
        gone = asyncio.Event()
        stream.when_gone(gone.set)
        stream.sink = sink = Recorder()
        stream.write(b"goodbye")
        stream.close()
        stream.close()
        stream.write(b"too late")
        assert not stream.is_open
        may_go.set()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await gone.wait()
        assert heard == [b"goodbye"] and sink.calls == ["lost"]


def talk_on(listener: socket.socket, context: ssl.SSLContext) -> None:
    """To one client, whatever it says, until nothing can be sent any more."""
    with contextlib.suppress(OSError), listener.accept()[0] as plain:
        with context.wrap_socket(plain, server_side=True) as talker:
            while True:
                talker.sendall(b"more" * 1000)


async def test_a_server_that_goes_on_talking_is_hung_up_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not idle, and would talk until the patience ends."""
    monkeypatch.setattr(leaving, "LEAVE_SECONDS_MAX", 100 * WAIT_SECONDS_MAX)
    with socket.create_server((world.place.host, world.place.port)) as listener:
        talking = asyncio.create_task(asyncio.to_thread(talk_on, listener, world.context()))
        async with dialled(world) as stream:
            gone = asyncio.Event()
            stream.when_gone(gone.set)
            stream.sink = sink = Recorder()
            await until(lambda: bool(sink.data), "it talks")
            stream.close()
            async with asyncio.timeout(WAIT_SECONDS_MAX):
                await gone.wait()
        await talking


async def test_a_server_that_never_hangs_up_is_left(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaving, "LEAVE_SECONDS_MAX", 0.05)
    may_go = asyncio.Event()

    async def deaf(*_: object) -> None:
        await may_go.wait()

    async with world.serving(deaf, world.context()), dialled(world) as stream:
        gone = asyncio.Event()
        stream.when_gone(gone.set)
        stream.close()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await gone.wait()
        may_go.set()
