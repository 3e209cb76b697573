"""One connection: questions, answers, events, and everything that the other side may do wrong."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import pytest

from support.ends import Ends
from torpor_api import messages as m
from torpor_api.facts import RoleFacts
from torpor_api.failures import Failure, InvalidRequest, NotFound, Unavailable
from torpor_channel import peer as peer_module
from torpor_channel import wire
from torpor_channel.peer import Handlers, Peer
from torpor_channel.wire import encode_tell

SECONDS_MAX = 30.0


def ask_role(name: str) -> m.AskRoleFacts:
    return m.AskRoleFacts(role=name)


async def nobody(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
    return m.RoleFactsReply(role=None)


async def refused_by(peer: Peer, request: m.Request[Any]) -> Failure:
    with pytest.raises(Failure) as refused:
        await peer.ask(request, timeout_s=SECONDS_MAX)
    return refused.value


async def test_both_sides_may_ask(ends: Ends) -> None:
    peer, raw = await ends.connect({m.AskRoleFacts: nobody})
    other = ends.peer(raw, {m.AskRoleFacts: nobody})
    for asker in (peer, other):
        reply = await asker.ask(ask_role("app"), timeout_s=SECONDS_MAX)
        assert reply == m.RoleFactsReply(role=None)


async def test_answers_may_come_in_any_order(ends: Ends) -> None:
    first_may_go = asyncio.Event()

    async def slow_or_not(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        if asked.role == "first":
            await first_may_go.wait()
        return m.RoleFactsReply(role=None)

    _, other = await ends.pair({m.AskRoleFacts: slow_or_not})
    first = asyncio.create_task(other.ask(ask_role("first"), timeout_s=SECONDS_MAX))
    await other.ask(ask_role("second"), timeout_s=SECONDS_MAX)
    assert not first.done()
    first_may_go.set()
    await first


@pytest.mark.parametrize(
    "answer",
    ['"answer":{"role":null}', '"failure":{"kind":"NotFound","message":"no","hint":""}'],
)
async def test_what_is_told_behind_an_answer_is_heard_after_it(ends: Ends, answer: str) -> None:
    """A list, and then a change of what is in it: the other way round the change would be lost."""
    heard: list[str] = []
    has_heard = asyncio.Event()

    async def hear(_: Peer, event: m.ResourceDeleted) -> None:
        heard.append("event")
        has_heard.set()

    peer, (_, writer) = await ends.connect({m.ResourceDeleted: hear})

    async def ask() -> None:
        with contextlib.suppress(NotFound):
            await peer.ask(ask_role("app"), timeout_s=SECONDS_MAX)
        heard.append("answer")

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    writer.write(f'{{"id":1,{answer}}}\n'.encode() + encode_tell(m.ResourceDeleted(name="shop")))
    await asyncio.gather(asking, has_heard.wait())
    assert heard == ["answer", "event"]


@pytest.mark.parametrize("kind", sorted(Failure.by_kind))
async def test_a_failure_arrives_as_what_it_is(ends: Ends, kind: str) -> None:
    async def fail(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        raise Failure.by_kind[kind]("no such luck", hint="try another day")

    _, other = await ends.pair({m.AskRoleFacts: fail})
    failure = await refused_by(other, ask_role("app"))
    assert type(failure) is Failure.by_kind[kind]
    assert (failure.message, failure.hint) == ("no such luck", "try another day")


async def test_a_defect_is_shown_to_nobody_and_ends_nothing(ends: Ends) -> None:
    async def broken(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        if asked.role == "bad":
            raise RuntimeError("secret detail")
        return m.RoleFactsReply(role=None)

    _, other = await ends.pair({m.AskRoleFacts: broken})
    failure = await refused_by(other, ask_role("bad"))
    assert isinstance(failure, Unavailable)
    assert failure.message == "internal error; see the log"
    await other.ask(ask_role("good"), timeout_s=SECONDS_MAX)


async def test_an_answer_that_is_too_long_fails_by_name_and_the_connection_lives(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def long_or_not(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        return m.RoleFactsReply(role=RoleFacts(name=asked.role))

    monkeypatch.setattr(wire, "LINE_BYTES_MAX", 1000)
    _, other = await ends.pair({m.AskRoleFacts: long_or_not})
    failure = await refused_by(other, ask_role("x" * 1000))
    assert isinstance(failure, InvalidRequest)
    assert "the answer to AskRoleFacts is 11" in failure.message and "1000" in failure.message
    await other.ask(ask_role("short"), timeout_s=SECONDS_MAX)


async def test_a_request_that_nobody_handles_is_refused(ends: Ends) -> None:
    _, other = await ends.pair()
    failure = await refused_by(other, ask_role("app"))
    assert isinstance(failure, InvalidRequest)
    assert failure.message == "AskRoleFacts is not for this component"


async def test_a_request_of_a_newer_release_is_refused_and_the_connection_lives(
    ends: Ends,
) -> None:
    _, (reader, writer) = await ends.connect({m.AskRoleFacts: nobody})
    writer.write(b'{"tell":"Flown","body":{}}\n{"ask":"Fly","id":1,"body":{}}\n')
    refused = json.loads(await reader.readline())
    assert refused["id"] == 1 and refused["failure"]["kind"] == "InvalidRequest"
    writer.write(b'{"ask":"AskRoleFacts","id":2,"body":{"role":"app"}}\n')
    assert json.loads(await reader.readline()) == {"id": 2, "answer": {"role": None}}


async def test_impossible_values_are_refused_and_the_connection_lives(ends: Ends) -> None:
    _, (reader, writer) = await ends.connect({m.AskRoleFacts: nobody})
    writer.write(b'{"tell":"EndpointRemoved","body":{"name":7}}\n')
    writer.write(b'{"ask":"AskRoleFacts","id":1,"body":{"role":7}}\n')
    refused = json.loads(await reader.readline())
    assert refused["id"] == 1 and refused["failure"]["kind"] == "InvalidRequest"
    assert "AskRoleFacts has an impossible role" in refused["failure"]["message"]
    writer.write(b'{"ask":"AskRoleFacts","id":2,"body":{"role":"app"}}\n')
    assert json.loads(await reader.readline()) == {"id": 2, "answer": {"role": None}}


async def test_a_lost_connection_fails_every_open_question(ends: Ends) -> None:
    peer, (reader, writer) = await ends.connect()
    asked = [asyncio.create_task(refused_by(peer, ask_role(name))) for name in ("a", "b")]
    await reader.readline()
    writer.close()
    for failure in await asyncio.gather(*asked):
        assert isinstance(failure, Unavailable) and "outcome is unknown" in failure.message
    assert peer.closed.is_set()
    assert "closed" in (await refused_by(peer, ask_role("c"))).message
    peer.tell(m.ResourceDeleted(name="shop"))


@pytest.mark.parametrize("line", [b"GET / HTTP/1.1\r\n", b"\0\0\0\x08\n", b'{"id":1}\n'])
async def test_garbage_ends_the_connection_and_nothing_else(ends: Ends, line: bytes) -> None:
    peer, (reader, writer) = await ends.connect()
    asked = asyncio.create_task(refused_by(peer, ask_role("app")))
    await reader.readline()
    writer.write(line)
    assert isinstance(await asked, Unavailable)
    assert peer.closed.is_set() and await reader.read() == b""


async def test_a_line_without_end_is_cut_off(ends: Ends) -> None:
    peer, (_, writer) = await ends.connect(limit=1024)
    writer.write(b"x" * 10_000)
    async with asyncio.timeout(SECONDS_MAX):
        await peer.closed.wait()


async def test_an_answer_that_is_none_is_named(ends: Ends) -> None:
    peer, (reader, writer) = await ends.connect()
    asked = asyncio.create_task(refused_by(peer, ask_role("app")))
    id = json.loads(await reader.readline())["id"]
    writer.write(json.dumps({"id": id, "answer": {"role": 7}}).encode() + b"\n")
    assert "the answer to AskRoleFacts can't be read" in (await asked).message


async def test_no_answer_in_time_is_named_and_a_late_one_ignored(ends: Ends) -> None:
    peer, (reader, writer) = await ends.connect()
    with pytest.raises(Unavailable, match=r"no answer to AskRoleFacts in 0\.01 s"):
        await peer.ask(ask_role("app"), timeout_s=0.01)
    late = json.loads(await reader.readline())["id"]
    asked = asyncio.create_task(peer.ask(ask_role("app"), timeout_s=SECONDS_MAX))
    now = json.loads(await reader.readline())["id"]
    for id in (late, 999, now):
        writer.write(json.dumps({"id": id, "answer": {"role": None}}).encode() + b"\n")
    assert await asked == m.RoleFactsReply(role=None)


async def test_events_are_heard_in_order_and_before_the_next_answer(ends: Ends) -> None:
    heard: list[str] = []

    async def hear(_: Peer, event: m.ResourceDeleted) -> None:
        await asyncio.sleep(0)
        heard.append(event.name)

    peer, (reader, writer) = await ends.connect({m.ResourceDeleted: hear})
    asked = asyncio.create_task(peer.ask(ask_role("app"), timeout_s=SECONDS_MAX))
    id = json.loads(await reader.readline())["id"]
    names = [f"db-{number}" for number in range(100)]
    for name in names:
        writer.write(encode_tell(m.ResourceDeleted(name=name)))
    writer.write(json.dumps({"id": id, "answer": {"role": None}}).encode() + b"\n")
    await asked
    assert heard == names


async def test_a_defect_in_hearing_ends_nothing(ends: Ends) -> None:
    async def broken(_: Peer, event: m.ResourceDeleted) -> None:
        raise NotFound(event.name)

    _, other = await ends.pair({m.ResourceDeleted: broken, m.AskRoleFacts: nobody})
    other.tell(m.ResourceDeleted(name="shop"))
    await other.ask(ask_role("app"), timeout_s=SECONDS_MAX)


async def test_who_does_not_read_is_given_up(ends: Ends, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer_module, "UNREAD_BYTES_MAX", 1 << 20)
    peer, (_, writer) = await ends.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    told = 0
    async with asyncio.timeout(SECONDS_MAX):
        while not peer.closed.is_set():
            peer.tell(m.ResourceDeleted(name="x" * 10_000))
            told += 1
            await asyncio.sleep(0)
    assert 100 <= told < 1000


async def test_no_more_is_handled_at_once_than_the_bound(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "HANDLERS_RUNNING_MAX", 2)
    running: list[str] = []
    may_go = asyncio.Event()

    async def wait(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        running.append(asked.role)
        await may_go.wait()
        return m.RoleFactsReply(role=None)

    _, other = await ends.pair({m.AskRoleFacts: wait})
    asked = [
        asyncio.create_task(other.ask(ask_role(name), timeout_s=SECONDS_MAX)) for name in "abcd"
    ]
    async with asyncio.timeout(SECONDS_MAX):
        while len(running) < 2:
            await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)
    assert running == ["a", "b"]
    may_go.set()
    await asyncio.gather(*asked)
    assert running == ["a", "b", "c", "d"]


async def test_no_more_may_be_asked_at_once_than_the_bound(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer_module, "OPEN_QUESTIONS_MAX", 1)
    peer, (reader, _) = await ends.connect()
    first = asyncio.create_task(refused_by(peer, ask_role("a")))
    await reader.readline()
    assert "1 questions are open already" in (await refused_by(peer, ask_role("b"))).message
    await peer.close()
    await first


@pytest.mark.parametrize("who", ["ours", "theirs"])
async def test_work_that_was_asked_for_ends_with_the_connection(ends: Ends, who: str) -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    async def work(_: Peer, asked: m.AskRoleFacts) -> m.RoleFactsReply:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()
        raise AssertionError("never")

    handlers: Handlers = {m.AskRoleFacts: work}
    peer, other = await ends.pair(handlers)
    asked = asyncio.create_task(refused_by(other, ask_role("app")))
    await began.wait()
    await (peer if who == "ours" else other).close()
    async with asyncio.timeout(SECONDS_MAX):
        await ended.wait()
    assert isinstance(await asked, Unavailable)


async def test_a_connection_may_be_closed_as_soon_as_it_is_made(ends: Ends) -> None:
    peer, raw = await ends.connect()
    other = ends.peer(raw)
    await other.close()
    assert other.closed.is_set()
    async with asyncio.timeout(SECONDS_MAX):
        await peer.closed.wait()


async def test_what_an_answer_of_a_newer_release_says_besides_is_passed_over(ends: Ends) -> None:
    peer, (reader, writer) = await ends.connect()
    asked = asyncio.create_task(peer.ask(ask_role("app"), timeout_s=SECONDS_MAX))
    id = json.loads(await reader.readline())["id"]
    role = {"name": "app", "newer": 1}
    writer.write(json.dumps({"id": id, "answer": {"role": role, "newer": 1}}).encode() + b"\n")
    found = (await asked).role
    assert found is not None and found.name == "app"
