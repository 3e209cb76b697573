"""Logs that grow while their writers run: bounded, and one old one is kept."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from torpor_cli.local import log_files


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "LOG_BYTES_MAX", 1000)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "proxy.log"


def files(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir())


def test_a_log_of_the_largest_size_is_left_alone(path: Path) -> None:
    path.write_bytes(b"x" * 1000)
    log_files.bound(path)
    assert files(path) == ["proxy.log"] and path.stat().st_size == 1000


def test_a_writer_that_keeps_its_descriptor_goes_on_at_the_beginning(path: Path) -> None:
    with log_files.open_log(path) as writer:
        for round in range(3):
            writer.write(b"a" * 1500 + str(round).encode())
            writer.flush()
            log_files.bound(path)
            assert path.stat().st_size == 0
        writer.write(b"new")
    assert path.read_bytes() == b"new"
    assert path.with_name("proxy.log.1").read_bytes() == b"a" * 999 + b"2"
    assert files(path) == ["proxy.log", "proxy.log.1"]


def test_another_process_of_the_same_log_does_not_move_it_away(path: Path) -> None:
    with log_files.open_log(path) as first:
        first.write(b"a" * 1500)
        first.flush()
        with log_files.open_log(path) as second:
            first.write(b"one ")
            first.flush()
            second.write(b"two")
    assert path.read_bytes() == b"one two"


def test_without_room_for_the_old_one_it_is_given_up(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path.write_bytes(b"x" * 1500)
    path.with_name("proxy.log.1").mkdir()
    log_files.bound(path)
    assert path.stat().st_size == 0
    assert files(path) == ["proxy.log", "proxy.log.1"]
    assert "log_not_kept" in caplog.text


def test_a_log_that_there_is_not(path: Path) -> None:
    log_files.bound(path)
    assert files(path) == []


def test_its_last_lines_are_for_a_person_and_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = {"at": "2026-11-30T16:20:07.123Z", "level": "error", "component": "proxy"}
    line = json.dumps({**head, "event": "not_started", "reason": "no way"})
    path.write_text(f"{line}\nTraceback of somebody else\n")
    wanted = '16:20:07.123 ERROR   proxy      not_started reason="no way"'
    assert log_files.last_lines(path) == f"{wanted}\nTraceback of somebody else"
    monkeypatch.setattr(log_files, "LAST_BYTES_MAX", 60)
    assert log_files.last_lines(path) == "Traceback of somebody else"


async def test_it_looks_again_and_again(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_files, "CHECK_SECONDS", 0.01)
    watching = asyncio.create_task(log_files.keep_bounded(path.parent))
    try:
        async with asyncio.timeout(10):
            for name in ("proxy.log", "up.log", "proxy.log"):
                log = path.with_name(name)
                log.write_bytes(b"x" * 1500)
                while log.stat().st_size:
                    await asyncio.sleep(0.01)
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert files(path) == ["proxy.log", "proxy.log.1", "up.log", "up.log.1"]
