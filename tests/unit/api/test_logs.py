"""The log's form."""

from __future__ import annotations

import json
import logging

from torpor_api.logs import JsonLines


def test_the_log_is_one_line_of_json_per_event() -> None:
    record = logging.makeLogRecord({"msg": "idle", "levelno": 20, "levelname": "INFO"})
    record.database, record.reasons = "shop", ("a", "b")
    line = JsonLines().format(record)
    fields = json.loads(line)
    assert "\n" not in line
    assert (fields["event"], fields["database"]) == ("idle", "shop")
    assert fields["reasons"] == ["a", "b"]
