"""The log of every component: one line of JSON per event, with its own fields."""

from __future__ import annotations

import json
import logging
import sys

_OWN_TO_LOGGING = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}


class JsonLines(logging.Formatter):
    """``{"at": …, "level": …, "event": …, "database": …, "reasons": […]}``"""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "at": self.formatTime(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        fields = record.__dict__
        line |= {name: fields[name] for name in fields if name not in _OWN_TO_LOGGING}
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def log_as_json() -> None:
    """From now on the process writes its log to standard error in this form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
