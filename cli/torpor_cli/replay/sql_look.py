"""A look at a statement's words: does it write, does it want data that no log has? Pure.

It is no parser. Whether a statement that only reads may run is for Postgres to say, in a read-only
transaction; the look tells people beforehand, and leaves out what would undo that.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

LOOKED_AT_CHARACTERS_MAX: Final = 65_536
"""Further on there are values: an INSERT of a megabyte says at its beginning what it is."""

REMEMBERED_CHARACTERS_MAX: Final = 4096
REMEMBERED_MAX: Final = 4096
"""Applications repeat themselves: looks at short statements are kept, 16 MB of them at most."""

_TOKEN = re.compile(
    r"""
    --[^\n]* | /\*.*?\*/                             # comments
    | [eE]'(?:[^'\\]|\\.|'')*' | '[^']*(?:''[^']*)*'   # literals
    | "[^"]*"                                        # quoted names
    | \$(?P<tag>(?:[A-Za-z_]\w*)?)\$.*?\$(?P=tag)\$  # dollar quotes
    | (?P<parameter>\$\d+)
    | (?P<word>[A-Za-z_][\w$]*)
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)

_CHANGES: Final = ("INSERT", "UPDATE", "DELETE", "MERGE")

_READS: Final = frozenset(
    (
        *("SELECT", "VALUES", "TABLE", "SHOW", "WITH", "EXPLAIN", "PREPARE", "EXECUTE", "DECLARE"),
        *("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "SAVEPOINT", "RELEASE", "SET"),
        *("RESET", "FETCH", "MOVE", "CLOSE", "LISTEN", "UNLISTEN", "DEALLOCATE", "DISCARD"),
    )
)
"""They write nothing, by themselves."""

_OF_TWO_WORDS: Final = frozenset(("CREATE", "ALTER", "DROP", "REFRESH", "SECURITY", "IMPORT"))

_WRITES: Final = _OF_TWO_WORDS | frozenset(
    (
        *(*_CHANGES, "COPY", "TRUNCATE", "GRANT", "REVOKE", "COMMENT", "VACUUM", "ANALYZE"),
        *("REINDEX", "CLUSTER", "DO", "CALL", "LOCK", "NOTIFY", "CHECKPOINT", "LOAD", "REASSIGN"),
    )
)


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen."""

    writes: tuple[str, ...] = ()
    """What is written, by which command, like ``INSERT`` or ``CREATE TABLE``."""
    has_parameters: bool = False
    is_copy_in: bool = False
    """It wants rows from the client."""
    is_unguarding: bool = False
    """It may end a read-only transaction's being so."""
    is_empty: bool = False


def look(text: str) -> Look:
    """At a statement, or at several with semicolons between them."""
    if len(text) <= REMEMBERED_CHARACTERS_MAX:
        return _remembered(text)
    return _looked(text)


@functools.lru_cache(REMEMBERED_MAX)
def _remembered(text: str) -> Look:
    return _looked(text)


def _looked(text: str) -> Look:
    text = text[:LOOKED_AT_CHARACTERS_MAX]
    writes, has_parameters, is_copy_in, is_empty = list[str](), False, False, True
    is_unguarding = "transaction_read_only" in text.lower()  # Also where set_config is told it.
    for words in _statements(text):
        has_parameters |= "$" in words
        words = [word for word in words if word != "$"]
        if not words:
            continue
        is_empty = False
        is_copy_in |= words[0] == "COPY" and "STDIN" in words
        is_unguarding |= ("READ", "WRITE") in pairwise(words)
        if written := _written(words):
            writes.append(written)
    return Look(tuple(writes), has_parameters, is_copy_in, is_unguarding, is_empty)


def _statements(text: str) -> Iterator[list[str]]:
    """The words of each in capitals, ``$`` for a parameter."""
    words: list[str] = []
    for found in _TOKEN.finditer(text):
        if found["word"]:
            words.append(found["word"].upper())
        elif found["parameter"]:
            words.append("$")
        elif found["end"]:
            yield words
            words = []
    yield words


def _written(words: list[str]) -> str:
    """By which command; empty: nothing is."""
    first = words[0]
    if first == "COPY" and _is_copy_out(words):
        return ""
    if first in _OF_TWO_WORDS:
        return " ".join(words[:2])
    if first in _WRITES:
        return first
    if first not in _READS:
        return "other commands"
    if first == "EXPLAIN" and "ANALYZE" not in words:
        return ""
    if first in ("WITH", "EXPLAIN", "PREPARE"):
        return next((word for word in words if word in _CHANGES), "")
    return "SELECT INTO" if first == "SELECT" and "INTO" in words else ""


def _is_copy_out(words: list[str]) -> bool:
    """Of a table or of a query, whose own words are among them."""
    if words[1:2] and words[1] in ("SELECT", "WITH", "VALUES", "TABLE"):
        return True
    return next((word for word in words if word in ("FROM", "TO")), "") == "TO"
