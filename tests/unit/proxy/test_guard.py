"""A session with a broken statement: when that is tried again, and what passes."""

from __future__ import annotations

import asyncio

import pytest

from support.captures import listed, row, statement
from support.fakes.session import (
    ANSWER,
    NOTHING_FOUND,
    NOTIFICATION,
    QUERY,
    FakeHost,
    FakeStream,
    asked,
    attached,
    state,
    turns,
)
from torpor_proxy.core import wire
from torpor_proxy.core.broken import MARK, Broken
from torpor_proxy.core.held import Kind, held_of, row_of
from torpor_proxy.executor.host import State
from torpor_proxy.executor.session import Session

USE = wire.bind("s") + wire.execute() + wire.SYNC
READY, BLOCK, FAILED = (wire.ready_for_query(each) for each in (b"I", b"T", b"E"))


STANDING, TYPES, STANDS_IN = (
    wire.message(*each)
    for each in (row(b"s"), listed(b"s", 23), statement(b"s", MARK.encode() + b" select"))
)
ERROR = wire.message(b"E", b"SERROR\0VERROR\0C42P01\0Mno table\0\0")


async def guarded(host: FakeHost) -> tuple[Session, FakeStream]:
    session, client = await attached(host)
    session.known.broken = {b"s": Broken(1, b"SERROR\0C55P03\0Mlocked\0\0")}
    capturing = await asked(host, session)
    session.known.held = held_of([row_of(Kind.PROTOCOL_STATEMENT, b"s", b"table t", b"{}|{23}")])
    host.backend.sends(STANDS_IN + NOTHING_FOUND)
    await capturing
    assert session.known.broken and session.known.held.rows
    return session, client


async def begun(host: FakeHost) -> tuple[Session, FakeStream]:
    """Inside of a transaction, nothing owed."""
    session, client = await guarded(host)
    client.sends(QUERY)
    host.backend.sends(wire.message(b"C", b"BEGIN\0") + BLOCK)
    client.taken()
    host.backend.taken()
    return session, client


def said(host: FakeHost) -> bytes:
    """The proxy's own words since the last time: the first of each trial is its frame's."""
    return b" ".join(body.split(b"\0")[1] for kind, body in host.backend.taken() if kind == b"P")


async def answers(host: FakeHost, answer: bytes) -> bytes:
    """What was asked, and is answered now."""
    await turns(lambda: host.backend.written.endswith(wire.SYNC))
    question = said(host)
    host.backend.sends(answer)
    return question


async def test_at_a_safe_point_it_is_tried_in_a_transaction_of_its_own() -> None:
    host = FakeHost()
    session, client = await guarded(host)
    host.backend.taken()
    client.sends(USE)
    assert (await answers(host, STANDING + READY)).startswith(b"BEGIN")
    assert b"table t" in await answers(host, TYPES + READY)
    await turns(lambda: host.backend.written == USE)
    assert session.known.broken is None and client.written == b""


async def test_inside_of_a_transaction_it_is_tried_in_one_below_it() -> None:
    host = FakeHost()
    session, client = await begun(host)
    client.sends(USE)
    for answer in (STANDING, TYPES):
        question = await answers(host, answer + BLOCK)
        assert question.startswith(b"SAVEPOINT") and b"ROLLBACK TO" in question
    await turns(lambda: host.backend.written == USE)
    assert session.known.broken is None and client.written == b""


async def test_where_that_fails_the_client_s_transaction_is_as_it_was() -> None:
    host = FakeHost()
    session, client = await begun(host)
    client.sends(USE)
    await answers(host, STANDING + BLOCK)
    await answers(host, ERROR + FAILED)
    assert (await answers(host, BLOCK)).startswith(b"ROLLBACK TO")
    assert b"_torpor_broken" in await answers(host, BLOCK)
    await turns(lambda: host.backend.written == USE)
    assert session.known.broken and b"no table" in session.known.broken[b"s"].error


async def test_what_its_client_has_ended_meanwhile_is_not_tried() -> None:
    host = FakeHost()
    session, client = await begun(host)
    client.sends(USE)
    await answers(host, BLOCK)
    await turns(lambda: host.backend.written == USE)
    assert session.known.broken is None


@pytest.mark.parametrize("before", [FAILED, b""])
async def test_in_a_failed_transaction_or_a_pipeline_nothing_is_tried(before: bytes) -> None:
    host = FakeHost()
    _, client = await begun(host)
    client.sends(wire.bind("other") + wire.SYNC * bool(before))
    host.backend.sends(before)
    host.backend.taken()
    client.sends(USE)
    assert host.backend.written == USE


async def test_its_other_words_pass_at_once() -> None:
    host = FakeHost()
    _, client = await guarded(host)
    host.backend.taken()
    client.sends(QUERY)
    assert host.backend.written == QUERY


async def test_a_message_whose_begin_has_come_before_a_visit_is_whole_behind_it() -> None:
    host = FakeHost()
    session, client = await guarded(host)
    client.sends(QUERY)
    host.backend.sends(ANSWER + NOTIFICATION[:3])
    assert session.needs_capture
    client.taken()
    capturing = await asked(host, session)
    host.backend.sends(NOTIFICATION[3:] + NOTHING_FOUND)
    await asyncio.wait_for(capturing, 5)
    assert state(session) is State.ATTACHED and client.written == NOTIFICATION


async def test_a_repair_does_not_wait_for_a_client_that_has_not_read_the_answer_before() -> None:
    host = FakeHost()
    session, client = await guarded(host)
    client.sends(QUERY)
    host.backend.sends(ANSWER)
    client.fills(True)
    await turns(lambda: host.backend.is_paused)
    client.sends(USE)
    assert state(session) is State.CAPTURING and not host.backend.is_paused
    await answers(host, STANDING + READY)
    await answers(host, TYPES + READY)
    await turns(lambda: state(session) is State.ATTACHED)
    assert not session.known.broken
