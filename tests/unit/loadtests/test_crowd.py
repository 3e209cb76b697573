"""A crowd's clients ask again and again, and no answer but their own will do."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from rig.client import READY, ServerRefused, message
from rig.crowd import Asker, keep_asking

ANSWER = message(b"D", b"client 1.") + READY

Ends = tuple[socket.socket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_each_wait_is_noted_and_the_last_answer_is_heard_out(ends: Ends) -> None:
    asker = Asker(ends[0], b"?", b"client 1.")

    def serve() -> None:
        while ends[1].recv(1):
            ends[1].sendall(ANSWER[:3])
            ends[1].sendall(ANSWER[3:])

    server = threading.Thread(target=serve)
    server.start()
    in_time = keep_asking([asker], 0.05)
    assert in_time > 0 and len(asker.waits_s) == in_time + 1
    assert keep_asking([asker], 0.0) == 0 and len(asker.waits_s) == 1
    ends[0].shutdown(socket.SHUT_WR)
    server.join()


def test_several_questions_in_one_have_as_many_answers(ends: Ends) -> None:
    asker = Asker(ends[0], b"??", b"client 1.", readies=2)
    ends[1].sendall(READY)
    assert not asker.hears()
    ends[1].sendall(ANSWER)
    assert asker.hears()


@pytest.mark.parametrize(
    "answer", [message(b"D", b"client 11.") + READY, message(b"E", b"S\0\0") + READY]
)
def test_an_error_or_the_answer_of_another_session_ends_it(ends: Ends, answer: bytes) -> None:
    ends[1].sendall(answer)
    with pytest.raises(ServerRefused):
        Asker(ends[0], b"?", b"client 1.").hears()
