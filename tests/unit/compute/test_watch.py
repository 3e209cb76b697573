"""A change in a folder is told at once, or soon where the kernel gives no watch."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from torpor_compute.adapters import watch
from torpor_compute.adapters.watch import FolderWatch


@pytest.mark.parametrize("is_polling", [False, True])
async def test_a_change_is_told(
    tmp_path: Path, is_polling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_polling:
        monkeypatch.setattr(watch, "_watch", lambda folder: None)
    stirred = asyncio.Event()
    watching = FolderWatch(tmp_path, stirred.set)
    assert watching.is_polling is is_polling
    for text in ("new", "changed"):
        stirred.clear()
        (tmp_path / "postmaster.pid").write_text(text)
        async with asyncio.timeout(10):
            await stirred.wait()
    watching.close()


async def test_without_a_change_a_watch_is_silent(tmp_path: Path) -> None:
    told: list[None] = []
    watching = FolderWatch(tmp_path, lambda: told.append(None))
    for _ in range(50):
        await asyncio.sleep(0.001)
    watching.close()
    assert told == []


@pytest.mark.parametrize("name", ["not-there", "link"])
async def test_a_folder_that_can_not_be_watched_is_polled(tmp_path: Path, name: str) -> None:
    (tmp_path / "link").symlink_to(tmp_path)
    watching = FolderWatch(tmp_path / name, lambda: None)
    assert watching.is_polling
    watching.close()
