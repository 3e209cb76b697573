"""Agents of a real `torpor up` are forks, and nobody can tell; whatever becomes of the nursery."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from support.up import Up, a_database, command_line, running_up, until


@pytest.fixture
def up() -> Iterator[Up]:
    with running_up("--warm", "1", "--warm-max", "1") as started:
        yield started


def nursery_of(up: Up) -> int:
    (pid,) = up.processes("torpor_compute.nursery")
    return pid


def warm_agent_of(up: Up) -> int:
    """Its command line is what it was started with, not of what it was forked from."""
    (pid,) = agents_of(up)
    return pid


def agents_of(up: Up) -> list[int]:
    return up.processes("-m torpor_compute --compute ")


def stat_of(pid: int) -> list[str]:
    """From the state on."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def parent_of(pid: int) -> int:
    return int(stat_of(pid)[1])


def files_of(pid: int) -> dict[int, str]:
    folder = Path(f"/proc/{pid}/fd")
    return {int(entry.name): os.readlink(entry) for entry in folder.iterdir()}


def another_agent(up: Up, before: int) -> int:
    """After the end of the one before."""
    os.kill(before, signal.SIGKILL)
    until(lambda: agents_of(up) not in ([], [before]), "another agent")
    return warm_agent_of(up)


def test_an_agent_is_a_process_of_torpor_up_with_nothing_of_the_nursery(up: Up) -> None:
    agent, nursery = warm_agent_of(up), nursery_of(up)
    assert parent_of(agent) == parent_of(nursery)
    assert os.getsid(agent) == os.getpgid(agent) == agent
    files = files_of(agent)
    assert files[0] == "/dev/null" and files[1] == files[2] == files_of(nursery)[1]
    assert files_of(nursery)[0] not in files.values()
    assert command_line(agent).split()[5] == "--listen"


def test_agents_live_on_without_the_nursery_and_the_next_one_has_another(up: Up) -> None:
    agent, nursery = warm_agent_of(up), nursery_of(up)
    with a_database(up) as database, psycopg.connect(database.uri()) as client:
        until(lambda: len(agents_of(up)) == 2, "one serves, and one waits")
        before = set(agents_of(up))
        os.kill(nursery, signal.SIGKILL)
        until(lambda: "nursery_ended" in up.log_of("up"), "its end is noticed")
        assert client.execute("select 1").fetchone() == (1,)
        assert set(agents_of(up)) == before
        (waiting,) = before - {agent}
        os.kill(waiting, signal.SIGKILL)
        until(lambda: len(set(agents_of(up)) - {waiting}) == 2, "another one waits")
        assert nursery_of(up) != nursery
    assert "agent_not_forked" not in up.log_of("up")


def test_one_that_does_not_answer_is_ended_and_the_agent_comes_all_the_same(up: Up) -> None:
    agent, nursery = warm_agent_of(up), nursery_of(up)
    os.kill(nursery, signal.SIGSTOP)
    another = another_agent(up, agent)
    assert "agent_not_forked" in up.log_of("up")
    assert parent_of(another) == parent_of(up.component("proxy"))
    assert not Path(f"/proc/{nursery}").exists()


def test_after_kill_9_of_torpor_up_neither_nursery_nor_forked_agents_are_left() -> None:
    with running_up("--warm", "2") as up:
        assert len(agents_of(up)) and nursery_of(up)
        up.kill()  # Waits until nothing is left.
        up.start()


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGTERM, 0), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_how_an_agent_has_ended_is_known(up: Up, number: signal.Signals, status: int) -> None:
    agent = warm_agent_of(up)
    os.kill(agent, number)
    until(lambda: "agent_ended" in up.log_of("up"), "its end is noticed")
    (line,) = (line for line in up.log_of("up").splitlines() if "agent_ended" in line)
    assert f'"status": {status}' in line or f"status={status}" in line
