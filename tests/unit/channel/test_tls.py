"""The channel over mutual TLS: who is let in, who is not and why, and new certificates."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from support.agent import until
from support.certificates import Authority
from support.ports import free_address
from torpor_api import messages as m
from torpor_api.chain import Chain
from torpor_api.failures import InvalidRequest, Refused, Unavailable
from torpor_channel import tcp, tls_listener
from torpor_channel.admission import Admission
from torpor_channel.client import Link, dial, dialled
from torpor_channel.peer import ConnectionLost, Handlers, Peer
from torpor_channel.server import Server
from torpor_channel.tls import (
    AUTOSCALER,
    COMPUTE,
    PROXY,
    Identity,
    Trust,
    are_there,
    files_of,
)

SECONDS_MAX = 30.0
ASK = m.AskRoleFacts(role="app")
RIGHTS = {AUTOSCALER: (m.AskRoleFacts, m.AskAgentState, m.ResumeSeen), PROXY: (m.AskRoleFacts,)}


class World:
    """A compute that listens, and whoever wants to come in."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority()
        self.folder = folder
        self.address = free_address()
        self.own = self.authority.folder(folder / "own", COMPUTE)
        self.told: list[m.Message] = []

    def trust(self, name: str = PROXY, authority: Authority | None = None) -> Trust:
        """Of a component of that name, who looks for a compute."""
        return Trust(
            Identity((authority or self.authority).folder(self.folder / name, name)), COMPUTE
        )

    def handlers(self) -> Handlers:
        async def role(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
            return m.RoleFactsReply(role=None)

        async def state(_: Peer, asked: m.AskAgentState) -> m.AgentState:
            return m.AgentState(compute="c", state="warm")

        async def seen(_: Peer, event: m.ResumeSeen) -> None:
            self.told.append(event)

        return {m.AskRoleFacts: role, m.AskAgentState: state, m.ResumeSeen: seen}

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[Server]:
        server = Server(self.handlers(), Admission(Identity(self.own), RIGHTS))
        await server.listen(self.address)
        try:
            yield server
        finally:
            await server.close()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def ask(world: World, trust: Trust) -> m.RoleFactsReply:
    async with dialled(world.address, {}, trust) as peer:
        return await peer.ask(ASK, timeout_s=SECONDS_MAX)


async def refused(world: World, trust: Trust, caplog: pytest.LogCaptureFixture) -> str:
    """What the listener's log says of why."""
    with pytest.raises(Unavailable):
        await ask(world, trust)
    await until(lambda: bool(reasons(caplog)), "the refusal is in the log")
    return reasons(caplog)[-1]


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(each.reason) for each in caplog.records if each.message == "stranger_refused"]  # type: ignore[attr-defined]


async def test_components_talk_both_ways(world: World) -> None:
    async with world.listening() as server, dialled(world.address, {}, world.trust()) as peer:
        assert await peer.ask(ASK, timeout_s=SECONDS_MAX) == m.RoleFactsReply(role=None)
        assert len(server.peers) == 1
        await server.close()
        async with asyncio.timeout(SECONDS_MAX):
            await peer.closed.wait()
    assert server.peers == frozenset()


async def test_large_messages_pass(world: World) -> None:
    async with world.listening():
        async with dialled(world.address, {}, world.trust()) as peer:
            await peer.ask(m.AskRoleFacts(role="x" * (4 << 20)), timeout_s=SECONDS_MAX)


