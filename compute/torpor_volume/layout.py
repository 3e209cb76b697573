"""What a volume looks like, and how one is made: whole, or not at all.

```
VOLUME/ownership/   the ownership records; the agent's, out of the tenant's reach
VOLUME/data/        the data directory; 0700, the tenant's
VOLUME/log/         what its Postgres said, over all computes
```
"""

from __future__ import annotations

import shutil
from pathlib import Path

from torpor_volume import disk


def make(volume: Path, template: Path, user_id: int | None, partial: Path) -> None:
    """A copy of the template as ``partial``, renamed to ``volume`` once it is on disk.

    Raises StorageFull, or OSError where there is a volume already. Blocks: call it in a thread.
    """
    shutil.rmtree(partial, ignore_errors=True)
    try:
        with disk.full_disk_is_named(volume):
            partial.mkdir(mode=0o711)
            partial.chmod(0o711)
            (partial / "ownership").mkdir(mode=0o700)
            disk.copy_tree(template, partial / "data", user_id)
            disk.flush_filesystem(partial)
            partial.rename(volume)
            disk.flush_folder(volume.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
