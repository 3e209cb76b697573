"""A database's volume as files: ownership records, the applied generation, the data directory.

``take`` and ``release`` are written so that a crash between any two steps is harmless:

======================================  ==========================================================
step of ``take``                        what a crash right after it leaves behind
======================================  ==========================================================
read and judge the newest record        nothing
write a hidden file, fsync              a hidden file that nobody reads; removed at a later take
``link`` it to the epoch's name         our record, held: the next taker needs the fencer's word.
                                        After a loss of power it may be missing as well, and then
                                        nothing of us runs any more, so nobody needs it
read and judge again                    the same
fsync of the folder                     our record, held, for certain
======================================  ==========================================================

``link`` fails where the name exists, so that of two takers of one epoch one fails. Of two takers of
*different* epochs both may have judged before either linked; therefore each judges again after its
own record is there, and at least one of them sees the other's.

``release`` replaces the record by rename: a crash leaves it held or released, never a part.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from torpor_api.failures import DataDamaged, InvalidRequest, StaleEpoch
from torpor_api.identity import ComputeId, Epoch
from torpor_api.messages import ComputeUse
from torpor_compute.adapters import disk, guarded, new_volume, page_cache
from torpor_compute.adapters.new_volume import Seed
from torpor_compute.adapters.pages_file import PagesFile
from torpor_compute.core import ownership, readiness
from torpor_compute.core.ownership import Hold, Record
from torpor_compute.ports import Taken

_GENERATION_FILE = "generation"
_GENERATION_BYTES_MAX = 32

FULL_SHARE = 0.9
"""Of the memory, that may be in use afterwards: sessions go on, and whoever takes the rest away
looks a moment later."""


class FileVolume:
    """See :class:`torpor_compute.ports.Volume`."""

    def __init__(
        self,
        directory: Path,
        compute: ComputeId,
        postgres_version: str,
        seed: Seed | None = None,
        container: Callable[[], ComputeUse] | None = None,
    ) -> None:
        """``seed``: of what to make it, where it is missing and may be made.

        ``container``: what this compute's own one uses; None: it shares one with others.
        """
        self._container = container
        self._room = asyncio.Lock()
        """One looks after it at a time: whoever comes meanwhile is served by that, too."""
        self._directory = directory
        self._seed = seed
        self._records = directory / "ownership"
        self._data = directory / "data"
        self._compute = compute
        self._postgres_version = postgres_version
        self._epoch = Epoch(0)
        self.pages = PagesFile(self._records, self._check_ours)
        self._filesystem: disk.Filesystem | None = None
        """Set while the volume is ours."""

    async def make(self) -> bool:
        if self._seed is None:
            return False
        make = partial(new_volume.make, self._directory, self._seed, self._compute)
        return await asyncio.to_thread(make)

    async def take(self, epoch: Epoch, fenced: Collection[str]) -> Taken:
        return await asyncio.to_thread(self._take, epoch, fenced)

    async def check_ours(self) -> None:
        await asyncio.to_thread(self._check_ours)

    async def release(self, *, facts_exported: bool) -> None:
        await asyncio.to_thread(self._release, facts_exported)

    async def flush(self) -> None:
        assert self._filesystem is not None
        await asyncio.to_thread(self._filesystem.flush)

    async def erase(self, epoch: Epoch, fenced: Collection[str]) -> None:
        await asyncio.to_thread(self._erase, epoch, fenced)

    async def make_room(self, memory_bytes: int) -> None:
        if self._container is not None and not self._room.locked():
            async with self._room:
                await asyncio.to_thread(self._make_room, self._container, memory_bytes)

    async def note_applied(self, generation: int) -> None:
        path = self._records / _GENERATION_FILE
        with disk.writing_to(self._records):
            await asyncio.to_thread(disk.replace_synced, path, f"{generation}\n")

    def _make_room(self, container: Callable[[], ComputeUse], memory_bytes: int) -> None:
        def in_use() -> int:
            return container().memory_bytes

        with contextlib.suppress(OSError):
            limit_bytes = container().memory_limit_bytes
            if limit_bytes is None or memory_bytes < limit_bytes:
                page_cache.let_go(self._data, in_use, int(memory_bytes * FULL_SHARE))

    def _take(self, epoch: Epoch, fenced: Collection[str]) -> Taken:
        self._refuse_unusable_data()
        filesystem = disk.Filesystem(self._data)
        try:
            previous = self._take_records(epoch, fenced)
        except BaseException:
            filesystem.close()
            raise
        self._filesystem = filesystem
        return Taken(
            facts_are_stored=previous is not None and previous.facts_exported,
            generation=self._generation(),
            was_stopped_cleanly=readiness.was_stopped_cleanly(self._control_head()),
        )

    def _release(self, facts_exported: bool) -> None:
        if self._filesystem is not None:
            self._filesystem.refuse_failed()
        record = Record(self._epoch, self._compute, Hold.RELEASED, facts_exported)
        self._replace(ownership.file_name(self._epoch), record)
        if self._filesystem is not None:
            self._filesystem.close()
            self._filesystem = None

    def _erase(self, epoch: Epoch, fenced: Collection[str]) -> None:
        if self._directory.exists():
            self._take_records(epoch, fenced)
            new_volume.erase(self._directory)
        new_volume.finish_erasing(self._directory)

    def _take_records(self, epoch: Epoch, fenced: Collection[str]) -> Record | None:
        """The record that was the newest before ours."""
        previous = self._judge(epoch, fenced)
        with disk.writing_to(self._records):
            self._create(Record(epoch, self._compute, Hold.HELD))
        self._epoch = epoch
        try:
            # Somebody may have taken another epoch since we judged.
            self._judge_again(epoch, fenced)
            disk.sync_folder(self._records)
        except BaseException:
            # Nothing of ours has run: whoever comes next needs no fencer because of us. Taken back
            # and not released: a released record would hide one before it that is still held.
            (self._records / ownership.file_name(epoch)).unlink(missing_ok=True)
            raise
        self._prune()
        return previous

    def _judge(self, epoch: Epoch, fenced: Collection[str]) -> Record | None:
        previous = self._newest()
        ownership.refuse_later(previous, epoch)
        ownership.refuse_held(previous, fenced)
        return previous

    def _judge_again(self, epoch: Epoch, fenced: Collection[str]) -> None:
        epochs = self._epochs()
        if epochs[-1] != epoch:
            raise StaleEpoch(f"epoch {epoch} is over: epoch {epochs[-1]} was taken meanwhile")
        ownership.refuse_held(self._newest(before=epoch), fenced)

    def _newest(self, before: Epoch | None = None) -> Record | None:
        """A taker that came too late may take its own record back while we look."""
        while there := [each for each in self._epochs() if before is None or each < before]:
            try:
                return self._read(there[-1])
            except DataDamaged:
                if there[-1] in self._epochs():
                    raise
        return None

    def _check_ours(self) -> None:
        newest = self._epochs()[-1]
        record = self._read(newest)
        if newest != self._epoch or record.compute != self._compute:
            raise StaleEpoch(f"epoch {self._epoch} is over: compute {record.compute} has taken it")

    def _create(self, record: Record) -> None:
        hidden = self._records / ownership.hidden_name(record.epoch, self._compute)
        path = self._records / ownership.file_name(record.epoch)
        disk.write_synced(hidden, ownership.record_text(record))
        try:
            os.link(hidden, path)
        except (FileExistsError, FileNotFoundError):
            # Somebody has taken this epoch, or a later one and swept ours away.
            ownership.refuse_later(self._newest(), record.epoch)
            raise
        finally:
            hidden.unlink(missing_ok=True)

    def _replace(self, name: str, record: Record) -> None:
        with disk.writing_to(self._records):
            disk.replace_synced(self._records / name, ownership.record_text(record))

    def _read(self, epoch: Epoch) -> Record:
        path = self._records / ownership.file_name(epoch)
        try:
            with guarded.file(path) as file:
                text = os.read(file, ownership.RECORD_BYTES_MAX + 1).decode(errors="replace")
        except OSError as error:
            raise ownership.damaged(str(path), f"can't be read: {error.strerror}") from None
        return ownership.parse_record(text, epoch, str(path))

    def _epochs(self) -> list[Epoch]:
        try:
            return ownership.epochs_in(os.listdir(self._records))
        except OSError as error:
            raise DataDamaged(
                f"{self._records} can't be read: {error.strerror}: the ownership records are lost",
                hint="put the folder back; an empty one lets the next compute take the volume",
            ) from None

    def _prune(self) -> None:
        """What crashes and old epochs have left. A failure here harms nobody."""
        for name in ownership.to_prune(os.listdir(self._records), self._epoch):
            with contextlib.suppress(OSError):
                (self._records / name).unlink()

    def _refuse_unusable_data(self) -> None:
        try:
            head = guarded.read_head(
                self._data, readiness.VERSION_FILE, readiness.VERSION_BYTES_MAX
            )
        except OSError as error:
            missing = error.errno in (errno.ENOENT, errno.ENOTDIR)
            fault = "is missing or empty" if missing else f"can't be used: {error.strerror}"
            raise DataDamaged(
                f"the data directory {self._data} {fault}",
                hint="put it back, or restore it from a backup",
            ) from None
        version = readiness.version_in(head)
        if version is None:
            raise DataDamaged(
                f"{self._data / readiness.VERSION_FILE} holds no number of a release",
                hint="restore the data directory from a backup",
            )
        if version != self._postgres_version:
            raise InvalidRequest(
                f"{self._data} is of Postgres {version}, this compute runs "
                f"{self._postgres_version}",
                hint="claim a compute of the data's own version",
            )

    def _control_head(self) -> bytes:
        try:
            return guarded.read_head(self._data, readiness.CONTROL_FILE, readiness.CONTROL_BYTES)
        except OSError:
            return b""  # Not stopped cleanly; Postgres will say what it thinks of that.

    def _generation(self) -> int:
        """0 where it is missing or unreadable: then the spec is applied once more."""
        try:
            with guarded.file(self._records / _GENERATION_FILE) as file:
                return int(os.read(file, _GENERATION_BYTES_MAX))
        except (OSError, ValueError):
            return 0
