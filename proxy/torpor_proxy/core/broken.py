"""Prepared statements that could not be put back, and what stands in for them. Pure.

A table may be gone that a statement reads, or its result may have changed. The session's own
Postgres would say so when the statement is used, and in no other moment. So another statement
stands under its name, which fails like it and at the same time: it reads a view that was found on
the ``search_path`` when it was prepared, and is not when it is used. Postgres itself judges all
that comes before (is there such a statement, are these its parameters, is the transaction still
good, is the name free), and only the words of that one error are replaced by those that were kept:
see :mod:`torpor_proxy.core.error_filter`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from torpor_proxy.core import wire
from torpor_proxy.core.wire import HEAD_BYTES

UNNAMED = b""

_NAME_BYTES_MAX = 63
"""Postgres keeps so much of a name."""

RESULT_CHANGED = b"".join(
    field + b"\0"
    for field in (
        b"SERROR",
        b"VERROR",
        b"C0A000",
        b"Mcached plan must not change result type",
        b"Fplancache.c",
        b"L866",
        b"RRevalidateCachedQuery",
        b"",
    )
)
"""The body for a statement that returns other columns than before. Drivers know it by its routine,
and prepare the statement anew."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A statement that another one stands in for."""

    number: int
    """By which its error is known."""
    error: bytes
    """The body of the report that its use shall bring."""


# --- what stands in -------------------------------------------------------------------

SCHEMA = "information_schema"
"""Where the view is found while the statement that reads it is prepared; open to everybody."""

MARK = "/* _torpor_broken */"
"""So begins a text that stands in for another."""

_VIEW = b"_pg_user_mappings"
_HEAD = b" select cast(cast('_torpor_broken' as pg_catalog.text) as pg_catalog.int4) from "
"""Where its client has that schema on its path, this can't be done either."""

_POSITION = len(MARK) + len(_HEAD) + 1
"""Of the view, counted from 1, where nothing is put before it."""

_BYTEA = 17
"""The type of a parameter of which nothing is known: it takes whatever comes."""

_PARAMETERS_MAX = 1000
"""Of an unnamed statement; to bind more than stand in is an error all the same."""


def stand_in(name: bytes, types: Collection[int], number: int) -> bytes:
    """The Parse of what stands in. The view's place in its text tells the number."""
    text = MARK.encode() + b" " * number + _HEAD + _VIEW
    tail = struct.pack(f">H{len(types)}I", len(types), *types)
    return wire.message(b"P", name + b"\0" + text + b"\0" + tail)


def types_of_parse(parse: bytes) -> list[int]:
    """Of its parameters, as far as the Parse of an unnamed statement tells."""
    text, _, tail = parse[HEAD_BYTES + 1 :].partition(b"\0")
    given = [oid for (oid,) in struct.iter_unpack(">I", tail[2:])]
    used = max((int(digits) for digits in re.findall(rb"\$(\d{1,5})", text)), default=0)
    count = max(len(given), min(used, _PARAMETERS_MAX))
    return [oid or _BYTEA for oid in given] + [_BYTEA] * (count - len(given))


def number_of(error: bytes) -> int | None:
    """Which of those that stand in has failed; None: it is another error.

    Inside of a function Postgres tells the place in the text as an internal one.
    """
    if _VIEW not in error:
        return None
    fields = {field[:1]: field[1:] for field in error.split(b"\0")}
    place = fields.get(b"P") or fields.get(b"p") or b""
    return int(place) - _POSITION if place.isdigit() else None


# --- what is remembered ---------------------------------------------------------------

_ENDS_OF_WAITING = (b"C55P03", b"C57014", b"C40P01")
"""A timeout, a cancel request or a deadlock while a statement waits for its table."""


def remembered(body: bytes) -> bytes:
    """What is kept of the error that the attempt to put a statement back got.

    Postgres points to the place in its text that is wrong, and to none where it only has to wait.
    """
    if not is_end_of_waiting(body):
        return body
    fields = (field for field in body.split(b"\0") if field and field[:1] != b"P")
    return b"".join(field + b"\0" for field in fields) + b"\0"


def is_end_of_waiting(body: bytes) -> bool:
    """Whether a lock was waited for in vain."""
    return any(field in _ENDS_OF_WAITING for field in body.split(b"\0"))


def is_of_a_changed_result(body: bytes) -> bool:
    """Whether a statement would return other columns than when it was prepared."""
    return b"C0A000" in body.split(b"\0")


# --- what is about to be used ---------------------------------------------------------

_WORD_BEGINS, _WORD_ENDS = rb"(?<![\w$\x80-\xff])", rb"(?![\w$\x80-\xff])"


def mentioned(data: bytes, names: Collection[bytes]) -> set[bytes]:
    """Which of the statements a client's bytes could use, by the protocol or by EXECUTE.

    ``data`` begins where a message does. One that has not come whole could use any. To try a
    statement again may mean to wait for a lock, so it is not done for every word that has its
    letters.
    """
    try:
        messages, rest = wire.split(data)
    except ValueError:
        return set(names)
    if rest:
        return set(names)
    return {name for kind, body in messages for name in _mentioned(kind, body, names)}


def _mentioned(kind: bytes, body: bytes, names: Collection[bytes]) -> Iterable[bytes]:
    match kind:
        case b"B":
            return {_kept(body.partition(b"\0")[2])}.intersection(names)
        case b"D" if body[:1] == b"S":
            return {_kept(body[1:])}.intersection(names)
        case b"Q":
            return _said(body, names)
        case b"P":
            return _said(body.partition(b"\0")[2], names)
        case _:
            return ()


def _kept(name: bytes) -> bytes:
    """What Postgres keeps of a name, which ends at a zero byte."""
    return name.partition(b"\0")[0][:_NAME_BYTES_MAX]


def _said(text: bytes, names: Iterable[bytes]) -> Iterable[bytes]:
    """Those that a text of SQL has as a word, where it executes any."""
    folded = text.lower()
    if b"execute" not in folded:
        return ()
    return [name for name in names if name and _has_word(text, folded, name)]


def _has_word(text: bytes, folded: bytes, name: bytes) -> bool:
    word = _WORD_BEGINS + re.escape(name.replace(b'"', b'""')) + _WORD_ENDS
    return bool(re.search(word, text) or re.search(word, folded))


def by_number(broken: Mapping[bytes, Broken], number: int) -> bytes | None:
    """The error of the statement that has this number."""
    return next((each.error for each in broken.values() if each.number == number), None)
