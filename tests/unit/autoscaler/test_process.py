"""What the autoscaler's process sets up before anything else: its loop, its open files."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvloop

from torpor_autoscaler.adapters import cluster
from torpor_autoscaler.main import loop_factory, main, raise_open_files_limit


@pytest.fixture
def limit() -> Iterator[tuple[int, int]]:
    """A soft limit below the hard one, for the length of a test."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    soft, hard = 512, before[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    yield soft, hard
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_it_may_open_as_many_files_as_the_system_allows(limit: tuple[int, int]) -> None:
    soft, hard = limit
    assert soft != hard
    raise_open_files_limit()
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)


def test_the_loop_is_the_one_that_the_environment_names() -> None:
    assert loop_factory({}) is uvloop.new_event_loop
    assert loop_factory({"TORPOR_LOOP": "uvloop"}) is uvloop.new_event_loop
    assert loop_factory({"TORPOR_LOOP": "asyncio"}) is None


def test_a_cluster_that_is_not_there_is_one_line_in_the_log_and_an_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cluster, "WATCH_S_MAX", 0.05)
    options = ["--cluster", "./no.sock", "--listen", "./own.sock", "--warm", "0"]
    monkeypatch.chdir(tmp_path)
    assert main([*options, "--advertise", "localhost:5432"]) == 1
    (line,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert (line.getMessage(), line.exc_info) == ("not_started", None)
    assert vars(line)["reason"] == "nobody answers at no.sock"
