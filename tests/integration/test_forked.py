"""A component that tests fork is like one that its command starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support import forked
from support.agent import START_SECONDS_MAX, WAIT_SECONDS_MAX, agents_in_a_folder

UNKNOWN = ("--no-such-option",)


@pytest.mark.parametrize("component", forked.COMPONENTS)
def test_it_says_the_same_and_ends_with_the_same_status(component: str, tmp_path: Path) -> None:
    argv = [sys.executable, "-m", component, *UNKNOWN]
    told = subprocess.run(argv, stderr=subprocess.PIPE, timeout=START_SECONDS_MAX)
    with (tmp_path / "errors").open("wb") as errors:
        process = forked.start(component, UNKNOWN, os.environ, errors.fileno())
    assert process.wait(WAIT_SECONDS_MAX) == told.returncode == 2
    assert (tmp_path / "errors").read_bytes() == told.stderr != b""


async def test_its_end_by_a_signal_is_told_and_it_is_no_child_of_the_test() -> None:
    async with agents_in_a_folder() as agents:
        agent = await agents.agent()
        assert agent.process.poll() is None and agent.process.pid in agents.left()
        with pytest.raises(subprocess.TimeoutExpired):
            agent.process.wait(0.01)
        with pytest.raises(ChildProcessError):
            os.waitpid(agent.process.pid, os.WNOHANG)
        os.kill(agent.process.pid, signal.SIGKILL)
        assert agent.process.wait(WAIT_SECONDS_MAX) == agent.process.poll() == -signal.SIGKILL
        agent.process.kill()
        await agents.nothing_left()


async def test_it_is_asked_to_end_in_good_order() -> None:
    async with agents_in_a_folder() as agents:
        agent = await agents.agent()
        await agent.start(agents.volume())
        assert await agent.ended() == 0
        assert "agent_state" in agent.log.read_text()
