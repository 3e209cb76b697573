"""The messages of the extended query protocol, read from their bodies; and parameters. Pure.

Every reader raises Refused for a body that is shorter or longer than it says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from torpor_proxy.console.faults import EncodingFault, MessageFault, NotOffered, ValueFault
from torpor_proxy.console.parsing import name_of, size_of
from torpor_proxy.console.statements import Command, Parameter, Statement, parameters_of
from torpor_proxy.console.values import BINARY_FORMAT, TEXT_FORMAT
from torpor_proxy.core import wire
from torpor_proxy.core.refusals import Refused

_UNSPECIFIED = 0
_TEXTS = (_UNSPECIFIED, 25, 1043, 19, 18, 705)
"""OIDs of parameters whose binary form is the text itself."""

_FLOAT4 = 700
_NUMBERS = {
    21: ">h",
    23: ">i",
    20: ">q",
    _FLOAT4: ">f",
    701: ">d",
}


@dataclass(frozen=True, slots=True)
class Parse:
    name: str
    sql: bytes
    oids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Bind:
    portal: str
    statement: str
    formats: tuple[int, ...]
    values: tuple[bytes | None, ...]
    result_formats: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Target:
    """Of Describe and Close."""

    is_statement: bool
    name: str


@dataclass(frozen=True, slots=True)
class Execute:
    portal: str
    rows_max: int
    """0: all."""


class _Body:
    """Taken from its begin to its end."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def take(self, size: int) -> bytes:
        taken = self._body[self._at : self._at + size]
        if size < 0 or len(taken) < size:
            raise Refused(MessageFault("insufficient data left in message"))
        self._at += size
        return taken

    def string(self) -> bytes:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise Refused(MessageFault("invalid string in message"))
        taken, self._at = self._body[self._at : end], end + 1
        return taken

    def name(self) -> str:
        try:
            return self.string().decode()
        except UnicodeDecodeError:
            raise Refused(EncodingFault()) from None

    def int16(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def int32(self) -> int:
        return int.from_bytes(self.take(4), "big", signed=True)

    def int16s(self) -> tuple[int, ...]:
        return tuple(self.int16() for _ in range(self.int16()))

    def value(self) -> bytes | None:
        size = self.int32()
        return None if size == -1 else self.take(size)

    def end(self) -> None:
        if self._at != len(self._body):
            raise Refused(MessageFault("invalid message format"))


def read_query(body: bytes) -> bytes:
    """Its SQL."""
    found = _Body(body)
    sql = found.string()
    found.end()
    return sql


def read_parse(body: bytes) -> Parse:
    found = _Body(body)
    name, sql = found.name(), found.string()
    oids = tuple(found.int32() for _ in range(found.int16()))
    found.end()
    return Parse(name, sql, oids)


def read_bind(body: bytes) -> Bind:
    found = _Body(body)
    portal, statement, formats = found.name(), found.name(), found.int16s()
    values = tuple(found.value() for _ in range(found.int16()))
    result_formats = found.int16s()
    found.end()
    if any(each not in (TEXT_FORMAT, BINARY_FORMAT) for each in (*formats, *result_formats)):
        raise Refused(MessageFault("a format code is neither 0 (text) nor 1 (binary)"))
    return Bind(portal, statement, formats, values, result_formats)


def read_target(body: bytes) -> Target:
    found = _Body(body)
    kind, name = found.take(1), found.name()
    found.end()
    if kind not in (b"S", b"P"):
        raise Refused(MessageFault(f"neither a statement nor a portal is meant by {kind!r}"))
    return Target(kind == b"S", name)


def read_execute(body: bytes) -> Execute:
    found = _Body(body)
    portal, rows_max = found.name(), found.int32()
    found.end()
    return Execute(portal, max(0, rows_max))


def formats_of(given: Sequence[int], count: int) -> tuple[int, ...]:
    """One for each of ``count``: none given is text for all, a single one is for all."""
    if not given:
        return (TEXT_FORMAT,) * count
    if len(given) == 1:
        return (given[0],) * count
    if len(given) != count:
        raise Refused(MessageFault(f"{len(given)} formats were given for {count} values"))
    return tuple(given)


# --- parameters -------------------------------------------------------------------------


def oids_of(statement: Statement, given: Sequence[int]) -> tuple[int, ...]:
    """The client's own types, where it has said which; else ours. Raises Refused."""
    own = parameters_of(statement)
    if len(given) > len(own):
        raise Refused(NotOffered(_no_parameters(statement)))
    known = [*given, *([_UNSPECIFIED] * (len(own) - len(given)))]
    return tuple(oid or type.oid for oid, type in zip(known, own, strict=True))


def parameter_description(oids: Sequence[int]) -> bytes:
    return wire.message(b"t", struct.pack(f">H{len(oids)}I", len(oids), *oids))


def _no_parameters(statement: Statement) -> str:
    takes = len(parameters_of(statement))
    return f"the statement has {takes} parameters: write $1 in the place of a name or a size"


def bound(statement: Statement, oids: Sequence[int], message: Bind) -> Statement:
    """With values in the place of parameters. Raises Refused."""
    if len(message.values) != len(oids):
        raise Refused(
            MessageFault(
                f"bind message supplies {len(message.values)} parameters, but prepared statement "
                f'"{message.statement}" requires {len(oids)}'
            )
        )
    if not isinstance(statement, Command):
        return statement
    formats = formats_of(message.formats, len(message.values))

    def given(parameter: Parameter, read: _Read) -> str:
        at = parameter.number - 1
        value = message.values[at]
        if value is None:
            raise Refused(ValueFault(f"parameter ${parameter.number} must not be null"))
        return read(value, oids[at], formats[at])

    name, size = statement.name, statement.size
    if isinstance(name, Parameter):
        name = name_of(given(name, _text))
    if isinstance(size, Parameter):
        size = size_of(given(size, _number))
    return replace(statement, name=name, size=size)


_Read: TypeAlias = Callable[[bytes, int, int], str]


def _text(value: bytes, oid: int, format: int) -> str:
    if format == BINARY_FORMAT and oid not in _TEXTS:
        raise Refused(NotOffered(f"a name is given as a text, not as a value of type {oid}"))
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise Refused(EncodingFault()) from None


def _number(value: bytes, oid: int, format: int) -> str:
    if format == TEXT_FORMAT or oid in _TEXTS:
        return _text(value, _UNSPECIFIED, format)
    if oid not in _NUMBERS:
        raise Refused(NotOffered(f"a size is given as a number or a text, not as type {oid}"))
    layout = _NUMBERS[oid]
    if len(value) != struct.calcsize(layout):
        raise Refused(MessageFault(f"incorrect binary data format of a value of type {oid}"))
    (number,) = struct.unpack(layout, value)
    # In as few digits as mean this value and no other, as a person would have written it.
    return f"{number:.7g}" if oid == _FLOAT4 else repr(number)
