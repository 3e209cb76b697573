"""What Postgres's own files say about its state. Pure.

Readiness is the status line that the postmaster writes into ``postmaster.pid``: nothing is polled
by connecting. A clean stop is what ``pg_control`` says.
"""

from __future__ import annotations

import re
import struct

_STATUS_LINE = 7
"""``LOCK_FILE_LINE_PM_STATUS`` of Postgres, counted from 0."""

_READY = "ready"

_SHUT_DOWN = (1, 2)
"""``DB_SHUTDOWNED`` and ``DB_SHUTDOWNED_IN_RECOVERY`` of ``pg_control.h``."""

PID_FILE = "postmaster.pid"
PID_FILE_BYTES_MAX = 8 << 10
"""Eight short lines, of which two are paths."""

VERSION_FILE = "PG_VERSION"
VERSION_BYTES_MAX = 16

_VERSION = re.compile(rb"[0-9]{1,3}\n?")

CONTROL_FILE = "global/pg_control"
CONTROL_BYTES = 20
"""System identifier (8), two versions (4 each), state (4): the same place in every release."""

_CONTROL_HEAD = struct.Struct("=QIIi")


def is_ready(pid_file: str, before: str, pid: int) -> bool:
    """Whether the postmaster ``pid`` takes connections.

    ``before`` is the text of the file before the start. What a killed Postgres left there may say
    "ready" for the very same process id: in a container the ids repeat.
    """
    if pid_file == before:
        return False
    lines = pid_file.split("\n")
    if len(lines) <= _STATUS_LINE or lines[0] != str(pid):
        return False
    return lines[_STATUS_LINE].strip() == _READY


def is_begun(pid_file: str, before: str, pid: int) -> bool:
    """Whether the postmaster ``pid`` has the data directory; from here on it recovers."""
    return pid_file != before and pid_file.split("\n")[0] == str(pid)


def version_in(version_file: bytes) -> str | None:
    """The release that the data is of; None where the file holds anything else."""
    found = _VERSION.fullmatch(version_file)
    return None if found is None else found[0].decode().strip()


def was_stopped_cleanly(control_head: bytes) -> bool:
    """What the first bytes of ``pg_control`` say; an unreadable one counts as not clean."""
    if len(control_head) < CONTROL_BYTES:
        return False
    return _CONTROL_HEAD.unpack(control_head[:CONTROL_BYTES])[3] in _SHUT_DOWN
