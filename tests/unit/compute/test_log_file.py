"""Postgres's log: bounded, and its end for messages."""

from __future__ import annotations

from pathlib import Path

import pytest

from torpor_compute.adapters import log_file
from torpor_compute.adapters.log_file import LogFile


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    made = LogFile(tmp_path)
    made.begin()
    return made


def say(log: LogFile, text: str) -> None:
    with log.path.open("a") as file:
        file.write(text)


def test_only_what_was_said_since_the_start_counts(log: LogFile) -> None:
    assert log.last_lines() == ""
    say(log, "old\n")
    log.begin()
    assert log.last_lines() == ""
    say(log, "one\ntwo\n")
    assert log.last_lines() == "one\ntwo"


def test_the_last_lines_are_few_and_short(log: LogFile) -> None:
    say(log, "".join(f"line {number}\n" for number in range(10_000)))
    assert log.last_lines().split("\n") == [f"line {number}" for number in range(9_992, 10_000)]
    say(log, "x" * 100_000)
    assert len(log.last_lines()) <= 4096


def test_it_is_bounded_while_somebody_writes(log: LogFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "LOG_BYTES_MAX", 1000)
    with log.path.open("a", buffering=1) as postgres:
        for number in range(10):
            postgres.write("x" * 300 + f"{number}\n")
            log.bound()
        postgres.write("last\n")
    assert log.path.stat().st_size <= 1000 + 302
    assert log.path.with_name("postgres.log.1").stat().st_size <= 1000 + 302
    assert log.last_lines().endswith("last")
    assert len(list(log.path.parent.iterdir())) == 2


def test_a_link_is_neither_read_nor_emptied(log: LogFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "LOG_BYTES_MAX", 3)
    secret = log.path.parent / "secret"
    secret.write_text("root:secret")
    log.path.symlink_to(secret)
    assert "secret" not in log.last_lines()
    for look in (log.begin, log.bound):
        with pytest.raises(OSError):
            look()
    assert secret.read_text() == "root:secret"


def test_the_folder_is_the_agent_s_own(log: LogFile) -> None:
    assert log.path.parent.stat().st_mode & 0o777 == 0o700
