"""Names of custom settings (``app.user_id``) that SQL text may set. Pure.

Postgres can't list them, so they are found where they are written: ``SET app.x = …`` and
``set_config('app.x', …)``. A name too many costs nothing, since the server is asked whether it has
a value; a name that is computed can't be asked for and keeps the session on its compute.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAMES_MAX = 64
"""Of one session; more count as computed."""

OVERLAP_BYTES = 256
"""Kept of a text that goes on in the next bytes: two names of 63 bytes, quotes and the keywords."""

_SET = re.compile(
    rb"""\bset\s+(?:session\s+|local\s+)?((?:"[^"]+"|[\w$]+)(?:\s*\.\s*(?:"[^"]+"|[\w$]+))+)"""
)
_SET_CONFIG = re.compile(rb"\bset_config\s*\(\s*('([^']+)'\s*,)?")
_COMPUTED_SET = re.compile(rb"""['$]\s*set\b""")


@dataclass(frozen=True, slots=True)
class CustomSettings:
    """What may have been set so far in a session."""

    names: frozenset[str] = frozenset()
    is_computed: bool = False

    def with_those_of(self, sql: bytes) -> CustomSettings:
        """``sql``: any bytes that hold the text; what else they hold does no harm."""
        names, is_computed = _scan(sql.lower())
        if is_computed <= self.is_computed and names <= self.names:
            return self
        every = self.names | names
        if len(every) > NAMES_MAX:
            return CustomSettings(self.names, is_computed=True)
        return CustomSettings(every, self.is_computed or is_computed)


NONE = CustomSettings()


def may_set(sql: bytes) -> bool:
    """Whether the text is worth a closer look; most are not, and this is on the fast path."""
    return b"set" in sql.lower()


def _scan(folded: bytes) -> tuple[frozenset[str], bool]:
    names = {re.sub(rb'[\s"]', b"", found[1]) for found in _SET.finditer(folded)}
    is_computed = b"execute" in folded and _COMPUTED_SET.search(folded) is not None
    for found in _SET_CONFIG.finditer(folded):
        if found[2] is None:
            is_computed = True
        elif b"." in found[2]:
            names.add(found[2])
    return frozenset(name.decode(errors="replace") for name in names), is_computed
