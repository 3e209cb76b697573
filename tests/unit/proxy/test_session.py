"""One session between a client and a server that are played by the test."""

from __future__ import annotations

import asyncio

import pytest

from support.fakes.session import (
    ANSWER,
    NOTHING_FOUND,
    NOTIFICATION,
    QUERY,
    FakeHost,
    asked,
    attached,
    captured,
    error_of,
    new_session,
    row,
    state,
    turns,
)
from torpor_api.failures import Unavailable
from torpor_proxy.core import capture, keepalive, wire
from torpor_proxy.core.wire import Severity
from torpor_proxy.executor.host import State
from torpor_proxy.executor.listing import report_of

# --- a life -----------------------------------------------------------------------------


async def test_from_login_through_a_sleep_to_farewell() -> None:
    host = FakeHost()
    session, client = await captured(host)
    first = host.backend
    session.let_go()
    assert state(session) is State.PARKED and first.written.endswith(wire.TERMINATE)
    assert not first.is_open and client.written == b""
    client.sends(QUERY)
    assert state(session) is State.WAITING
    await turns(lambda: host.backend is not first and host.backend.written == QUERY)
    host.backend.sends(ANSWER)
    assert client.kinds() == b"CZ"
    client.sends(wire.TERMINATE)
    host.backend.vanishes()
    assert state(session) is State.ENDED and not client.is_open


async def test_bytes_that_come_while_it_waits_are_passed_on_in_order_and_bounded() -> None:
    host = FakeHost(pending_bytes_max=20)
    session, client = new_session(host)
    session.come_back()
    client.sends(QUERY[:7])
    held_up = [client.is_paused]
    client.sends(QUERY[7:] + QUERY)
    held_up.append(client.is_paused)
    await turns(lambda: state(session) is State.ATTACHED)
    held_up.append(client.is_paused)
    assert host.backend.written == QUERY * 2 and held_up == [False, True, False]


async def test_a_reason_ends_the_wait() -> None:
    host = FakeHost()
    session, client = new_session(host)
    host.failure = Unavailable("no luck")
    session.come_back()
    await turns(lambda: state(session) is State.ENDED)
    assert error_of(client) == "57P03" and not client.is_open


async def test_a_defect_does_not_leave_the_client_waiting() -> None:
    host = FakeHost()
    session, client = new_session(host)
    host.failure = ZeroDivisionError()
    session.come_back()
    await turns(lambda: state(session) is State.ENDED)
    assert error_of(client) == "08006" and not client.is_open


async def test_a_client_that_vanishes_while_it_waits() -> None:
    host = FakeHost()
    session, client = new_session(host)
    session.come_back()
    client.vanishes()
    assert state(session) is State.ENDED
    await asyncio.sleep(0)
    assert not any(backend.is_open for backend in host.backends)


@pytest.mark.parametrize("sent", [QUERY[:3], QUERY[:4]])
async def test_too_little_to_tell_wakes_nobody(sent: bytes) -> None:
    host = FakeHost()
    session, client = await captured(host)
    session.let_go()
    client.sends(sent)
    assert state(session) is State.PARKED
    client.sends(QUERY[len(sent) :])
    assert state(session) is State.WAITING
    await turns(lambda: host.backend.written == QUERY)


async def test_a_keepalive_in_the_sleep() -> None:
    host = FakeHost()
    session, client = await captured(host)
    session.let_go()
    client.sends(wire.SYNC)
    assert client.written == keepalive.answer(wire.SYNC) and state(session) is State.PARKED
    host.answers_keepalives = False
    client.sends(wire.SYNC)
    assert state(session) is State.WAITING
    await turns(lambda: state(session) is State.ATTACHED)


async def test_the_unnamed_statement_is_put_back_first() -> None:
    host = FakeHost()
    session, client = await attached(host)
    client.sends(wire.parse("", "select 2") + wire.SYNC)
    host.backend.sends(wire.message(b"1") + wire.ready_for_query())
    client.taken()
    capturing = await asked(host, session)
    host.backend.sends(NOTHING_FOUND)
    await capturing
    first = host.backend
    session.let_go()
    client.sends(wire.bind("") + wire.SYNC)
    await turns(lambda: host.backend is not first and host.backend.written != b"")
    assert host.backend.written.count(wire.parse("", "select 2") + wire.SYNC) == 1
    host.backend.written = b""
    host.backend.sends(wire.message(b"1") + wire.ready_for_query(b"T") + wire.ready_for_query())
    await turns(lambda: host.backend.written == wire.bind("") + wire.SYNC)
    assert client.written == b""


