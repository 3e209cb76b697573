"""Runs of tests that were killed leave nothing that the next one would lack."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import scratch

RUN = """
import subprocess, sys, time
from pathlib import Path
from support.scratch import new_folder
folder = new_folder(Path(sys.argv[1]))
started = subprocess.Popen(["sleep", "1000"], env={"TORPOR_TEST": folder.name})
print(folder, started.pid, flush=True)
time.sleep(1000)
"""

SECONDS_MAX = 30.0


@pytest.fixture
def run(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [sys.executable, "-c", RUN, str(tmp_path)]
    tests = {"PYTHONPATH": str(Path(scratch.__file__).parents[1])}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=tests) as running:
        yield running
        running.kill()


def test_what_a_killed_run_left_is_removed(run: subprocess.Popen[str], tmp_path: Path) -> None:
    assert run.stdout is not None
    folder, program = run.stdout.readline().split()
    assert scratch.remove_leftovers((tmp_path,)) == []
    assert Path(folder).exists()
    run.kill()
    run.wait(SECONDS_MAX)
    assert scratch.remove_leftovers((tmp_path,)) == [Path(folder).parent]
    assert list(tmp_path.iterdir()) == []
    deadline = time.monotonic() + SECONDS_MAX
    while _is_alive(int(program)):
        assert time.monotonic() < deadline, "what worked for it goes on"
        time.sleep(0.01)


def test_where_memory_is_scarce_tests_write_to_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "ROOM_BYTES", 1 << 62)
    assert scratch.fast_folder() == scratch.DISK


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"
