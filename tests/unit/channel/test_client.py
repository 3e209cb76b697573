"""Connecting: once, or for ever; and what listens on the other end."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from torpor_api import messages as m
from torpor_api.failures import InvalidRequest, Unavailable
from torpor_channel import client
from torpor_channel import peer as peer_module
from torpor_channel.client import Link, dial, dialled
from torpor_channel.peer import Handlers, Peer
from torpor_channel.server import Server

SECONDS_MAX = 30.0
ASK = m.AskRoleFacts(role="app")


async def nobody(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
    return m.RoleFactsReply(role=None)


@contextlib.asynccontextmanager
async def serving(path: Path, handlers: Handlers) -> AsyncIterator[Server]:
    server = Server(handlers)
    await server.listen(path)
    try:
        yield server
    finally:
        await server.close()


@contextlib.asynccontextmanager
async def linked(path: Path, greeted: list[Peer]) -> AsyncIterator[Link]:
    async def greet(peer: Peer) -> None:
        await peer.ask(ASK, timeout_s=SECONDS_MAX)
        greeted.append(peer)

    link = Link(path, {}, greet)
    link.start()
    try:
        yield link
    finally:
        await link.close()


async def test_only_the_owner_may_open_the_socket_and_none_is_left(path: Path) -> None:
    async with serving(path, {}):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not path.exists()


async def test_what_a_killed_process_left_is_replaced(path: Path) -> None:
    path.write_text("")
    async with serving(path, {m.AskRoleFacts: nobody}), dialled(path) as peer:
        await peer.ask(ASK, timeout_s=SECONDS_MAX)


async def test_where_nobody_listens_that_is_said(path: Path) -> None:
    with pytest.raises(Unavailable, match=f"nobody answers at {path}"):
        await dial(path)
    path.write_text("")
    with pytest.raises(Unavailable, match=f"nobody answers at {path}"):
        await dial(path)


async def test_a_server_knows_who_is_there_and_hangs_up_on_all(path: Path) -> None:
    async with serving(path, {m.AskRoleFacts: nobody}) as server:
        async with dialled(path) as first, dialled(path) as second:
            for peer in (first, second):
                await peer.ask(ASK, timeout_s=SECONDS_MAX)
            assert len(server.peers) == 2
            await server.close()
            async with asyncio.timeout(SECONDS_MAX):
                await asyncio.gather(first.closed.wait(), second.closed.wait())
        assert server.peers == frozenset()


async def test_one_client_that_leaves_is_forgotten(path: Path) -> None:
    async with serving(path, {m.AskRoleFacts: nobody}) as server:
        async with dialled(path) as peer:
            await peer.ask(ASK, timeout_s=SECONDS_MAX)
        async with asyncio.timeout(SECONDS_MAX):
            while server.peers:
                await asyncio.sleep(0.001)


async def test_a_link_waits_for_its_server_and_greets_first(path: Path) -> None:
    greeted: list[Peer] = []
    async with linked(path, greeted) as link:
        asked = asyncio.create_task(link.ask(ASK, timeout_s=SECONDS_MAX))
        async with serving(path, {m.AskRoleFacts: nobody}):
            assert await asked == m.RoleFactsReply(role=None)
            assert len(greeted) == 1


async def test_a_link_comes_back_and_greets_again(path: Path) -> None:
    greeted: list[Peer] = []
    async with linked(path, greeted) as link:
        for count in (1, 2, 3):
            async with serving(path, {m.AskRoleFacts: nobody}):
                await link.ready(timeout_s=SECONDS_MAX)
                await link.ask(ASK, timeout_s=SECONDS_MAX)
                assert len(greeted) == count
            async with asyncio.timeout(SECONDS_MAX):
                await greeted[-1].closed.wait()


async def test_nobody_asks_before_the_greeting_has_ended(path: Path) -> None:
    may_greet = asyncio.Event()
    asked_for: list[str] = []

    async def answer(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        asked_for.append(asked.role)
        return m.RoleFactsReply(role=None)

    async def greet(peer: Peer) -> None:
        await may_greet.wait()
        await peer.ask(m.AskRoleFacts(role="greeting"), timeout_s=SECONDS_MAX)

    async with serving(path, {m.AskRoleFacts: answer}) as server:
        link = Link(path, {}, greet)
        link.start()
        asked = asyncio.create_task(link.ask(ASK, timeout_s=SECONDS_MAX))
        async with asyncio.timeout(SECONDS_MAX):
            while not server.peers:
                await asyncio.sleep(0.001)
        assert asked_for == []
        may_greet.set()
        await asked
        assert asked_for == ["greeting", "app"]
        await link.close()


async def test_a_failed_greeting_is_tried_again(path: Path) -> None:
    tries = 0

    async def greet(peer: Peer) -> None:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise Unavailable("not yet")

    async with serving(path, {m.AskRoleFacts: nobody}):
        link = Link(path, {}, greet)
        link.start()
        await link.ask(ASK, timeout_s=SECONDS_MAX)
        assert tries == 3
        await link.close()


async def test_where_no_greeting_succeeds_the_pauses_grow_and_one_line_says_why(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(client, "RECONNECT_SECONDS", 0.001)
    monkeypatch.setattr(client, "RECONNECT_SECONDS_MAX", 60.0)
    clock = asyncio.get_running_loop().time
    greeted_at: list[float] = []
    has_tried = asyncio.Event()

    async def greet(_: Peer) -> None:
        greeted_at.append(clock())
        if len(greeted_at) == 9:
            has_tried.set()
        raise Unavailable("not you")

    async with serving(path, {}):
        link = Link(path, {}, greet)
        link.start()
        async with asyncio.timeout(SECONDS_MAX):
            await has_tried.wait()
        await link.close()
    assert greeted_at[8] - greeted_at[7] >= 0.001 * 2**8 / 2
    assert [record.message for record in caplog.records] == ["link_down"]


async def test_whoever_stands_still_is_hung_up_on_and_dialled_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PULSE_EVERY_SECONDS", 0.01)
    still = asyncio.Event()
    greeted = asyncio.Queue[None]()

    async def heard(_: Peer, asked: m.HaveHeard) -> m.Done:
        if still.is_set():
            await asyncio.Event().wait()
        return m.Done()

    async def greet(_: Peer) -> None:
        """Whoever goes on is given the time that a busy machine takes for an answer."""
        still.clear()
        monkeypatch.setattr(client, "PULSE_SECONDS_MAX", SECONDS_MAX / 6)
        greeted.put_nowait(None)

    async with serving(path, {m.HaveHeard: heard, m.AskRoleFacts: nobody}):
        link = Link(path, {}, greet, pulse=m.HaveHeard())
        link.start()
        async with asyncio.timeout(SECONDS_MAX):
            await greeted.get()
            await link.ask(ASK, timeout_s=SECONDS_MAX)
            monkeypatch.setattr(client, "PULSE_SECONDS_MAX", 0.05)
            still.set()
            await greeted.get()
            await link.ask(ASK, timeout_s=SECONDS_MAX)
        await link.close()


async def test_one_that_does_not_know_the_question_has_answered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be older."""
    monkeypatch.setattr(client, "PULSE_EVERY_SECONDS", 0.01)
    refused = asyncio.Queue[None]()
    greeted: list[Peer] = []

    async def refuse(_: Peer, asked: m.HaveHeard) -> m.Done:
        refused.put_nowait(None)
        raise InvalidRequest("HaveHeard is no question to me")

    async def greet(peer: Peer) -> None:
        greeted.append(peer)

    async with serving(path, {m.HaveHeard: refuse}):
        link = Link(path, {}, greet, pulse=m.HaveHeard())
        link.start()
        async with asyncio.timeout(SECONDS_MAX):
            for _ in range(3):
                await refused.get()
        assert len(greeted) == 1
        await link.close()


