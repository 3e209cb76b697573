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

_WORD = rb'(?:"[^"]+"|[\w$\x80-\xff]+)'
_SET = re.compile(rb"\bset\s+(?:session\s+|local\s+)?(" + _WORD + rb"(?:\s*\.\s*" + _WORD + rb")*)")
_SET_CONFIG = re.compile(rb"""\bset_config"?\s*\(\s*('([^'\\]+)'\s*,)?""")
_COMPUTED_SET = re.compile(rb"""['$]\s*set\b""")
_ESCAPED = re.compile(
    rb"\bset\s+(?:session\s+|local\s+)?(?:" + _WORD + rb'\s*\.\s*)*u&\s*"',
)
"""A name with escapes, which are not read here."""

_COMMENT = re.compile(rb"--[^\r\n]*|/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/")
"""One that has no other inside."""

_NESTING_MAX = 8
"""Of comments; deeper ones count as a computed name."""


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
    names, is_computed = _scan_text(folded)
    plain, nesting = folded, 0
    while b"--" in plain or b"/*" in plain:
        # What looks like a comment may stand in a literal: the text is read with it and without.
        plain, count = _COMMENT.subn(b" ", plain)
        more, is_also_computed = _scan_text(plain)
        nesting += 1
        names, is_computed = names | more, is_computed or is_also_computed or nesting > _NESTING_MAX
        if not count or nesting > _NESTING_MAX:
            break
    return names, is_computed


def _scan_text(folded: bytes) -> tuple[frozenset[str], bool]:
    names = {re.sub(rb'[\s"]', b"", found[1]) for found in _SET.finditer(folded)}
    is_computed = b"execute" in folded and _COMPUTED_SET.search(folded) is not None
    is_computed |= _ESCAPED.search(folded) is not None
    for found in _SET_CONFIG.finditer(folded):
        is_computed |= found[2] is None
        names.add(found[2] or b"")
    custom = [name for name in names if b"." in name]
    # The bytes of other letters depend on the client's encoding.
    is_computed |= not all(name.isascii() for name in custom)
    return frozenset(name.decode() for name in custom if name.isascii()), is_computed
