"""The columns that prepared statements return, so that a change of them is noticed. Pure.

Postgres does not go on with a statement whose columns have got another name, type, type modifier or
collation (0A000). ``pg_prepared_statements`` knows the types alone. So each statement is described
when its session is captured for the first time with it, and again when it is put back; of what the
description says a hash is kept. It does not say the collation: that one changes is not noticed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from hashlib import blake2b

from torpor_proxy.core import wire
from torpor_proxy.core.aside import aside
from torpor_proxy.core.broken import is_of_a_changed_result
from torpor_proxy.core.held import STATEMENTS, UNSEEN, Entry, Held, Kind
from torpor_proxy.core.restore_words import LOCK_WAIT_MS_MAX, Messages

CHANGED = b"\xff" * len(UNSEEN)
"""Of a statement that had changed before it could be described: whatever it returns by now, it is
not what its client expects."""

FAILURES_MAX = 3
"""While new statements are described: some tables are gone, and their statements' columns stay
unknown. After so many the others do as well, because a client waits meanwhile."""

_SPACE = rb"(?:[\s;(]|--[^\r\n]*+|/\*(?:[^*/]|\*(?!/)|/(?!\*))*+\*/)*+"
"""With comments. Nothing of it is given back: what stands in a comment is no word of the text."""

_reads_tables = re.compile(
    _SPACE + rb"(?:select|with|values|table|insert|update|delete|merge)\b", re.IGNORECASE
).match

fetches = re.compile(_SPACE + rb"(?:fetch|move)\b", re.IGNORECASE).match
"""Postgres 18 itself dies of a Describe of a FETCH whose cursor is gone."""

_COLUMN_BYTES = 18
"""Behind its name: table, place, type, size, type modifier, format."""
_PLACE_BYTES, _FORMAT_BYTES = 6, 2


def is_described(statement: Entry) -> bool:
    """Whether its columns are those of tables. All others are the same for ever, or another's."""
    return statement.kind is Kind.SQL_STATEMENT or bool(_reads_tables(statement.value))


def describe(statement: Entry) -> bytes:
    """The message, to be read by ``told``; nothing where it is not described."""
    if not is_described(statement):
        return b""
    return wire.message(b"D", b"S" + statement.name + b"\0")


def told(messages: Messages) -> list[bytes]:
    """What each Describe of a statement has brought, up to one that failed."""
    return [_hash(body if kind == b"T" else b"") for kind, body in messages if kind in (b"T", b"n")]


def of_failed(error: bytes) -> bytes:
    """What is kept of a statement that could not be described."""
    return CHANGED if is_of_a_changed_result(error) else UNSEEN


def _hash(description: bytes) -> bytes:
    columns = b"".join(_columns(description)) if description else b""
    return blake2b(columns, digest_size=len(UNSEEN)).digest()


def _columns(description: bytes) -> Iterator[bytes]:
    """Without what Postgres does not compare: the table and the place in it."""
    position = 2
    while position < len(description):
        end = description.index(0, position) + 1
        yield description[position:end]
        position = end + _COLUMN_BYTES
        yield description[end + _PLACE_BYTES : position - _FORMAT_BYTES]


def question(statements: Iterable[Entry], encoding: str) -> bytes:
    """Describe some that are new. To be said within a frame, at a safe point."""
    own = (
        "SET LOCAL statement_timeout = 0",
        "SET LOCAL transaction_timeout = 0",
        f"SET LOCAL lock_timeout = {LOCK_WAIT_MS_MAX}",
        f"SET LOCAL client_encoding = {encoding}",
    )
    return b"".join(map(aside, own)) + b"".join(map(describe, statements))


def carried_over(
    found: Held, prepared: bytes, before: Held, prepared_before: bytes
) -> list[bytes | None]:
    """Of each statement of a capture, where it is the same one as before; None: to be asked for.

    ``prepared``: when each was, which tells it from another of the same name.
    """
    statements = found.of(*STATEMENTS)
    if prepared == prepared_before:
        return list(chunks(before.results)[: len(statements)])
    earlier = zip(
        (entry.name for entry in before.of(*STATEMENTS)), chunks(prepared_before), strict=False
    )
    known = dict(zip(earlier, chunks(before.results), strict=False))
    return [
        known.get((entry.name, time), None if is_described(entry) else UNSEEN)
        for entry, time in zip(statements, chunks(prepared), strict=True)
    ]


def chunks(joined: bytes) -> list[bytes]:
    """Hashes, or times, one after the other."""
    size = len(UNSEEN)
    return [joined[at : at + size] for at in range(0, len(joined), size)]