async def test_who_has_too_many_questions_open_does_not_hang_up(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PULSE_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(peer_module, "OPEN_QUESTIONS_MAX", 1)
    refused = asyncio.Event()
    monkeypatch.setattr(client.log, "debug", lambda *_, **__: refused.set())
    answers = asyncio.Event()

    async def answer(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        await answers.wait()
        return m.RoleFactsReply(role=None)

    async with serving(path, {m.AskRoleFacts: answer}):
        link = Link(path, {}, lambda _: asyncio.sleep(0), pulse=m.HaveHeard())
        link.start()
        async with asyncio.timeout(SECONDS_MAX):
            asked = asyncio.create_task(link.ask(ASK, timeout_s=SECONDS_MAX))
            await refused.wait()
            answers.set()
            assert (await asked).role is None
        await link.close()


async def test_without_a_server_a_link_says_so_in_time(path: Path) -> None:
    async with linked(path, []) as link:
        link.tell(m.ResourceDeleted(name="shop"))
        with pytest.raises(Unavailable, match=f"nobody answers at {path}"):
            await link.ask(ASK, timeout_s=0.05)
        with pytest.raises(Unavailable, match=f"nobody answers at {path}"):
            await link.ready(timeout_s=0.05)


async def test_a_question_is_never_sent_twice(path: Path) -> None:
    times_asked = 0

    async def hang_up(peer: Peer, asked: m.AskActivity) -> m.ActivityReply:
        nonlocal times_asked
        times_asked += 1
        closing.append(asyncio.create_task(peer.close()))
        await asyncio.Event().wait()
        raise AssertionError("never")

    closing: list[asyncio.Task[None]] = []
    greeted: list[Peer] = []
    async with serving(path, {m.AskActivity: hang_up, m.AskRoleFacts: nobody}):
        async with linked(path, greeted) as link:
            with pytest.raises(Unavailable, match="the outcome is unknown"):
                await link.ask(m.AskActivity(), timeout_s=SECONDS_MAX)
            await link.ask(ASK, timeout_s=SECONDS_MAX)
            assert (times_asked, len(greeted)) == (1, 2)
        await asyncio.gather(*closing)
