"""One session on bad days: slow readers, computes that die, cancel requests that come late."""

from __future__ import annotations

import asyncio

import pytest

from support.fakes.session import (
    ANSWER,
    CRASH,
    NOTHING_FOUND,
    QUERY,
    FakeHost,
    asked,
    attached,
    captured,
    dying,
    error_of,
    row,
    state,
    turns,
)
from torpor_proxy.core import wire
from torpor_proxy.executor.examining import Examining
from torpor_proxy.executor.host import State
from torpor_proxy.executor.listing import report_of
from torpor_proxy.executor.usage import Usage

# --- a client that reads late -----------------------------------------------------------


async def test_an_answer_that_is_not_read_keeps_it_busy_until_it_is() -> None:
    host = FakeHost()
    session, client = await attached(host)
    client.sends(QUERY)
    client.fills(True)
    assert host.backend.is_paused
    host.backend.is_paused = False  # One more read may come on top, the last one of the answer.
    host.backend.sends(ANSWER)
    host.backend.is_paused = True
    assert session.is_busy and not session.needs_capture
    report = report_of(session, session.last_used)
    assert report is not None and report.reason == "has an answer that its client does not read"
    client.fills(False)
    assert not host.backend.is_paused and session.needs_capture


async def test_what_fills_the_client_while_it_is_examined_holds_the_server_up_afterwards() -> None:
    host = FakeHost()
    session, client = await attached(host)
    capturing = await asked(host, session)
    client.fills(True)
    host.backend.sends(NOTHING_FOUND)
    await capturing
    assert host.backend.is_paused
    client.fills(False)
    assert not host.backend.is_paused


async def test_a_server_that_does_not_read_holds_the_client_up_after_the_question_too() -> None:
    host = FakeHost()
    session, client = await attached(host)
    capturing = await asked(host, session)
    host.backend.fills(True)
    client.pause()
    host.backend.sends(NOTHING_FOUND)
    await capturing
    assert client.is_paused
    host.backend.fills(False)
    assert not client.is_paused


# --- the compute dies -------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [b"", CRASH, dying("N", "57P01", "quickdie"), dying("E", "57P01", "secure_read")]
)
async def test_a_captured_session_outlives_its_compute_and_its_client_hears_nothing(
    words: bytes,
) -> None:
    host = FakeHost()
    session, client = await captured(host)
    if words:
        host.backend.sends(words)
    host.backend.vanishes()
    assert state(session) is State.PARKED and client.written == b"" and client.is_open
    client.sends(QUERY)
    await turns(lambda: len(host.backends) == 2 and host.backend.written == QUERY)


async def test_one_that_was_told_to_go_goes() -> None:
    host = FakeHost()
    session, client = await captured(host)
    host.backend.sends(dying("E", "57P01", "ProcessInterrupts"))
    host.backend.vanishes()
    assert state(session) is State.ENDED and error_of(client) == "57P01"


@pytest.mark.parametrize("words", [b"", CRASH])
async def test_what_was_in_flight_is_answered_by_one_error_and_the_session_goes_on(
    words: bytes,
) -> None:
    host = FakeHost()
    session, client = await captured(host)
    client.sends(QUERY)
    if words:
        host.backend.sends(words)
    host.backend.vanishes()
    assert state(session) is State.PARKED
    (kind, error), ready = client.taken()
    fields = wire.report_fields(error)
    assert (kind, fields["C"], fields["S"], ready) == (b"E", "57P01", "ERROR", (b"Z", b"I"))
    assert "the outcome of what was in flight is unknown" in fields["M"]
    client.sends(QUERY)
    await turns(lambda: len(host.backends) == 2 and host.backend.written == QUERY)


async def test_a_lost_transaction_is_told_at_the_next_query() -> None:
    host = FakeHost()
    session, client = await captured(host)
    client.sends(QUERY)
    host.backend.sends(wire.message(b"C", b"BEGIN\0") + wire.ready_for_query(b"T"))
    client.taken()
    host.backend.vanishes()
    assert state(session) is State.PARKED and client.written == b""
    pipeline = wire.parse("", "select 1") + wire.bind("") + wire.execute() + wire.SYNC
    for byte in pipeline[:-1]:
        client.sends(bytes([byte]))
    # Who prepares waits for it before its Sync.
    ((kind, error),) = client.taken()
    assert kind == b"E" and "its transaction was rolled back" in wire.report_fields(error)["M"]
    client.sends(pipeline[-1:] + QUERY)
    assert client.taken() == [(b"Z", b"I")]
    await turns(lambda: len(host.backends) == 2 and host.backend.written == QUERY)


