"""A log file of this machine, read from its old part to its end, and then what is added to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from torpor_api.failures import NotFound, Refused
from torpor_cli.logs.lines import Told


class LogTail:
    """Lines of one file that are wanted. A log that grows too large is copied aside and cut to
    nothing (:mod:`torpor_cli.local.log_files`): then it is read from its beginning again."""

    def __init__(self, path: Path, is_wanted: Callable[[str], bool] = lambda line: True) -> None:
        self._path = path
        self._is_wanted = is_wanted
        self._offset: int | None = None
        self._rest = b""
        """Of a line whose end is not written yet."""

    def read(self) -> list[Told]:
        """Raises NotFound where there is no such log, and Refused where it is another user's."""
        try:
            return [(None, line) for line in self._read()]
        except FileNotFoundError:
            raise NotFound(f"there is no log {self._path} yet") from None
        except OSError as error:
            raise Refused(f"the log {self._path} can't be read: {error.strerror}") from None

    def _read(self) -> Iterator[str]:
        if self._offset is None:
            self._offset = 0
            older = self._path.with_name(self._path.name + ".1")
            if older.exists():
                yield from self._wanted(older.read_bytes())
                self._rest = b""
        with self._path.open("rb") as file:
            if file.seek(0, 2) < self._offset:
                self._offset, self._rest = 0, b""
            file.seek(self._offset)
            added = file.read()
        self._offset += len(added)
        yield from self._wanted(added)

    def _wanted(self, added: bytes) -> Iterator[str]:
        *whole, self._rest = (self._rest + added).split(b"\n")
        for line in whole:
            text = line.decode(errors="replace").rstrip("\r")
            if self._is_wanted(text):
                yield text
