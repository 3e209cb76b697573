"""The process that agents are forked from, as whoever orders them sees it."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from torpor_compute import nursery
from torpor_compute.adapters import command_line

SECONDS_MAX = 60.0
"""For imports, where others have the processor."""

ROOM = "-" * 200


@contextlib.contextmanager
def a_nursery() -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """Warm."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(SECONDS_MAX)
    argv = [sys.executable, "-m", nursery.__name__, ROOM]
    with (
        ours,
        theirs,
        subprocess.Popen(argv, stdin=theirs.fileno(), stdout=subprocess.PIPE) as process,
    ):
        theirs.close()
        try:
            assert ours.recv(16) == nursery.WARM
            yield process, ours
        finally:
            process.kill()


def command_of(pid: int) -> list[bytes]:
    return Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def test_it_ends_when_nobody_orders_any_more() -> None:
    with a_nursery() as (process, orders):
        orders.close()
        assert process.wait(SECONDS_MAX) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_it_can_be_ended(number: signal.Signals) -> None:
    with a_nursery() as (process, orders):
        process.send_signal(number)
        assert process.wait(SECONDS_MAX) == (0 if number is signal.SIGTERM else -number)
        assert orders.recv(16) == b""


def test_it_says_what_it_is_and_has_nothing_that_a_fork_would_not_have() -> None:
    with a_nursery() as (process, _):
        assert command_of(process.pid) == [
            sys.executable.encode(),
            b"-m",
            b"torpor_compute.nursery",
        ]
        assert threads_of(process.pid) == 1
        assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) == 3


def test_who_is_not_the_child_of_the_one_who_ordered_it_never_begins() -> None:
    """Here nobody is a child subreaper: the fork's parent is another, which would not fence it."""
    with a_nursery() as (process, orders):
        orders.send(b"--help")  # An agent would print its options and end.
        first = int(orders.recv(32))
        orders.send(b"--help")
        assert int(orders.recv(32)) != first
        orders.close()
        assert process.stdout is not None and process.stdout.read() == b""


def test_one_that_has_no_process_for_an_agent_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_process_left() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", no_process_left)
    monkeypatch.setattr(command_line, "show", lambda words: None)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        ours.send(b"--compute\0c1")
        ours.send(b"--compute\0c2")
        ours.shutdown(socket.SHUT_WR)
        assert nursery.serve(theirs) is None
        answers = [ours.recv(64) for _ in range(3)]
    assert answers == [nursery.WARM, nursery.NO_PROCESS, nursery.NO_PROCESS]
