"""Names and numbers that identify things, each with a type of its own.

A plain ``str`` or ``int`` where one of these is meant is a mistake that mypy finds.
"""

from __future__ import annotations

import re
from typing import NewType

DatabaseName = NewType("DatabaseName", str)
"""The name of a ``ServerlessDatabase``; also the first label of its endpoint's host name."""

ComputeId = NewType("ComputeId", str)
"""One agent with (later) its Postgres; never used twice."""

Epoch = NewType("Epoch", int)
"""The fencing token: grows by one at every claim of a database; 0 means "never claimed"."""

SessionId = NewType("SessionId", int)
"""One client connection in one proxy; counts from 1 in each proxy process."""

NEVER_CLAIMED = Epoch(0)

DATABASE_NAME_LENGTH_MAX = 63
"""One DNS label (RFC 1123), because the name is a part of a host name."""

_DATABASE_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")


def is_database_name(text: str) -> bool:
    """Whether ``text`` is a DNS label: lower-case letters, digits and inner hyphens."""
    return _DATABASE_NAME.fullmatch(text) is not None
