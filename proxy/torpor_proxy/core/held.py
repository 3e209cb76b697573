"""What a session had when it was last captured, kept while it is parked. Pure.

Kept as rows of the protocol: that is compact, sessions that have the same share it, and two
captures are equal where their bytes are.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from torpor_proxy.core import wire
from torpor_proxy.core.interning import Interner

CUT_CHANNEL = b"_torpor_cut"
"""On which the marks between two ways of a session's notifications travel."""


class Kind(Enum):
    """Of a row of a capture."""

    SETTING = b"s"
    """Set in the session: name and value."""
    CUSTOM = b"c"
    """A setting that Postgres can't list: name and value."""
    SQL_STATEMENT = b"q"
    """Of PREPARE: name, the whole text, parameter types and result types."""
    PROTOCOL_STATEMENT = b"p"
    """Of a Parse: the same."""
    CHANNEL = b"l"
    AUTHORIZATION = b"a"
    """Of SET SESSION AUTHORIZATION, where it is not the login's."""
    ROLE = b"r"
    """Of SET ROLE."""


_CHANNEL_BEGINS = b"\0\4\0\0\0\1" + Kind.CHANNEL.value
"""Of a row: four columns, the first of one byte. Few sessions listen, and many have long texts."""

STATEMENTS = (Kind.SQL_STATEMENT, Kind.PROTOCOL_STATEMENT)


UNSEEN = bytes(8)
"""In the place of a hash of a statement's columns, or of when it was prepared."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of what is held."""

    kind: Kind
    name: bytes
    value: bytes
    extra: bytes


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Held:
    """All that has to be put back; equal ones are one object."""

    rows: bytes = b""
    results: bytes = b""
    """Of its statements, in their order: what columns they return. A hash each."""

    def __bool__(self) -> bool:
        return bool(self.rows)

    def entries(self) -> Iterator[Entry]:
        """In the order in which the backend told them."""
        return map(_entry, self._bodies())

    def _bodies(self) -> Iterator[bytes]:
        return (body for _, body in wire.split(self.rows)[0])

    def of(self, *kinds: Kind) -> list[Entry]:
        """Those of some kinds."""
        if not self.rows:
            return []  # As of most: it counts when a thousand return at once.
        return [entry for entry in self.entries() if entry.kind in kinds]

    def with_those(self, before: Held, names: Container[bytes]) -> Held:
        """With some statements that were held before."""
        kept = [
            body
            for body in before._bodies()
            if (entry := _entry(body)).kind in STATEMENTS and entry.name in names
        ]
        results = before.results_by_name()
        more = (results[_entry(body).name] for body in kept)
        return held_of([*self._bodies(), *kept], self.results + b"".join(more))

    def with_results(self, results: Iterable[bytes]) -> Held:
        """``results``: of each of its statements."""
        joined = b"".join(results)
        return self if joined == self.results else _held(self.rows, joined)

    def results_by_name(self) -> dict[bytes, bytes]:
        """What columns each of its statements returns, as a hash, or UNSEEN."""
        size = len(UNSEEN)
        return {
            entry.name: self.results[number * size :][:size] or UNSEEN
            for number, entry in enumerate(self.of(*STATEMENTS))
        }

    @property
    def channels(self) -> tuple[bytes, ...]:
        """That it listens on."""
        if _CHANNEL_BEGINS not in self.rows:
            return ()
        return tuple(entry.name for entry in self.of(Kind.CHANNEL) if entry.name != CUT_CHANNEL)


def _entry(body: bytes) -> Entry:
    kind, name, value, extra = (column or b"" for column in wire.row(body))
    return Entry(Kind(kind), name, value, extra)


def row_of(kind: Kind, name: bytes, value: bytes = b"", extra: bytes = b"") -> bytes:
    """The body of its DataRow."""
    columns = (kind.value, name, value, extra)
    return _COLUMNS + b"".join(len(each).to_bytes(4, "big") + each for each in columns)


_COLUMNS = (4).to_bytes(2, "big")

_interner: Interner[tuple[bytes, bytes], Held] = Interner()

NOTHING_HELD = Held()


def held_of(bodies: Iterable[bytes], results: bytes = b"") -> Held:
    """Of DataRow bodies. One object for equal ones."""
    return _held(b"".join(wire.message(b"D", body) for body in bodies), results)


def _held(rows: bytes, results: bytes) -> Held:
    return _interner.one((rows, results), Held(rows, results)) if rows else NOTHING_HELD