async def test_each_may_ask_what_it_has_a_right_to(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.listening():
        async with dialled(world.address, {}, world.trust(AUTOSCALER)) as peer:
            assert (await peer.ask(m.AskAgentState(), timeout_s=SECONDS_MAX)).state == "warm"
        async with dialled(world.address, {}, world.trust(PROXY)) as peer:
            with pytest.raises(Refused, match=r"proxy\.torpor may not ask AskAgentState here"):
                await peer.ask(m.AskAgentState(), timeout_s=SECONDS_MAX)
            await peer.ask(ASK, timeout_s=SECONDS_MAX)
    assert "not_allowed" in caplog.messages


async def test_what_is_told_without_a_right_is_not_heard(world: World) -> None:
    seen = m.ResumeSeen(name="shop", epoch=1, chain=Chain(), cause="")
    async with world.listening():
        told: tuple[tuple[str, list[m.Message]], ...] = ((PROXY, []), (AUTOSCALER, [seen]))
        for name, heard in told:
            async with dialled(world.address, {}, world.trust(name)) as peer:
                peer.tell(seen)
                await peer.ask(ASK, timeout_s=SECONDS_MAX)
            assert world.told == heard


async def test_a_name_without_business_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.listening():
        reason = await refused(world, world.trust("somebody.torpor"), caplog)
        assert "'somebody.torpor'" in reason
        await ask(world, world.trust())


async def test_a_certificate_of_another_ca_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Though it trusts ours."""
    folder = Authority("another").folder(world.folder / "stranger", PROXY)
    (folder / "ca.crt").write_bytes((world.own / "ca.crt").read_bytes())
    async with world.listening():
        reason = await refused(world, Trust(Identity(folder), COMPUTE), caplog)
        assert "certificate verify failed" in reason


async def test_who_has_no_certificate_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(world.own / "ca.crt")
    async with world.listening():
        reader, writer = await asyncio.open_connection(
            world.address.host, world.address.port, ssl=context, server_hostname=COMPUTE
        )
        with contextlib.suppress(OSError):
            assert await reader.read() == b""
        writer.close()
        await until(lambda: bool(reasons(caplog)), "the refusal is in the log")
        assert "peer did not return a certificate" in reasons(caplog)[-1]


async def test_an_expired_certificate_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    folder = world.authority.folder(world.folder / "old", PROXY, days=-1)
    async with world.listening():
        reason = await refused(world, Trust(Identity(folder), COMPUTE), caplog)
        assert "certificate has expired" in reason


async def test_another_protocol_is_refused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    trust = world.trust()
    trust.identity.for_client().set_alpn_protocols(["postgresql"])
    async with world.listening():
        with pytest.raises(Unavailable, match="does not speak torpor"):
            await dial(world.address, {}, trust)
        await until(lambda: bool(reasons(caplog)), "the refusal is in the log")
        assert "does not speak torpor" in reasons(caplog)[-1]


async def test_who_says_nothing_is_in_nobodys_way(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls_listener, "HANDSHAKES_MAX", 3)
    async with world.listening():
        silent = [
            socket.create_connection((world.address.host, world.address.port)) for _ in range(9)
        ]
        await ask(world, world.trust())
        for each in silent:
            each.close()


async def test_of_a_herd_that_says_nothing_only_so_many_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them stand in line before the first is let in."""
    monkeypatch.setattr(tls_listener, "HANDSHAKE_SECONDS_MAX", 10 * SECONDS_MAX)
    monkeypatch.setattr(tls_listener, "HANDSHAKES_MAX", 3)
    async with world.listening(), asyncio.timeout(SECONDS_MAX):
        address = (world.address.host, world.address.port)
        silent = [socket.create_connection(address) for _ in range(9)]
        for each in silent[:6]:
            each.setblocking(False)
            with contextlib.suppress(ConnectionError):
                assert await asyncio.get_running_loop().sock_recv(each, 1) == b""
        for each in silent:
            each.close()


async def test_who_is_slow_with_the_handshake_is_hung_up_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(tls_listener, "HANDSHAKE_SECONDS_MAX", 0.1)
    async with world.listening():
        reader, writer = await asyncio.open_connection(world.address.host, world.address.port)
        async with asyncio.timeout(SECONDS_MAX):
            assert await reader.read() == b""
        writer.close()
        await until(lambda: bool(reasons(caplog)), "the refusal is in the log")


async def test_a_listener_of_another_name_is_told_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.listening():
        trust = Trust(world.trust().identity, AUTOSCALER)
        with pytest.raises(Unavailable, match="not to be trusted"):
            await dial(world.address, {}, trust)
    assert "stranger_answers" in caplog.messages


async def test_a_listener_of_another_ca_is_told_nothing(world: World) -> None:
    async with world.listening():
        with pytest.raises(Unavailable, match="not to be trusted"):
            await dial(world.address, {}, world.trust(PROXY, Authority("another")))


async def test_new_files_are_used_by_new_connections(world: World) -> None:
    """The CA as well; what is connected stays so."""
    async with world.listening():
        trust = world.trust()
        async with dialled(world.address, {}, trust) as old:
            await old.ask(ASK, timeout_s=SECONDS_MAX)
            world.authority = Authority("the next")
            world.authority.folder(world.own, COMPUTE)
            with pytest.raises(Unavailable):
                await ask(world, trust)
            world.authority.folder(trust.identity.folder, PROXY)
            await ask(world, trust)
            await old.ask(ASK, timeout_s=SECONDS_MAX)


async def test_in_the_middle_of_a_change_the_old_files_are_used(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with world.listening():
        trust = world.trust()
        key = (world.own / "tls.key").read_bytes()
        (world.own / "tls.key").write_text("nonsense")
        await ask(world, trust)
        assert "identity_unreadable" in caplog.messages
        (world.own / "tls.key").unlink()
        await ask(world, trust)
        (world.own / "tls.key").write_bytes(key)
        caplog.clear()
        caplog.set_level(logging.INFO)
        await ask(world, trust)
        assert "identity_renewed" in caplog.messages


@pytest.mark.parametrize("missing", ["tls.crt", "tls.key", "ca.crt"])
def test_a_folder_without_a_file_is_refused(world: World, missing: str) -> None:
    (world.own / missing).unlink()
    with pytest.raises(InvalidRequest, match=rf"no folder of TLS files.*{missing}"):
        Identity(world.own)


def test_a_key_that_does_not_fit_is_refused(world: World) -> None:
    other = world.authority.folder(world.folder / "other", COMPUTE)
    (world.own / "tls.key").write_bytes((other / "tls.key").read_bytes())
    with pytest.raises(InvalidRequest, match="fit each other"):
        Identity(world.own)


async def test_without_tls_there_is_no_network(world: World) -> None:
    with pytest.raises(InvalidRequest, match="give a folder of TLS files"):
        await dial(world.address)
    with pytest.raises(InvalidRequest, match="give a folder of TLS files"):
        await Server({}).listen(world.address)


async def test_a_port_that_is_taken_is_refused(world: World) -> None:
    async with world.listening():
        with pytest.raises(Refused, match=f"can't listen on {world.address}"):
            async with world.listening():
                pass


async def test_where_nobody_listens_that_is_said(world: World) -> None:
    with pytest.raises(Unavailable, match=f"nobody answers at {world.address}"):
        await dial(world.address, {}, world.trust())


async def test_a_link_comes_back(world: World) -> None:
    greeted: list[Peer] = []

    async def greet(peer: Peer) -> None:
        greeted.append(peer)

    link = Link(world.address, {}, greet, world.trust())
    link.start()
    for _ in range(2):
        async with world.listening():
            await link.ask(ASK, timeout_s=SECONDS_MAX)
            gone = greeted[-1]
        async with asyncio.timeout(SECONDS_MAX):
            await gone.closed.wait()
    assert len(greeted) == 2
    await link.close()


async def test_the_kernel_looks_after_both_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that is gone without a word is noticed within seconds, not within minutes."""
    watched: list[socket.socket] = []

    def watch(connection: socket.socket, watch: Callable[..., None] = tcp.watch) -> None:
        watch(connection)
        watched.append(connection)

    monkeypatch.setattr(tcp, "watch", watch)
    async with world.listening(), dialled(world.address, {}, world.trust()) as peer:
        await peer.ask(ASK, timeout_s=SECONDS_MAX)
        assert len(watched) == 2
        for each in watched:
            assert each.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert each.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000


async def test_questions_end_with_the_connection(world: World) -> None:
    async with world.listening() as server, dialled(world.address, {}, world.trust()) as peer:
        await peer.ask(ASK, timeout_s=SECONDS_MAX)
        for each in server.peers:
            each._writer.transport.abort()
        with pytest.raises(ConnectionLost):
            await peer.ask(m.AskRoleFacts(role="late"), timeout_s=SECONDS_MAX)
            await peer.ask(ASK, timeout_s=SECONDS_MAX)


async def test_files_that_come_later_are_waited_for(tmp_path: Path) -> None:
    folder, told = tmp_path / "own", asyncio.Event()
    waiting = asyncio.create_task(are_there(files_of(folder), told))
    await asyncio.sleep(0)
    assert not waiting.done()
    Authority().folder(folder, PROXY)
    async with asyncio.timeout(SECONDS_MAX):
        assert await waiting
    Identity(folder)


async def test_whoever_is_told_to_end_waits_for_no_file(tmp_path: Path) -> None:
    told = asyncio.Event()
    waiting = asyncio.create_task(are_there(files_of(tmp_path / "own"), told))
    told.set()
    async with asyncio.timeout(SECONDS_MAX):
        assert not await waiting
