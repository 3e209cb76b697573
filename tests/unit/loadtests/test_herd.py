"""A client of a herd says the right thing at the right time, however its answers are cut."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from rig.client import ServerRefused, message, query_packet
from rig.herd import Caller

STARTUP, QUESTION = b"startup", query_packet("SELECT 2")
LET_IN = message(b"R", bytes(4)) + message(b"Z", b"I")
ASKS_PASSWORD = message(b"R", b"\0\0\0\x0aSCRAM-SHA-256\0\0")
ANSWER = message(b"D", b"\0\0") + message(b"C", b"SELECT 1\0") + message(b"Z", b"I")

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.settimeout(5)
        yield ours, theirs


def test_where_nobody_asks_for_a_password_the_question_follows_at_once(ends: Ends) -> None:
    caller = Caller(ends[0], QUESTION, None)
    caller.begins(STARTUP)
    assert ends[1].recv(100) == STARTUP + QUESTION
    for byte in LET_IN + ANSWER:
        assert not caller.is_done
        ends[1].send(bytes([byte]))
        caller.receives()
    assert caller.is_done and caller.row_at is not None


def test_who_logs_in_asks_when_it_is_let_in(ends: Ends) -> None:
    caller = Caller(ends[0], QUESTION, "secret")
    caller.begins(STARTUP)
    assert ends[1].recv(100) == STARTUP
    ends[1].send(ASKS_PASSWORD)
    caller.receives()
    assert ends[1].recv(200).startswith(b"p")
    ends[1].send(LET_IN)
    caller.receives()
    assert ends[1].recv(100) == QUESTION and not caller.is_done
    ends[1].send(ANSWER)
    caller.receives()
    assert caller.is_done


def test_an_error_or_a_lost_connection_is_no_figure(ends: Ends) -> None:
    caller = Caller(ends[0], QUESTION, None)
    ends[1].send(message(b"E", b"SFATAL\0\0"))
    with pytest.raises(ServerRefused, match="FATAL"):
        caller.receives()
    ends[1].close()
    with pytest.raises(ServerRefused, match="lost"):
        caller.receives()
