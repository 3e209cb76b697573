"""Volumes that an agent itself makes and erases, on storage that it shares with others.

Agents that race are those of different epochs, of which the ownership record lets one go on. Until
there is a volume there is no record: so each makes its own under a name of its own, and the rename
of the second fails.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from torpor_api.identity import ComputeId
from torpor_compute.adapters import disk
from torpor_volume import layout

_ERASED = "erased"
_APART = "~"
"""No endpoint name has a tilde in it, so what has one is no volume."""


@dataclass(frozen=True, slots=True)
class Seed:
    """What a new volume is made of."""

    template: Path
    user_id: int | None


def make(volume: Path, seed: Seed, compute: ComputeId) -> bool:
    """Whether it was made now; False where there is one. Raises StorageFull, DataDamaged."""
    if volume.exists():
        return False
    with disk.writing_to(volume.parent):
        try:
            partial = volume.with_name(f"{volume.name}{_APART}{compute}")
            layout.make(volume, seed.template, seed.user_id, partial)
        except OSError:
            # Another was faster: the rename failed, or what was begun was swept under its copying.
            if not volume.exists():
                raise
            return False
    # Their rename can't succeed any more, so whoever still works on one works in vain.
    remove_leftovers(volume)
    return True


def erase(volume: Path) -> None:
    """Renamed first, so that half of one is never taken for a whole. Raises DataDamaged."""
    finish_erasing(volume)
    with disk.writing_to(volume.parent):
        volume.rename(_erased(volume))
        disk.sync_folder(volume.parent)
    finish_erasing(volume)


def finish_erasing(volume: Path) -> None:
    """Of what was renamed nothing stays. Raises DataDamaged, naming why something does."""
    remove_leftovers(volume)
    erased = _erased(volume)
    if erased.exists():
        with disk.writing_to(erased):
            shutil.rmtree(erased)


def remove_leftovers(volume: Path) -> None:
    """What was begun or renamed, and not brought to its end; what can't be removed stays."""
    for path in volume.parent.glob(f"{volume.name}{_APART}*"):
        shutil.rmtree(path, ignore_errors=True)


def _erased(volume: Path) -> Path:
    return volume.with_name(f"{volume.name}{_APART}{_ERASED}")
