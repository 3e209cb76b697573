"""Lines of ``log_destination = csvlog``, of every Postgres that writes it. Pure: text in."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Final

from torpor_api.failures import InvalidRequest
from torpor_cli.replay.log_line import LogClock, LogLine

COLUMNS_MIN: Final = 23
"""Of Postgres 9.0 to 12; 13 has the backend's type behind them, 14 a query id too."""

FIELD_BYTES_MAX: Final = 64 << 20
"""Of one statement, or of its parameters. A quote that is missing would swallow the whole file."""


class CsvLog:
    """One file. Its last line may be cut off, where Postgres was killed or the file is copied while
    it is written: it is left out, and ``is_cut_off`` says so."""

    def __init__(self, text: Iterable[str], where: str, clock: LogClock) -> None:
        self._text = text
        self._where = where
        self._clock = clock
        self.is_cut_off = False

    def lines(self) -> Iterator[LogLine]:
        """Raises InvalidRequest that names the line, where it is not the last."""
        csv.field_size_limit(FIELD_BYTES_MAX)
        reader = csv.reader(self._text, strict=True)
        fault, begins_at = "", 1
        while True:
            try:
                row = next(reader, None)
            except csv.Error as error:
                if "unexpected end" not in str(error):
                    raise InvalidRequest(self._told(begins_at, str(error))) from None
                self.is_cut_off = True
                return
            if row is None:
                break
            if fault:
                raise InvalidRequest(fault)
            where = f"{self._where}:{begins_at}"
            try:
                if row:
                    yield _log_line(row, where, self._clock)
            except ValueError as error:
                fault = f"{where}: {error}"
            begins_at = reader.line_num + 1
        self.is_cut_off = bool(fault)

    def _told(self, line: int, fault: str) -> str:
        if "field limit" in fault:
            most = FIELD_BYTES_MAX >> 20
            fault = f"a field has more than {most} MiB: is the quote missing at its end?"
        return f"{self._where}:{line}: is no line of csvlog: {fault}"


def _log_line(row: list[str], where: str, clock: LogClock) -> LogLine:
    if len(row) < COLUMNS_MIN:
        raise ValueError(f"has {len(row)} columns: csvlog has {COLUMNS_MIN} or more")
    return LogLine(
        at_s=clock.seconds(row[0]),
        where=where,
        user=row[1],
        database=row[2],
        session=row[5],
        severity=row[11],
        sqlstate=row[12],
        message=row[13],
        detail=row[14],
        context=row[18],
        statement=row[19],
        application=row[22],
        backend_type=row[23] if len(row) > COLUMNS_MIN else "",
    )
