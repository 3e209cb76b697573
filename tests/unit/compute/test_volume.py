"""The ownership records as files: takers that race, and a crash after every step."""

from __future__ import annotations

import asyncio
import errno
import os
import struct
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from torpor_api.failures import (
    DataDamaged,
    Failure,
    InvalidRequest,
    NotFenced,
    StaleEpoch,
    StorageFull,
)
from torpor_api.identity import ComputeId, Epoch
from torpor_compute.adapters import disk
from torpor_compute.adapters.volume import FileVolume
from torpor_compute.core import ownership
from torpor_compute.core.ownership import Hold, Record

CRASHED = 9

CRASHING = """
import asyncio, os, sys
from pathlib import Path
from torpor_compute.adapters.volume import FileVolume

volume, steps_left = Path(sys.argv[1]), int(sys.argv[2])

def crash_after(name):
    do = getattr(os, name)
    def step(*args, **kwargs):
        global steps_left
        done = do(*args, **kwargs)
        steps_left -= 1
        if steps_left == 0:
            os._exit(9)
        return done
    setattr(os, name, step)

async def main():
    taker = FileVolume(volume, "crashing", "18")
    if sys.argv[3] == "release":
        await taker.take(1, [])
    for name in ("fsync", "link", "unlink", "rename"):
        crash_after(name)
    if sys.argv[3] == "take":
        await taker.take(1, [])
    else:
        await taker.release(facts_exported=True)

asyncio.run(main())
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "ownership").mkdir()
    (tmp_path / "data" / "global").mkdir(parents=True)
    (tmp_path / "data" / "PG_VERSION").write_text("18\n")
    return tmp_path


def volume(directory: Path, compute: str = "c1") -> FileVolume:
    return FileVolume(directory, ComputeId(compute), "18")


def crash(directory: Path, step: int, doing: str) -> bool:
    """Whether it crashed; False: there are fewer steps than that."""
    argv = [sys.executable, "-c", CRASHING, str(directory), str(step), doing]
    status = subprocess.run(argv, check=False).returncode
    assert status in (0, CRASHED)
    return status == CRASHED


def records(directory: Path) -> list[Record]:
    found = []
    for path in sorted((directory / "ownership").glob("*.json")):
        found.append(ownership.parse_record(path.read_text(), Epoch(int(path.stem)), str(path)))
    return found


def hidden(directory: Path) -> list[str]:
    return [name for name in os.listdir(directory / "ownership") if name.startswith(".")]


@pytest.mark.parametrize(
    ("step", "after_it", "is_held"),
    [(1, "file written", False), (2, "linked", True), (3, "tidied", True), (4, "synced", True)],
)
async def test_a_crash_in_a_take(directory: Path, step: int, after_it: str, is_held: bool) -> None:
    assert crash(directory, step, "take")
    held = [(r.epoch, r.compute, r.state) for r in records(directory)]
    assert held == ([(1, "crashing", Hold.HELD)] if is_held else [])
    if is_held:
        with pytest.raises(NotFenced, match="compute crashing"):
            await volume(directory).take(Epoch(2), [])
    await volume(directory).take(Epoch(2), ["crashing"])
    assert hidden(directory) == []


@pytest.mark.parametrize(
    ("step", "state"), [(1, Hold.HELD), (2, Hold.RELEASED), (3, Hold.RELEASED)]
)
async def test_a_crash_in_a_release(directory: Path, step: int, state: Hold) -> None:
    assert crash(directory, step, "release")
    assert [r.state for r in records(directory)] == [state]
    await volume(directory).take(Epoch(2), ["crashing"])
    assert hidden(directory) == []


@pytest.mark.parametrize(("doing", "steps"), [("take", 4), ("release", 3)])
def test_every_step_has_its_crash(directory: Path, doing: str, steps: int) -> None:
    assert not crash(directory, steps + 1, doing)


async def test_a_released_volume_is_taken_and_released_again(directory: Path) -> None:
    for epoch in (1, 2, 7):
        ours = volume(directory, f"c{epoch}")
        taken = await ours.take(Epoch(epoch), [])
        assert taken.facts_are_stored == (epoch > 1)
        await ours.check_ours()
        await ours.release(facts_exported=True)
    assert [r.epoch for r in records(directory)] == [1, 2, 7]


async def test_facts_that_nobody_got_are_not_stored(directory: Path) -> None:
    first = volume(directory)
    await first.take(Epoch(1), [])
    await first.release(facts_exported=False)
    assert (await volume(directory).take(Epoch(2), [])).facts_are_stored is False


async def test_a_held_volume_waits_for_the_fencer(directory: Path) -> None:
    await volume(directory, "dead").take(Epoch(3), [])
    with pytest.raises(NotFenced, match="compute dead holds the volume under epoch 3"):
        await volume(directory).take(Epoch(4), ["late"])
    assert [r.epoch for r in records(directory)] == [3]
    await volume(directory).take(Epoch(4), ["late", "dead"])


async def test_who_was_refused_may_try_the_same_epoch_again(directory: Path) -> None:
    await volume(directory, "dead").take(Epoch(1), [])
    second = volume(directory)
    with pytest.raises(NotFenced):
        await second.take(Epoch(2), [])
    await second.take(Epoch(2), ["dead"])


@pytest.mark.parametrize("epoch", [1, 2])
async def test_an_epoch_that_is_over_is_stale(directory: Path, epoch: int) -> None:
    ours = volume(directory)
    await ours.take(Epoch(2), [])
    await ours.release(facts_exported=True)
    with pytest.raises(StaleEpoch):
        await volume(directory).take(Epoch(epoch), [])


async def test_of_many_takers_of_one_epoch_one_wins(directory: Path) -> None:
    takers = [volume(directory, f"c{number}") for number in range(16)]
    outcomes = await asyncio.gather(
        *(taker.take(Epoch(1), []) for taker in takers), return_exceptions=True
    )
    losers = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert len(losers) == 15 and all(isinstance(loser, StaleEpoch | NotFenced) for loser in losers)
    winner = takers[next(i for i, o in enumerate(outcomes) if not isinstance(o, BaseException))]
    await winner.check_ours()


@pytest.mark.parametrize("late", [Epoch(2), Epoch(3)])
async def test_takers_of_two_epochs_that_judged_before_either_took(
    directory: Path, late: Epoch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one takes its epoch between our judging and our taking."""
    other = Epoch(5 - late)
    link = os.link

    def link_too_late(hidden: Path, path: Path) -> None:
        record = Record(other, ComputeId("other"), Hold.HELD)
        disk.write_synced(path.with_name(ownership.file_name(other)), ownership.record_text(record))
        link(hidden, path)

    monkeypatch.setattr(os, "link", link_too_late)
    with pytest.raises(StaleEpoch if other > late else NotFenced):
        await volume(directory).take(late, [])
    assert [record.epoch for record in records(directory)] == [other]