async def test_what_was_flushed_without_a_sync_is_answered_up_to_it() -> None:
    host = FakeHost()
    session, client = await captured(host)
    client.sends(wire.parse("", "select 1") + wire.message(b"H"))
    host.backend.vanishes()
    assert state(session) is State.PARKED and error_of(client) == "57P01"
    client.sends(wire.bind("") + wire.execute())
    assert client.written == b""
    client.sends(wire.SYNC)
    assert client.taken() == [(b"Z", b"I")] and state(session) is State.PARKED


@pytest.mark.parametrize(
    "before",
    [
        QUERY,
        wire.parse("named", "select 1") + wire.SYNC,
        wire.message(b"Q", b"select pg_advisory_lock(1)\0"),
    ],
)
async def test_one_that_may_have_lost_more_gets_one_clear_error_and_ends(before: bytes) -> None:
    host = FakeHost()
    session, client = await captured(host)
    client.sends(before)
    host.backend.sends(wire.ready_for_query(b"I" if before is QUERY else b"T"))
    client.sends(QUERY)
    client.taken()
    host.backend.vanishes()
    assert state(session) is State.ENDED and error_of(client) == "08006"


async def test_one_of_which_nothing_is_known_ends() -> None:
    host = FakeHost()
    session, client = await attached(host)
    client.sends(QUERY)
    host.backend.vanishes()
    assert state(session) is State.ENDED and error_of(client) == "08006"


async def test_and_not_a_second_one_behind_the_server_s_own() -> None:
    host = FakeHost()
    session, client = await captured(host)
    client.sends(QUERY)
    host.backend.sends(dying("E", "57P01", "ProcessInterrupts"))
    host.backend.vanishes()
    assert state(session) is State.ENDED and error_of(client) == "57P01"


async def test_nor_where_the_server_s_own_comes_right_behind_its_last_answer() -> None:
    host = FakeHost()
    session, client = await attached(host)
    capturing = await asked(host, session)
    host.backend.sends(
        row("x", "cursor", "c") + NOTHING_FOUND + dying("E", "57P01", "ProcessInterrupts")
    )
    host.backend.vanishes()
    await capturing
    assert state(session) is State.ENDED and error_of(client) == "57P01"


async def test_an_error_is_not_put_into_the_middle_of_a_message() -> None:
    host = FakeHost()
    session, client = await attached(host)
    client.sends(QUERY)
    host.backend.sends(ANSWER[:7])
    host.backend.vanishes()
    assert state(session) is State.ENDED and client.written == ANSWER[:7]


# --- cancel -----------------------------------------------------------------------------


async def test_only_what_runs_is_cancelled() -> None:
    host = FakeHost()
    session, client = await captured(host)
    session.cancel()
    assert host.cancelled == []
    client.sends(QUERY)
    session.cancel()
    assert [each.process_id for each in host.cancelled] == [101]
    host.backend.sends(ANSWER)
    session.cancel()
    assert len(host.cancelled) == 1


async def test_what_a_client_sent_during_a_visit_is_served_though_the_compute_is_lost() -> None:
    host = FakeHost()
    session, client = await captured(host)
    capturing = await asked(host, session)
    client.sends(QUERY)
    host.backend.vanishes()
    await capturing
    await turns(lambda: len(host.backends) == 2 and host.backend.written == QUERY)
    assert state(session) is State.ATTACHED


async def test_a_defect_in_a_visit_does_not_leave_the_client_waiting() -> None:
    host = FakeHost()
    session, client = await attached(host)
    capturing = await asked(host, session)
    client.sends(QUERY)
    host.backend.sends(row("no such kind", "") + wire.message(b"D", b"nonsense") + NOTHING_FOUND)
    await capturing
    assert state(session) is State.ENDED and error_of(client) == "08006"
    assert not host.backend.is_open


async def test_who_was_waiting_for_a_capture_may_go_and_the_session_goes_on() -> None:
    """A gate is closed over a link to the autoscaler, which may be lost at any time."""
    host = FakeHost()
    session, client = await attached(host)
    examining = Examining({session}, Usage({session}), host.listeners, asyncio.create_task)
    waiting = asyncio.create_task(examining.examine([session]))
    await turns(lambda: host.backend.written.endswith(wire.SYNC))
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    host.backend.taken()
    client.sends(QUERY)
    host.backend.sends(NOTHING_FOUND)
    await turns(lambda: session.state is State.ATTACHED)
    assert host.backend.written == QUERY
