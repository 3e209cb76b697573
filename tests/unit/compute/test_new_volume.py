"""Volumes that agents make and erase: whole or not at all, whoever races and whatever is left."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path

import pytest

from support.limits import files_of_at_most
from torpor_api.failures import DataDamaged, NotFenced, StaleEpoch, StorageFull
from torpor_api.identity import ComputeId, Epoch
from torpor_compute.adapters import new_volume
from torpor_compute.adapters.new_volume import Seed
from torpor_compute.adapters.volume import FileVolume
from torpor_volume import disk

RACERS = 8


@pytest.fixture
def seed(tmp_path: Path) -> Seed:
    template = tmp_path / "template"
    (template / "base").mkdir(parents=True)
    (template / "PG_VERSION").write_text("18\n")
    (template / "base" / "1259").write_bytes(os.urandom(300_000))
    return Seed(template, None)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "volumes").mkdir()
    return tmp_path / "volumes" / "team.shop"


def agent(place: Path, seed: Seed | None, compute: str = "c1") -> FileVolume:
    return FileVolume(place, ComputeId(compute), "18", seed)


async def test_what_is_missing_is_made_and_taken(place: Path, seed: Seed) -> None:
    volume = agent(place, seed)
    assert await volume.make()
    await volume.take(Epoch(1), [])
    assert sorted(each.name for each in place.iterdir()) == ["data", "ownership"]
    assert (place / "data").stat().st_mode & 0o777 == 0o700
    assert not await agent(place, seed, "c2").make()


async def test_without_leave_nothing_is_made(place: Path) -> None:
    volume = agent(place, None)
    assert not await volume.make()
    with pytest.raises(DataDamaged, match="is missing or empty"):
        await volume.take(Epoch(1), [])


async def test_what_is_there_is_left_as_it_is(place: Path, seed: Seed) -> None:
    (place / "ownership").mkdir(parents=True)
    assert not await agent(place, seed).make()
    with pytest.raises(DataDamaged):
        await agent(place, seed).take(Epoch(1), [])


async def test_of_many_that_make_it_one_does(place: Path, seed: Seed) -> None:
    made = await asyncio.gather(*(agent(place, seed, f"c{n}").make() for n in range(RACERS)))
    assert made.count(True) == 1
    assert [each.name for each in place.parent.iterdir()] == ["team.shop"]
    assert (place / "data" / "base" / "1259").stat().st_size == 300_000


async def test_one_that_is_swept_by_a_faster_one_is_no_fault(
    place: Path, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_tree = disk.copy_tree

    def overtaken(source: Path, target: Path, user_id: int | None) -> None:
        monkeypatch.setattr(disk, "copy_tree", copy_tree)
        assert new_volume.make(place, seed, ComputeId("faster"))
        assert not target.parent.exists()
        copy_tree(source, target, user_id)

    monkeypatch.setattr(disk, "copy_tree", overtaken)
    assert not await agent(place, seed).make()
    assert [each.name for each in place.parent.iterdir()] == ["team.shop"]


async def test_where_there_is_no_room_nothing_stays(place: Path, seed: Seed) -> None:
    with files_of_at_most(100_000), pytest.raises(StorageFull, match=r"no room .*team\.shop"):
        await agent(place, seed).make()
    assert list(place.parent.iterdir()) == []


async def test_leftovers_of_the_killed_are_swept_and_others_are_not(
    place: Path, seed: Seed
) -> None:
    half, other = place.with_name("team.shop~c0"), place.with_name("team.shop-2~c0")
    for each in (half, other):
        (each / "data").mkdir(parents=True)
    await agent(place, seed).make()
    assert not half.exists() and other.exists()


async def test_erased_is_gone_and_gone_is_erased(place: Path, seed: Seed) -> None:
    await agent(place, seed).make()
    for compute in ("c2", "c3"):
        await agent(place, None, compute).erase(Epoch(1), [])
        assert list(place.parent.iterdir()) == []


async def test_an_erasure_that_was_cut_short_is_brought_to_its_end(place: Path, seed: Seed) -> None:
    await agent(place, seed).make()
    place.rename(place.with_name("team.shop~erased"))
    await agent(place, None).erase(Epoch(2), [])
    assert list(place.parent.iterdir()) == []


async def test_erased_is_not_said_while_something_is_left(
    place: Path, seed: Seed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its user id would be given to another database."""
    unlink = os.unlink

    def refusing(path: str | Path, *, dir_fd: int | None = None) -> None:
        if path == "1259":
            raise OSError(errno.EIO, "Input/output error")
        unlink(path, dir_fd=dir_fd)

    await agent(place, seed).make()
    with monkeypatch.context() as failing_disk:
        failing_disk.setattr(os, "unlink", refusing)
        for _ in range(2):
            with pytest.raises(DataDamaged, match=r"~erased .*Input/output error"):
                await agent(place, None, "c2").erase(Epoch(1), [])
    await agent(place, None, "c2").erase(Epoch(1), [])
    assert list(place.parent.iterdir()) == []


async def test_data_that_cant_be_used_is_erased_all_the_same(place: Path, seed: Seed) -> None:
    await agent(place, seed).make()
    (place / "data" / "PG_VERSION").unlink()
    await agent(place, None).erase(Epoch(1), [])
    assert not place.exists()


async def test_what_somebody_holds_is_not_erased(place: Path, seed: Seed) -> None:
    holder = agent(place, seed)
    await holder.make()
    await holder.take(Epoch(3), [])
    with pytest.raises(NotFenced):
        await agent(place, None, "c2").erase(Epoch(4), [])
    with pytest.raises(StaleEpoch):
        await agent(place, None, "c2").erase(Epoch(3), [])
    await holder.check_ours()
    await agent(place, None, "c2").erase(Epoch(5), ["c1"])
    assert not place.exists()
