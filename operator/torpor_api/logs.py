"""The log of every component: one line an event, JSON for programs or plain for a terminal.

A line has the constant name of its event, and fields; nothing is told in prose. What is the same in
all lines of a process (its component, its compute, its proxy) is said once, as its ``identity``.
What other people's libraries log comes in the same form, as the event ``foreign``; below WARNING
they are not heard at all: what they tell at DEBUG may hold objects with secrets in them.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Final

from torpor_api.failures import InvalidRequest

log = logging.getLogger(__name__)

LEVEL_VARIABLE = "TORPOR_LOG_LEVEL"
"""In the environment of every component: a level, or several: ``warning,proxy=debug``."""

FORM_VARIABLE = "TORPOR_LOG_FORMAT"
"""``json`` or ``text``. Left out: text on a terminal, else JSON."""

COMPONENTS = ("proxy", "autoscaler", "agent", "operator", "supervisor")
"""Who writes a log; the supervisor is `torpor up`."""

OUR_PACKAGES = "torpor_"
"""What the names of our own loggers begin with."""

FOREIGN = "foreign"
"""The event of what another library says in its own words, which are its ``message``."""

EXIT_INVALID = 2
"""Of a process that was started with a setting that is none; argparse's own."""

VALUE_CHARACTERS_MAX = 4000
"""Of one field: the last lines of a Postgres that did not start fit into it."""

_OWN_TO_LOGGING = frozenset(logging.makeLogRecord({}).__dict__) | {"message", "asctime"}

NOTHING: Final[Mapping[str, object]] = {}


class Level(StrEnum):
    """What a level means; each call of a logger is held to it."""

    ERROR = "error"
    """A defect, or data at risk: somebody must look."""
    WARNING = "warning"
    """Something is degraded. It mends itself; look if it goes on."""
    INFO = "info"
    """What has happened to a database, a session or a component, all of it being well."""
    DEBUG = "debug"
    """More, for whoever looks for a cause."""

    @property
    def number(self) -> int:
        """As the standard library counts levels."""
        return logging.getLevelNamesMapping()[self.upper()]


@dataclass(frozen=True, slots=True)
class LogSettings:
    """How much a process tells, and to whom."""

    level: Level = Level.INFO
    is_for_people: bool = False
    """Else it is JSON."""


USUAL = LogSettings()
"""Where nothing is said."""


def from_environment(
    environment: Mapping[str, str], component: str, *, is_terminal: bool
) -> LogSettings:
    """What the variables ask of one component. Raises InvalidRequest."""
    form = environment.get(FORM_VARIABLE, "")
    if form not in ("", "json", "text"):
        raise InvalidRequest(f"{FORM_VARIABLE} is {form!r}: write json or text")
    is_for_people = form == "text" or (not form and is_terminal)
    return LogSettings(_level_of(environment.get(LEVEL_VARIABLE, ""), component), is_for_people)


def _level_of(written: str, component: str) -> Level:
    level = Level.INFO
    for part in filter(None, (each.strip() for each in written.split(","))):
        of, is_for_one, name = part.rpartition("=")
        if name not in list(Level) or (is_for_one and of not in COMPONENTS):
            raise InvalidRequest(
                f"{LEVEL_VARIABLE} is {written!r}: write {', '.join(Level)}, or one for each "
                f"component ({', '.join(COMPONENTS)}), like warning,proxy=debug"
            )
        if of in ("", component):
            level = Level(name)
    return level