# --- being examined ---------------------------------------------------------------------


async def test_what_was_found_pins_it_and_is_reported() -> None:
    host = FakeHost()
    session, _ = await attached(host)
    assert report_of(session, session.last_used) is None and session.needs_capture
    capturing = await asked(host, session)
    host.backend.sends(row("x", "cursor", "c") + NOTHING_FOUND)
    await capturing
    report = report_of(session, session.last_used + 5)
    assert report is not None and (report.reason, report.since_s) == ("has cursor c with hold", 5)
    assert not session.can_be_let_go and not session.needs_capture


async def test_a_new_message_asks_for_a_new_look() -> None:
    host = FakeHost()
    session, client = await captured(host)
    client.sends(QUERY)
    assert (session.is_busy, session.can_be_let_go, session.needs_capture) == (True, False, False)
    host.backend.sends(ANSWER)
    assert (session.is_busy, session.can_be_let_go, session.needs_capture) == (False, False, True)


async def test_the_client_s_bytes_wait_for_the_answer_and_notifications_do_not() -> None:
    host = FakeHost()
    session, client = await attached(host)
    capturing = await asked(host, session)
    client.sends(QUERY)
    assert session.is_busy and host.backend.written == b""
    host.backend.sends(NOTIFICATION + wire.parameter_status("a", "1"))
    assert client.kinds() == b"AS"
    host.backend.sends(NOTHING_FOUND[:-2])
    host.backend.sends(NOTHING_FOUND[-2:] + NOTIFICATION)
    await capturing
    assert host.backend.written == QUERY and client.kinds() == b"A"
    assert session.is_busy


async def test_what_comes_before_the_answer_has_the_sender_that_its_client_knows() -> None:
    host = FakeHost()
    session, client = await attached(host)
    host.told_as[7] = 8
    capturing = await asked(host, session)
    host.backend.sends(wire.message(b"A", b"\0\0\0\7news\0\0") + NOTHING_FOUND)
    await capturing
    assert client.taken() == [(b"A", b"\0\0\0\x08news\0\0")]


async def test_a_client_that_vanishes_ends_the_question_at_once() -> None:
    host = FakeHost()
    session, client = await attached(host)
    capturing = await asked(host, session)
    client.vanishes()
    await asyncio.wait_for(capturing, 1)
    assert state(session) is State.ENDED and not host.backend.is_open


async def test_a_question_that_takes_too_long_is_cancelled_and_pins() -> None:
    host = FakeHost(capture_timeout_s=0.01)
    session, client = await attached(host)
    capturing = await asked(host, session)
    client.sends(QUERY)
    while not host.cancelled:
        await asyncio.sleep(0.005)
    assert state(session) is State.CAPTURING and client.is_open
    error = wire.report(Severity.ERROR, "57014", "canceling statement")
    host.backend.sends(error + wire.ready_for_query(b"E"))
    await turns(lambda: host.backend.written != b"")
    assert host.backend.taken() == wire.split(capture.withdrawal())[0]
    host.backend.sends(ANSWER)
    await capturing
    assert host.backend.written == QUERY and client.kinds() == b""
    host.backend.sends(ANSWER)
    assert client.kinds() == b"CZ"


OVER = wire.report(Severity.ERROR, "57014", "too slow") + wire.ready_for_query(b"E")


async def test_a_question_that_its_own_timeout_cuts_short_is_asked_once_more_without() -> None:
    host = FakeHost()
    session, _ = await attached(host)
    capturing = await asked(host, session)
    questions = []
    for answer in (OVER, ANSWER, OVER):
        host.backend.sends(answer)
        await turns(lambda: host.backend.written.endswith(wire.SYNC))
        questions.append(host.backend.written)
        host.backend.taken()
    withdrawn, hurried, withdrawn_again = questions
    assert withdrawn == withdrawn_again == capture.withdrawal()
    assert b"SHOW statement_timeout" in hurried
    host.backend.sends(ANSWER)
    await capturing
    assert "too slow" in session.reason and session.known.pins.is_passing


async def test_what_could_not_be_read_is_tried_again_later() -> None:
    host = FakeHost()
    session, _ = await attached(host)
    capturing = await asked(host, session)
    host.backend.sends(wire.report(Severity.ERROR, "55P03", "a lock") + wire.ready_for_query())
    await capturing
    report = report_of(session, session.last_used)
    assert report is not None and "could not be read: a lock" in report.reason
    assert not session.needs_capture
    session.captured_at -= host.settings.capture_again_s + 1
    assert session.needs_capture
