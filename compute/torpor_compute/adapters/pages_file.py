"""The list of pages on a volume, beside the ownership records: see the port ``KeptPages``."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from pathlib import Path

from torpor_compute.adapters import disk, guarded, own_files
from torpor_compute.core.kept_pages import BYTES_MAX

log = logging.getLogger(__name__)

_FILE = "pages"


class PagesFile:
    """``check_ours``: raises StaleEpoch where a later epoch has the volume."""

    def __init__(self, records: Path, check_ours: Callable[[], None]) -> None:
        self._path = records / _FILE
        self._check_ours = check_ours

    async def read(self) -> bytes:
        return await asyncio.to_thread(self._read)

    async def write(self, content: bytes) -> None:
        await asyncio.to_thread(self._write, content)

    def _read(self) -> bytes:
        try:
            with guarded.file(self._path) as file:
                return os.read(file, BYTES_MAX + 1)
        except FileNotFoundError:
            return b""
        except OSError as error:
            log.warning(
                "pages_unreadable", extra={"path": str(self._path), "reason": error.strerror}
            )
            return b""

    def _write(self, content: bytes) -> None:
        """Not synced: half a list after a loss of power is known as that, and as good as none."""
        self._check_ours()
        with disk.writing_to(self._path.parent):
            own_files.replace(self._path, content, 0o600)
