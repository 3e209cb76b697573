"""What ``postmaster.pid`` and ``pg_control`` say."""

from __future__ import annotations

import struct

import pytest

from torpor_compute.core.readiness import is_begun, is_ready, was_stopped_cleanly

PID = 4711


def pid_file(pid: int = PID, status: str = "ready   ", started: int = 1_760_000_000) -> str:
    return f"{pid}\n/data\n{started}\n5432\n/run\n\n  1234  5\n{status}\n"


def test_a_start_as_it_goes() -> None:
    steps = ["", f"{PID}\n/data\n1760000000\n5432\n/run\n\n", pid_file(status="starting")]
    assert [is_ready(step, "", PID) for step in steps] == [False, False, False]
    assert [is_begun(step, "", PID) for step in steps] == [False, True, True]
    assert is_ready(pid_file(), "", PID)


def test_what_a_killed_postgres_left_is_not_ready() -> None:
    """Even where it had the very same process id, as in containers."""
    left = pid_file(started=1_750_000_000)
    assert not is_ready(left, left, PID)
    assert not is_begun(left, left, PID)
    assert is_ready(pid_file(), left, PID)


@pytest.mark.parametrize("status", ["starting", "stopping", "standby ", "", "unready"])
def test_other_states_are_not_ready(status: str) -> None:
    assert not is_ready(pid_file(status=status), "", PID)


def test_another_process_is_not_ours() -> None:
    assert not is_ready(pid_file(pid=12), "", PID)
    assert not is_begun(pid_file(pid=12), "", PID)


@pytest.mark.parametrize("cut", range(len(pid_file()) - 10))
def test_a_half_written_file_is_not_ready(cut: int) -> None:
    assert not is_ready(pid_file()[:cut], "", PID)


@pytest.mark.parametrize(
    ("state", "is_clean"), [(0, False), (1, True), (2, True), (3, False), (4, False), (6, False)]
)
def test_the_control_file_says_how_it_was_stopped(state: int, is_clean: bool) -> None:
    head = struct.pack("=QIIi", 7, 1800, 202506291, state)
    assert was_stopped_cleanly(head) is is_clean
    assert was_stopped_cleanly(head + b"more") is is_clean
    assert not was_stopped_cleanly(head[:-1])
