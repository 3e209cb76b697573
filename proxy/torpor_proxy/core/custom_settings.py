"""Names of custom settings (``app.user_id``) that SQL text may set. Pure.

Postgres can't list them, so they are found where they are written: ``SET app.x = …``, ``RESET
app.x`` (which leaves it empty, but there) and ``set_config('app.x', …)``. A name too many costs
nothing, since the server is asked whether it has a value; a name that is computed can't be asked
for and keeps the session on its compute. One that is a parameter, ``set_config($1, …)``, is found
in each Bind of its statement.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from torpor_proxy.core import bound_names
from torpor_proxy.core.bound_names import UNNAMED, Bound

NAMES_MAX = 64
"""Of one session; more count as computed."""

OVERLAP_BYTES = 256
"""Kept of a text that goes on in the next bytes: two names of 63 bytes, quotes and the keywords."""

_WORD = rb'(?:"[^"]+"|[\w$\x80-\xff]+)'
_GAP = rb'(?:\s+|(?="))'
"""A quote needs no space before it."""
_SET = re.compile(
    rb"\b(?:re)?set(?="
    + _GAP
    + rb"(?:(?:session|local)"
    + _GAP
    + rb")?("
    + _WORD
    + rb"(?:\s*\.\s*"
    + _WORD
    + rb")*))"
)
"""What follows is only looked at: behind a comment that ends with ``set`` it is the next SET."""
_TEXT_TYPE = rb"(?:pg_catalog\s*\.\s*)?(?:text|varchar|character\s+varying)"
_SET_CONFIG = re.compile(
    rb"""\bset_config"?\s*\(\s*(?:'([^'\\]+)'\s*,|\$(\d{1,5})\s*(?:::\s*"""
    + _TEXT_TYPE
    + rb"""\s*)?,)?"""
)
"""The name as a literal, or as the parameter of a statement."""

_NOT_ITS_OWN = re.compile(rb"\b(?:create|prepare|execute)\b")
"""Where such a word stands, a parameter in the text may be that of something within."""

_COMPUTED_SET = re.compile(rb"""['$]\s*set\b""")
_ESCAPED = re.compile(
    rb"\bset" + _GAP + rb"(?:(?:session|local)" + _GAP + rb")?(?:" + _WORD + rb'\s*\.\s*)*u&\s*"',
)
"""A name with escapes, which are not read here."""

_LINE, _BLOCK = rb"--[^\r\n]*", rb"/\*(?:[^*/]|\*(?!/)|/(?!\*))*\*/"
_COMMENTS = [re.compile(kind) for kind in (_LINE + b"|" + _BLOCK, _LINE, _BLOCK)]
"""Those that have no other inside. Each kind alone as well: what looks like one of the other kind
may stand in a literal, and end behind it."""

_NESTING_MAX = 8
"""Of comments; deeper ones count as a computed name."""


@dataclass(frozen=True, slots=True)
class CustomSettings:
    """What may have been set so far in a session."""

    names: frozenset[str] = frozenset()
    is_computed: bool = False
    bound: Bound = ()
    """Statements whose Binds name more."""

    def with_those_of(self, sql: bytes) -> CustomSettings:
        """``sql``: any bytes that hold the text; what else they hold does no harm."""
        found = _scan(sql.lower())
        return self._with(found.names, found.is_computed or bool(found.parameters))

    def with_parse(self, message: bytes) -> CustomSettings:
        """A whole Parse: the parameters of its text are told by its Binds."""
        statement, text = bound_names.statement_of_parse(message)
        # One with a name can't be parsed again before it was closed.
        now = self.with_closed(UNNAMED) if statement == UNNAMED else self
        if not may_set(text):
            return now
        folded = text.lower()
        found = _scan(folded)
        if not found.parameters:
            return now._with(found.names, found.is_computed)
        bound = bound_names.with_statement(now.bound, statement, found.parameters)
        if bound is None or _NOT_ITS_OWN.search(folded):
            return now._with(found.names, is_computed=True)
        return replace(now, bound=bound)._with(found.names, found.is_computed)

    def with_bind(self, message: bytes, *, unnamed_is_older: bool) -> CustomSettings:
        """A Bind, or the beginning of a long one."""
        found = bound_names.names_in_bind(self.bound, message, unnamed_is_older=unnamed_is_older)
        return self._with(found.names, found.is_unclear)

    def with_call(self) -> CustomSettings:
        """``set_config`` was called by a function call of the protocol."""
        return self._with(frozenset(), is_computed=True)

    def with_close(self, message: bytes) -> CustomSettings:
        """A whole Close."""
        return self.with_closed(bound_names.statement_of_close(message))

    def with_closed(self, statement: bytes | None) -> CustomSettings:
        if not any(one.statement == statement and not one.is_closed for one in self.bound):
            return self
        assert statement is not None
        return replace(self, bound=bound_names.closed(self.bound, statement))

    def _with(self, names: frozenset[str], is_computed: bool) -> CustomSettings:
        if is_computed <= self.is_computed and names <= self.names:
            return self
        every = self.names | names
        if len(every) > NAMES_MAX:
            return replace(self, is_computed=True)
        return replace(self, names=every, is_computed=self.is_computed or is_computed)


NONE = CustomSettings()


def may_set(sql: bytes) -> bool:
    """Whether the text is worth a closer look; most are not, and this is on the fast path."""
    return b"set" in sql.lower()


@dataclass(frozen=True, slots=True)
class _Found:
    """In one text."""

    names: frozenset[str]
    is_computed: bool
    parameters: frozenset[int]
    """Those that are a name."""

    def __or__(self, other: _Found) -> _Found:
        return _Found(
            self.names | other.names,
            self.is_computed or other.is_computed,
            self.parameters | other.parameters,
        )


_NOTHING = _Found(frozenset(), False, frozenset())
_TOO_NESTED = _Found(frozenset(), True, frozenset())


def _scan(folded: bytes) -> _Found:
    found = _scan_text(folded)
    if b"--" in folded or b"/*" in folded:
        for comment in _COMMENTS:
            found |= _scan_without(comment, folded)
    return found


def _scan_without(comment: re.Pattern[bytes], folded: bytes) -> _Found:
    """What looks like a comment may stand in a literal: the text is read with it and without."""
    found, plain, nesting = _NOTHING, folded, 0
    while True:
        plain, count = comment.subn(b" ", plain)
        nesting += 1
        found |= _scan_text(plain)
        if nesting > _NESTING_MAX:
            return found | _TOO_NESTED
        if not count:
            return found


def _scan_text(folded: bytes) -> _Found:
    names = {re.sub(rb'[\s"]', b"", found[1]) for found in _SET.finditer(folded)}
    parameters = set()
    is_computed = b"execute" in folded and _COMPUTED_SET.search(folded) is not None
    is_computed |= _ESCAPED.search(folded) is not None
    for found in _SET_CONFIG.finditer(folded):
        is_computed |= found[0][-1:] != b","
        names.add(found[1] or b"")
        parameters |= {int(found[2])} if found[2] else set()
    custom = [name for name in names if b"." in name]
    # The bytes of other letters depend on the client's encoding.
    is_computed |= not all(name.isascii() for name in custom)
    named = frozenset(name.decode() for name in custom if name.isascii())
    return _Found(named, is_computed, frozenset(parameters))