async def test_a_later_owner_forbids_a_restart(directory: Path) -> None:
    first = volume(directory)
    await first.take(Epoch(1), [])
    await volume(directory, "c2").take(Epoch(2), ["c1"])
    with pytest.raises(StaleEpoch, match="compute c2"):
        await first.check_ours()


@pytest.mark.parametrize("content", [b"", b"{", b"\0" * 80, b"x" * 5000, b"\xff\xfe"])
async def test_a_corrupt_record_lets_nobody_start(directory: Path, content: bytes) -> None:
    (directory / "ownership" / "0000000004.json").write_bytes(content)
    with pytest.raises(DataDamaged, match=r"0000000004\.json") as refused:
        await volume(directory).take(Epoch(5), ["c1"])
    assert "remove the file" in refused.value.hint


async def test_a_record_that_can_not_be_read_lets_nobody_start(directory: Path) -> None:
    (directory / "ownership" / "0000000004.json").mkdir()
    with pytest.raises(DataDamaged, match="can't be read"):
        await volume(directory).take(Epoch(5), [])


async def test_a_missing_folder_of_records_is_named(directory: Path) -> None:
    (directory / "ownership").rmdir()
    with pytest.raises(DataDamaged, match="ownership can't be read"):
        await volume(directory).take(Epoch(1), [])


@pytest.mark.parametrize("missing", ["data/PG_VERSION", "data", "."])
async def test_missing_data_is_named_and_nothing_is_taken(directory: Path, missing: str) -> None:
    (directory / missing).resolve().rename(directory.parent / f"lost-{directory.name}")
    with pytest.raises(DataDamaged, match="data is missing or empty"):
        await volume(directory).take(Epoch(1), [])
    assert missing == "." or records(directory) == []


