"""Lines of ``log_destination = jsonlog`` (Postgres 15 and newer): an object a line. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from torpor_api.failures import InvalidRequest
from torpor_cli.replay.log_line import LogClock, LogLine


class JsonLog:
    """One file; as with :class:`torpor_cli.replay.csv_log.CsvLog`, its last line may be cut off."""

    def __init__(self, text: Iterable[str], where: str, clock: LogClock) -> None:
        self._text = text
        self._where = where
        self._clock = clock
        self.is_cut_off = False

    def lines(self) -> Iterator[LogLine]:
        """Raises InvalidRequest that names the line, where it is not the last."""
        fault = ""
        for number, text in enumerate(self._text, start=1):
            if fault:
                raise InvalidRequest(fault)
            where = f"{self._where}:{number}"
            try:
                if text.strip():
                    yield _log_line(json.loads(text), where, self._clock)
            except ValueError as error:
                fault = f"{where}: is no line of jsonlog: {error}"
        self.is_cut_off = bool(fault)


def _log_line(found: Any, where: str, clock: LogClock) -> LogLine:
    if not isinstance(found, dict):
        raise ValueError("it is no object")

    def of(key: str) -> str:
        value = found.get(key, "")
        if not isinstance(value, str):
            raise ValueError(f"{key} is no text")
        return value

    return LogLine(
        at_s=clock.seconds(of("timestamp")),
        where=where,
        user=of("user"),
        database=of("dbname"),
        session=of("session_id"),
        severity=of("error_severity"),
        sqlstate=of("state_code") or "00000",
        message=of("message"),
        detail=of("detail"),
        context=of("context"),
        statement=of("statement"),
        application=of("application_name"),
        backend_type=of("backend_type"),
    )