class Lines(logging.Formatter):
    """``{"at": …, "level": …, "component": …, "event": …, "database": …, "reason": …}``"""

    def __init__(
        self, component: str, identity: Mapping[str, object] = NOTHING, *, is_for_people: bool
    ) -> None:
        super().__init__()
        self._component = component
        self._identity = identity
        """Read anew for each line: an agent learns whom it serves."""
        self._written = _as_text if is_for_people else _as_json

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "at": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "component": self._component,
            "event": FOREIGN,
        }
        line |= self._identity
        if _is_ours(record):
            line["event"] = record.getMessage()
            fields = record.__dict__
            line |= {name: fields[name] for name in fields if name not in _OWN_TO_LOGGING}
        else:
            # Its own fields may be anything, whole objects among them.
            line |= {"logger": record.name, "message": record.getMessage()}
        bounded = {name: _bounded(value) for name, value in line.items()}
        if record.exc_info:
            # Its end says what went wrong, and where.
            bounded["traceback"] = self.formatException(record.exc_info)[-VALUE_CHARACTERS_MAX:]
        return self._written(bounded)


def _bounded(value: object) -> object:
    if isinstance(value, str) and len(value) > VALUE_CHARACTERS_MAX:
        return value[:VALUE_CHARACTERS_MAX] + "…"
    return value


def _as_json(line: Mapping[str, object]) -> str:
    return json.dumps(line, default=str, ensure_ascii=False)


def _as_text(line: Mapping[str, object]) -> str:
    return as_text(line)


def as_text(line: Mapping[str, Any]) -> str:
    """One line of a log for a person: the time of day in UTC, and what has happened to whom.

    ``line``: as it stands in the JSON. Nothing in it can move a terminal's cursor.
    """
    fields = {name: value for name, value in line.items() if name not in _HEAD}
    traceback = str(fields.pop("traceback", ""))
    at, level, component, event = (str(line.get(name, "")) for name in _HEAD)
    words = [at[11:23], level.upper().ljust(7), component.ljust(10), _plain(event)]
    words += [f"{name}={_plain(value)}" for name, value in fields.items() if value is not None]
    return "\n    ".join([" ".join(words), *map(_printable, traceback.splitlines())])


_HEAD = ("at", "level", "component", "event")


def readable(line: str) -> str:
    """A line of a log file as a person reads it; one that is none of ours as it stands."""
    try:
        fields = json.loads(line)
    except ValueError:
        return line
    is_ours = isinstance(fields, dict) and {*_HEAD} <= fields.keys()
    return as_text(fields) if is_ours else line


def _plain(value: object) -> str:
    """Quoted only where it would be hard to see where it ends."""
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    if not text.isprintable():
        return json.dumps(text)
    is_one_word = text and not set(text) & set(' "=')
    is_said = is_one_word or not isinstance(value, str)
    return text if is_said else json.dumps(text, ensure_ascii=False)


def _printable(text: str) -> str:
    return "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text)


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.startswith(OUR_PACKAGES)


def _is_heard(record: logging.LogRecord) -> bool:
    return _is_ours(record) or record.levelno >= logging.WARNING


def log_to(
    handler: logging.Handler,
    component: str,
    settings: LogSettings,
    identity: Mapping[str, object] = NOTHING,
) -> None:
    """From now on the process writes its log to the handler, warnings and its own end by a defect
    too. Where somebody else has set up logging, as a test has, nothing changes."""
    root = logging.getLogger()
    if root.handlers:
        return
    handler.setFormatter(Lines(component, identity, is_for_people=settings.is_for_people))
    handler.addFilter(_is_heard)
    root.addHandler(handler)
    root.setLevel(settings.level.number)
    logging.captureWarnings(True)
    sys.excepthook = _log_crash


def log_to_stderr(
    component: str, environment: Mapping[str, str], identity: Mapping[str, object] = NOTHING
) -> None:
    """From now on the process writes its log to standard error.

    Exits with a line that names the variable, its value and what is allowed, as settings do.
    """
    try:
        settings = from_environment(environment, component, is_terminal=sys.stderr.isatty())
    except InvalidRequest as invalid:
        sys.stderr.write(f"torpor_{component}: {invalid.message}\n")
        sys.exit(EXIT_INVALID)
    log_to(logging.StreamHandler(sys.stderr), component, settings, identity)


def _log_crash(
    kind: type[BaseException], error: BaseException, traceback: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, traceback)
    else:
        log.error("crashed", exc_info=(kind, error, traceback))