async def test_a_full_disk_is_named_and_leaves_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StorageFull, match="no room on the file system"):
        await volume(directory).take(Epoch(1), [])
    assert os.listdir(directory / "ownership") == []


async def test_a_volume_that_can_not_be_written_to_is_named(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "link", read_only)
    with pytest.raises(DataDamaged, match="ownership can't be written to: Read-only"):
        await volume(directory).take(Epoch(1), [])


async def test_data_of_another_release_is_left_alone(directory: Path) -> None:
    (directory / "data" / "PG_VERSION").write_text("17\n")
    with pytest.raises(InvalidRequest, match="is of Postgres 17, this compute runs 18"):
        await volume(directory).take(Epoch(1), [])
    assert records(directory) == []


SECRETS = ["root:secret\n", "1800\n", "18\nroot:secret\n", "", "18 ", "\u0661\u0668\n"]


@pytest.mark.parametrize("content", SECRETS)
@pytest.mark.parametrize("is_link", [False, True])
async def test_what_is_no_version_is_never_told(
    directory: Path, content: str, is_link: bool
) -> None:
    """A tenant's superuser can put anything there, a link to a file of root's as well."""
    file = directory / "data" / "PG_VERSION"
    if is_link:
        file.unlink()
        (directory / "secret").write_text(content)
        file.symlink_to(directory / "secret")
    else:
        file.write_text(content)
    with pytest.raises(DataDamaged) as refused:
        await volume(directory).take(Epoch(1), [])
    assert "secret" not in refused.value.message and "1800" not in refused.value.message
    assert records(directory) == []


async def test_a_link_in_the_place_of_pg_control_is_no_clean_stop(directory: Path) -> None:
    elsewhere = directory / "pg_control"
    elsewhere.write_bytes(struct.pack("=QIIi", 1, 1, 1, 1))
    (directory / "data" / "global" / "pg_control").symlink_to(elsewhere)
    assert not (await volume(directory).take(Epoch(1), [])).was_stopped_cleanly


async def test_the_applied_generation_is_kept(directory: Path) -> None:
    ours = volume(directory)
    assert (await ours.take(Epoch(1), [])).generation == 0
    await ours.note_applied(7)
    assert (await volume(directory).take(Epoch(2), ["c1"])).generation == 7
    (directory / "ownership" / "generation").write_text("seven")
    assert (await volume(directory).take(Epoch(3), ["c1"])).generation == 0


async def test_old_records_are_removed(directory: Path) -> None:
    for epoch in range(1, 10):
        await volume(directory).take(Epoch(epoch), ["c1"])
    assert [r.epoch for r in records(directory)] == [5, 6, 7, 8, 9]


async def test_records_belong_to_the_agent_alone(directory: Path) -> None:
    await volume(directory).take(Epoch(1), [])
    mode = (directory / "ownership" / "0000000001.json").stat().st_mode
    assert mode & 0o777 == 0o600


async def test_flush_names_a_disk_that_fails(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For good: the kernel tells it once, and takes the pages that it has lost for clean."""

    def failing(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    owner = volume(directory)
    await owner.take(Epoch(1), [])
    await owner.flush()
    with monkeypatch.context() as failing_once:
        failing_once.setattr(disk, "sync_filesystem", failing)
        with pytest.raises(DataDamaged, match="Input/output error"):
            await owner.flush()
    with pytest.raises(DataDamaged, match="Input/output error"):
        await owner.flush()
    with pytest.raises(DataDamaged, match="Input/output error"):
        await owner.release(facts_exported=False)
    assert [record.state for record in records(directory)] == [Hold.HELD]


async def test_a_taker_that_came_too_late_hides_nobody(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three takers: the second has judged before the first had its record, and gives up."""
    holder, late = volume(directory, "c1"), volume(directory, "c3")
    judge = late._judge

    def judge_too_early(epoch: Epoch, fenced: Collection[str]) -> Record | None:
        previous = judge(epoch, fenced)
        holder._take(Epoch(1), [])
        return previous

    monkeypatch.setattr(late, "_judge", judge_too_early)
    with pytest.raises(NotFenced, match="c1"):
        await late.take(Epoch(3), [])
    with pytest.raises(NotFenced, match="c1"):
        await volume(directory, "c5").take(Epoch(5), [])
    await holder.check_ours()
