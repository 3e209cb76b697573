"""The files that a replay is made of: what they are, in which order, and their lines."""

from __future__ import annotations

import contextlib
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path
from typing import Final

from torpor_api.failures import InvalidRequest
from torpor_cli.replay.csv_log import CsvLog
from torpor_cli.replay.json_log import JsonLog
from torpor_cli.replay.log_line import LogClock, LogLine

SCRIPT_SUFFIXES: Final = (".sql", ".pgbench", ".bench")
"""By which a pgbench script is known: its content may be anything."""

SNIFFED_BYTES: Final = 4096

GZIP: Final = b"\x1f\x8b"

TOLD_EVERY_LINES: Final = 5000

_STAMP: Final = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
_CSV = re.compile(rf"({_STAMP}\.\d+) [^,\n]{{1,40}},")
_JSON = re.compile(rf'\s*\{{[^\n]*"timestamp":\s*"({_STAMP}\.\d+)')
_TEXT_LOG = re.compile(
    r"^.{0,300}\b(LOG|ERROR|FATAL|WARNING|STATEMENT|DETAIL|HINT):  ", re.MULTILINE
)

HOW_TO_LOG: Final = (
    "set log_destination = 'csvlog', logging_collector = on and log_min_duration_statement = 0, "
    "and lc_messages = 'C'"
)


class Kind(Enum):
    CSV = auto()
    JSON = auto()
    SCRIPT = auto()
    EMPTY = auto()
    """As a log is that was rotated while nothing happened."""


@dataclass(frozen=True, slots=True)
class Input:
    """One file."""

    path: Path
    kind: Kind
    begin: str = ""
    """The time of a log's first line, as text that sorts."""


Told = Callable[[float], None]
"""Hears which share of all bytes has been read."""


def sniffed(path: Path) -> Input:
    """Raises InvalidRequest where it is nothing that can be replayed."""
    try:
        with _opened(path) as (_, text):
            head = text.read(SNIFFED_BYTES)
    except OSError as error:
        raise InvalidRequest(f"{path}: {error.strerror or error}") from None
    if not head.strip():
        return Input(path, Kind.EMPTY)
    if found := _CSV.match(head):
        return Input(path, Kind.CSV, found[1])
    if found := _JSON.match(head):
        return Input(path, Kind.JSON, found[1])
    if path.suffix in SCRIPT_SUFFIXES:
        return Input(path, Kind.SCRIPT)
    if _TEXT_LOG.search(head):
        raise InvalidRequest(
            f"{path}: is a Postgres log as text, whose lines don't tell of which session they are",
            hint=f"for a log that can be replayed, {HOW_TO_LOG}",
        )
    raise InvalidRequest(
        f"{path}: is neither a csvlog nor a jsonlog of Postgres, "
        f"nor a pgbench script ({', '.join(SCRIPT_SUFFIXES)})"
    )


@dataclass(slots=True)
class LogFiles:
    """Logs of one server, which may have been rotated."""

    inputs: Sequence[Input]
    cut_off: list[str]
    """Files whose last line was not whole, once they have been read."""

    @classmethod
    def of(cls, inputs: Sequence[Input]) -> LogFiles:
        """In the order of their time, however they were named."""
        return cls(sorted(inputs, key=lambda one: one.begin), [])

    def lines(self, told: Told) -> Iterator[LogLine]:
        """Of all files. Raises InvalidRequest that names the file and the line."""
        clock = LogClock()
        sizes = [one.path.stat().st_size for one in self.inputs]
        whole = max(sum(sizes), 1)
        for index, one in enumerate(self.inputs):
            before = sum(sizes[:index])
            with _opened(one.path) as (raw, text):
                log = (JsonLog if one.kind is Kind.JSON else CsvLog)(text, str(one.path), clock)
                for number, line in enumerate(log.lines()):
                    yield line
                    if number % TOLD_EVERY_LINES == 0:
                        told(min((before + raw.tell()) / whole, 1.0))
            if log.is_cut_off:
                self.cut_off.append(str(one.path))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedReader, io.TextIOWrapper]]:
    """The file, and its text; what is not UTF-8 in it is kept as the bytes that it is."""
    with path.open("rb") as raw:
        is_packed = raw.read(len(GZIP)) == GZIP
        raw.seek(0)
        content = gzip.GzipFile(fileobj=raw) if is_packed else raw
        # A new line within quotes is the statement's own: none is translated.
        text = io.TextIOWrapper(
            content,
            encoding="utf-8",
            errors="surrogateescape",
            newline="",
        )
        try:
            yield raw, text
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidRequest(f"{path}: is not whole, or no gzip file: {error}") from None
