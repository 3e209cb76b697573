"""What a log line's message says about a statement or a session. Pure.

Only English messages are understood, those of ``lc_messages = 'C'``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from torpor_cli.replay.log_line import LogLine


class Says(Enum):
    """Of what a line is."""

    STATEMENT = auto()
    """By a simple query: may be several statements."""
    PARSE = auto()
    BIND = auto()
    EXECUTE = auto()
    FETCH = auto()
    """More rows of a statement that was executed in part."""
    FASTPATH = auto()
    DURATION = auto()
    """Of a statement that an earlier line told."""
    CONNECTED = auto()
    DISCONNECTED = auto()
    FAILED = auto()
    """An error; the line may tell the statement."""
    ENDED = auto()
    """A fatal error: the session is over."""
    OTHER = auto()


@dataclass(frozen=True, slots=True)
class Message:
    """Read from one line."""

    says: Says
    took_ms: float | None = None
    name: str = ""
    """Of a prepared statement; empty: the unnamed one, or none."""
    text: str = ""
    """The statement's."""


_TOOK = re.compile(r"duration: (\d+(?:\.\d+)?) ms(?:  |\Z)")
_EXTENDED = re.compile(r"(parse|bind|execute)( fetch from)? ([^\n]+?): ", re.ASCII)

_STATEMENT: Final = "statement: "
_FASTPATH: Final = "fastpath function call: "
_UNNAMED: Final = "<unnamed>"

_OTHER: Final = Message(Says.OTHER)
_STEPS: Final = {"parse": Says.PARSE, "bind": Says.BIND, "execute": Says.EXECUTE}
_SEVERITIES: Final = {"ERROR": Says.FAILED, "FATAL": Says.ENDED, "PANIC": Says.ENDED}


def read(line: LogLine) -> Message:
    """Everything that is no statement's and no session's beginning or end is OTHER."""
    if line.severity in _SEVERITIES:
        return Message(_SEVERITIES[line.severity], text=line.statement)
    if line.severity != "LOG":
        return _OTHER
    text, took_ms = line.message, None
    if found := _TOOK.match(text):
        text, took_ms = text[found.end() :], float(found[1])
        if not text:
            return Message(Says.DURATION, took_ms)
    elif text.startswith("connection authorized: "):
        return Message(Says.CONNECTED)
    elif text.startswith("disconnection: "):
        return Message(Says.DISCONNECTED)
    return _statement(text, took_ms)


def _statement(text: str, took_ms: float | None) -> Message:
    if text.startswith(_STATEMENT):
        return Message(Says.STATEMENT, took_ms, text=text[len(_STATEMENT) :])
    if text.startswith(_FASTPATH):
        return Message(Says.FASTPATH, took_ms)
    found = _EXTENDED.match(text)
    if found is None:
        return _OTHER  # auto_explain's plans among others, which have a duration too.
    name = found[3].split("/")[0]
    says = Says.FETCH if found[2] else _STEPS[found[1]]
    return Message(says, took_ms, "" if name == _UNNAMED else name, text[found.end() :])
