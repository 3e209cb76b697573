"""Statements that set what a parameter names: ``SELECT set_config($1, $2, true)``. Pure.

Frameworks set a tenant's context like this in each transaction. The statement says which parameter
is the name, and each Bind of it says which name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from struct import Struct, error

from torpor_proxy.core.wire import HEAD_BYTES

STATEMENTS_MAX = 64
"""Of one session, with those closed; a pool's connection has one or two of them."""

_STATEMENT_NAME_BYTES = 63
"""Postgres keeps no more of a name."""

_SETTING_NAME_BYTES_MAX = 63
"""Of a parameter's value; what is longer might be cut by a type that has a length."""

_SETTING_NAME = re.compile(rb"[a-z_][\w$]*(?:\.[a-z_][\w$]*)+")
"""As Postgres wants custom ones; it refuses to set any other."""

UNNAMED = b""

_short = Struct(">H").unpack_from
_long = Struct(">i").unpack_from


@dataclass(frozen=True, slots=True)
class BoundName:
    """The parameter ``number`` of this statement, from 1, names a setting."""

    statement: bytes
    number: int
    is_closed: bool = False
    """Most likely gone; but its Close, or the next unnamed Parse, may have been skipped."""


Bound = tuple[BoundName, ...]


def statement_of_parse(message: bytes) -> tuple[bytes, bytes]:
    """Name and text."""
    name, _, rest = message[HEAD_BYTES:].partition(b"\0")
    return name[:_STATEMENT_NAME_BYTES], rest.partition(b"\0")[0]


def statement_of_close(message: bytes) -> bytes | None:
    """The named statement that it closes; the unnamed one counts until the next Parse."""
    body = message[HEAD_BYTES:]
    name = body[1:].partition(b"\0")[0][:_STATEMENT_NAME_BYTES]
    return name if body[:1] == b"S" and name else None


def closed(bound: Bound, statement: bytes) -> Bound:
    """The statement is no more, most likely."""
    return tuple(
        replace(one, is_closed=True) if one.statement == statement else one for one in bound
    )


def with_statement(bound: Bound, statement: bytes, numbers: Iterable[int]) -> Bound | None:
    """None where there are too many."""
    new = tuple(BoundName(statement, number) for number in sorted(numbers))
    others = [one for one in bound if replace(one, is_closed=False) not in new]
    while len(others) + len(new) > STATEMENTS_MAX:
        if (oldest := next((one for one in others if one.is_closed), None)) is None:
            return None
        others.remove(oldest)
    return (*others, *new)


@dataclass(frozen=True, slots=True)
class Found:
    """What a Bind names. ``is_unclear``: something that can't be read here."""

    names: frozenset[str] = frozenset()
    is_unclear: bool = False


def names_in_bind(bound: Bound, message: bytes, *, unnamed_is_older: bool) -> Found:
    """``message`` may be only the beginning of a long one.

    ``unnamed_is_older``: the last unnamed Parse has failed, and one before it may live on.
    """
    _, portal_end, rest = message[HEAD_BYTES:].partition(b"\0")
    statement, name_end, rest = rest.partition(b"\0")
    if not portal_end or not name_end:
        return Found(is_unclear=True)
    statement = statement[:_STATEMENT_NAME_BYTES]
    numbers = {
        one.number
        for one in bound
        if one.statement == statement
        and not (statement == UNNAMED and one.is_closed and not unnamed_is_older)
    }
    return _names(rest, numbers) if numbers else Found()


def _names(rest: bytes, numbers: set[int]) -> Found:
    try:
        values = _parameters(rest, max(numbers))
    except _Cut:
        return Found(is_unclear=True)
    given = [values[number - 1] for number in numbers if number <= len(values)]
    dotted = [value.strip(b" ").lower() for value in given if b"." in value]
    names = [name for name in dotted if _SETTING_NAME.fullmatch(name)]
    is_unclear = any(
        not value.isascii() or len(value) > _SETTING_NAME_BYTES_MAX for value in dotted
    )
    return Found(frozenset(name.decode() for name in names), is_unclear)


class _Cut(Exception):
    """The message ends before what is looked for."""


def _parameters(rest: bytes, count_max: int) -> list[bytes]:
    """The first values of a Bind; NULL is empty. Text looks the same in both formats."""
    try:
        position = 2 + 2 * _short(rest)[0]
        (count,) = _short(rest, position)
        position += 2
        values = []
        for _ in range(min(count, count_max)):
            length = max(0, _long(rest, position)[0])
            position += 4
            if position + length > len(rest):
                raise _Cut
            values.append(rest[position : position + length])
            position += length
    except error:
        raise _Cut from None
    return values
