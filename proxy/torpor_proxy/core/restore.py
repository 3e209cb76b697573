"""Puts the state of a parked session on a fresh backend. Pure.

One write, in one transaction: settings, statements, channels, role. What the restoring itself needs
(no timeout, texts in UTF-8) is set with ``SET LOCAL`` after the session's own values, so that
COMMIT leaves those. A statement that can't be prepared again fails that transaction; then each gets
one of its own, and those that still fail are remembered as broken.

``PREPARE`` goes by the extended protocol and never by a simple query: its text is all that its
client sent in one message, and a simple query would run the rest of it again.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from torpor_proxy.core import wire
from torpor_proxy.core.broken import RESULT_CHANGED, remembered
from torpor_proxy.core.held import CUT_CHANNEL, STATEMENTS, Entry, Held, Kind

Messages = list[tuple[bytes, bytes]]

_BEGIN = wire.query("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE")
_COMMIT = wire.query("COMMIT")
_LOCALS_AT_USE = "SET LOCAL synchronous_commit = off; SET LOCAL client_encoding = {}"
"""Where a statement is tried at its use, its client's timeouts are those that count."""

_LOCALS = (
    "SET LOCAL statement_timeout = 0; SET LOCAL transaction_timeout = 0; "
    "SET LOCAL lock_timeout = 0; " + _LOCALS_AT_USE
)
LOCK_WAIT_MS_MAX = 10
"""For a table that a statement reads. Its session's own Postgres has no need of the lock before the
statement is used, and whoever holds it may wait for this very client. So the statement counts as
broken, and is waited for at its next use."""

_SETTINGS = (
    "SELECT pg_catalog.count(pg_catalog.set_config(pg_catalog.convert_from(s.name, 'UTF8'),"
    " pg_catalog.convert_from(s.value, 'UTF8'), false))"
    " FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.bytea[]),"
    " pg_catalog.unnest($2::pg_catalog.bytea[])) AS s(name, value)"
)
_ONE_SETTING = (
    "SELECT pg_catalog.count(pg_catalog.set_config($1::pg_catalog.text,"
    " pg_catalog.convert_from($2::pg_catalog.bytea, 'UTF8'), false))"
)
# Counted, because a value need not exist in the client's encoding.
_TYPES = (
    "SELECT pg_catalog.convert_to(p.name, 'UTF8'), pg_catalog.convert_to(pg_catalog.concat("
    "p.parameter_types::pg_catalog.oid[]::pg_catalog.text, '|',"
    " p.result_types::pg_catalog.oid[]::pg_catalog.text), 'UTF8')"
    " FROM pg_catalog.pg_prepared_statement() p"
)


class RestoreFailed(Exception):
    """The session can't go on: what it had may not be given back to it. With Postgres's fields."""

    def __init__(self, body: bytes) -> None:
        self.fields = wire.report_fields(body)
        super().__init__(self.fields.get("M", ""))


@dataclass(frozen=True, slots=True)
class Script:
    """What is written to the backend, and for each ReadyForQuery of the answer what it ends."""

    data: bytes
    parts: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.parts)

    def answers(self, messages: Messages) -> Iterator[tuple[str, Messages]]:
        """The answer to each part."""
        parts, answer = iter(self.parts), Messages()
        for kind, body in messages:
            if kind == b"Z":
                yield next(parts), answer
                answer = Messages()
            else:
                answer.append((kind, body))


@dataclass(slots=True)
class Restore:
    """Of one session onto one backend: ``first``, ``read_first``; then maybe ``careful``."""

    held: Held
    unnamed: bytes | None = None
    """The whole Parse message of its unnamed statement."""
    cut: str = ""
    """The mark that a listening session sends to itself: from there on it hears for itself."""
    encoding: str = "UTF8"
    """In which texts are sent: that of the server where it converts nothing."""
    broken: dict[bytes, bytes] = field(default_factory=dict)
    """Statements that could not be put back, with the error report that their use shall bring."""

    def first(self) -> Script:
        """All at once; nothing where nothing is held."""
        entries = list(self.held.entries())
        parts = list(self._transaction(entries, is_last=True)) if entries else []
        return _script([*parts, *self._last()])

    def read_first(self, script: Script, messages: Messages) -> bool:
        """Whether all is done; else ``careful`` has to follow. Raises RestoreFailed."""
        is_done = True
        for part, answer in script.answers(messages):
            error = _error(answer)
            if error is not None and part == "statements":
                is_done = False
            elif error is not None and part != "unnamed" and is_done:
                raise RestoreFailed(error)
            elif part == "statements":
                self._compare(answer)
        return is_done

    def careful(self) -> Script:
        """Statement by statement."""
        statements = _in_order(self.held.of(*STATEMENTS))
        others = [entry for entry in self.held.entries() if entry.kind not in STATEMENTS]
        parts = [*self._transaction([e for e in others if e.kind in _SET])]
        for number, entry in enumerate(statements):
            parts += self._transaction([entry], label=str(number))
        parts += self._transaction([e for e in others if e.kind not in _SET], is_last=True)
        return _script([*parts, *self._last()])

    def read_careful(self, script: Script, messages: Messages) -> None:
        """Raises RestoreFailed."""
        statements = _in_order(self.held.of(*STATEMENTS))
        for part, answer in script.answers(messages):
            error = _error(answer)
            if part.isdigit():
                if error is not None:
                    self.broken[statements[int(part)].name] = remembered(error)
            elif error is not None and part != "unnamed":
                raise RestoreFailed(error)
            elif part == "statements":
                self._compare(answer)

    def again(self) -> Script:
        """Try those that are broken once more, in the session as it is now."""
        parts: list[tuple[str, bytes]] = []
        for number, entry in enumerate(self._broken_entries()):
            parts += self._transaction([entry], label=str(number), is_at_use=True)
        parts += self._transaction([], is_last=True)
        return _script([*parts, *self._last()])

    def _broken_entries(self) -> list[Entry]:
        return [e for e in _in_order(self.held.of(*STATEMENTS)) if e.name in self.broken]

    def read_again(self, script: Script, messages: Messages) -> None:
        """``broken`` is what is broken still."""
        entries = self._broken_entries()
        others = {entry.name for entry in self.held.of(*STATEMENTS)} - set(self.broken)
        self.broken = {}
        for part, answer in script.answers(messages):
            error = _error(answer)
            if part.isdigit() and error is not None:
                self.broken[entries[int(part)].name] = remembered(error)
            elif part == "statements" and error is None:
                self._compare(answer, others)

    # --- what is sent -----------------------------------------------------------------

    def _transaction(
        self,
        entries: Sequence[Entry],
        *,
        label: str = "statements",
        is_last: bool = False,
        is_at_use: bool = False,
    ) -> Iterator[tuple[str, bytes]]:
        settings = [entry for entry in entries if entry.kind in _SET]
        statements = _in_order(entry for entry in entries if entry.kind in STATEMENTS)
        yield "begin", _BEGIN
        if settings:
            yield "settings", _set_all(settings) + wire.SYNC
        own = _LOCALS_AT_USE if is_at_use else _LOCALS
        yield "locals", wire.query(own.format(self.encoding))
        if statements or is_last:
            data = b"".join(_prepare(entry) for entry in statements)
            if statements and not is_at_use:
                data = _IMPATIENT + data + _PATIENT
            types = _extended(_TYPES) if is_last and any(self.held.of(*STATEMENTS)) else b""
            yield label, data + types + wire.SYNC
        if is_last:
            yield from self._listen(entries)
            roles = [entry for kind in _ROLES for entry in entries if entry.kind is kind]
            if roles:
                yield "role", b"".join(map(_set_role, roles)) + wire.SYNC
        yield "commit", _COMMIT

    def _listen(self, entries: Sequence[Entry]) -> Iterator[tuple[str, bytes]]:
        channels = [entry.name for entry in entries if entry.kind is Kind.CHANNEL]
        if not channels:
            return
        words = [b"LISTEN " + quoted(channel) for channel in channels]
        if self.cut:
            words += [b"LISTEN " + CUT_CHANNEL, mark(self.cut)]
        yield "listen", wire.query(b"; ".join(words))

    def _last(self) -> Iterator[tuple[str, bytes]]:
        if self.cut:
            yield "unlisten", wire.query(b"UNLISTEN " + CUT_CHANNEL)
        if self.unnamed:
            yield "unnamed", self.unnamed + wire.SYNC

    # --- what is read -----------------------------------------------------------------

    def _compare(self, answer: Messages, others: Collection[bytes] = ()) -> None:
        """A statement whose types have changed would bring other columns than its client expects.

        ``answer`` lists the statements that there are; ``others`` are the client's own affair.
        """
        rows = (list(wire.row(body)) for kind, body in answer if kind == b"D")
        found = {row[0]: row[1] for row in rows if len(row) == 2}
        for entry in self.held.of(*STATEMENTS):
            if entry.name in self.broken or entry.name in others:
                continue
            if _RETURNS_ANOTHER_S_ROWS(entry.value):
                continue
            if found.get(entry.name) != entry.extra:
                self.broken[entry.name] = RESULT_CHANGED

    def withdrawn(self) -> bytes:
        """Ends the statements that are broken but there; their use must not bring anything else."""
        changed = [name for name, body in self.broken.items() if body is RESULT_CHANGED]
        closes = b"".join(wire.message(b"C", b"S" + name + b"\0") for name in changed)
        return closes + wire.SYNC if closes else b""


_SET = (Kind.SETTING, Kind.CUSTOM)
_ROLES = (Kind.AUTHORIZATION, Kind.ROLE)
"""In their order: a session authorization ends the role before it."""


_RETURNS_ANOTHER_S_ROWS = re.compile(rb"\s*(?:execute|fetch)\b", re.IGNORECASE).match
"""Such a statement's result is that of what it names then, and Postgres never compares it."""


def is_its_own_doing(message: bytes) -> bool:
    """Whether the server has said this of the encoding that is set for a moment.

    A client's own encoding is changed by nobody else but the client.
    """
    return message[:1] == b"S" and message[wire.HEAD_BYTES :].startswith(b"client_encoding\0")


def _in_order(statements: Iterable[Entry]) -> list[Entry]:
    """Those that return another's rows come behind it, so that they know its columns."""
    return sorted(statements, key=lambda entry: bool(_RETURNS_ANOTHER_S_ROWS(entry.value)))


def mark(cut: str) -> bytes:
    """The statement that sends a mark on the channel of cuts. ``cut``: letters and digits."""
    return b"NOTIFY " + CUT_CHANNEL + b", '" + cut.encode() + b"'"


def stand_in(name: bytes) -> bytes:
    """A statement that does nothing, for one that its client is about to end."""
    return wire.message(b"P", name + b"\0\0\0\0")


def quoted(name: bytes) -> bytes:
    """An identifier as it is."""
    return b'"' + name.replace(b'"', b'""') + b'"'


def _script(parts: Iterable[tuple[str, bytes]]) -> Script:
    found = list(parts)
    return Script(b"".join(data for _, data in found), tuple(label for label, _ in found))


def _error(answer: Messages) -> bytes | None:
    return next((body for kind, body in answer if kind == b"E"), None)


def _extended(sql: str, parameters: Iterable[bytes] = ()) -> bytes:
    # There is no unnamed statement yet that it could destroy.
    return wire.parse("", sql) + wire.bind("", parameters, is_binary=True) + wire.execute()


_IMPATIENT = _extended(f"SET LOCAL lock_timeout = {LOCK_WAIT_MS_MAX}")
_PATIENT = _extended("SET LOCAL lock_timeout = 0")


def _set_all(settings: Sequence[Entry]) -> bytes:
    names = wire.bytea_array(entry.name for entry in settings)
    values = wire.bytea_array(entry.value for entry in settings)
    return _extended(_SETTINGS, (names, values))


_ROLE_NAMES: Mapping[Kind, bytes] = {
    Kind.AUTHORIZATION: b"session_authorization",
    Kind.ROLE: b"role",
}


def _set_role(entry: Entry) -> bytes:
    return _extended(_ONE_SETTING, (_ROLE_NAMES[entry.kind], entry.value))


def _prepare(entry: Entry) -> bytes:
    # Closed first: a statement outlives the transaction in which a later one failed.
    close = wire.message(b"C", b"S" + entry.name + b"\0")
    if entry.kind is Kind.SQL_STATEMENT:
        parse = wire.message(b"P", b"\0" + entry.value + b"\0\0\0")
        return close + parse + wire.bind("") + wire.execute()
    types = entry.extra.split(b"|")[0].strip(b"{}")
    oids = [int(oid) for oid in types.split(b",") if oid]
    tail = struct.pack(f">H{len(oids)}I", len(oids), *oids)
    return close + wire.message(b"P", entry.name + b"\0" + entry.value + b"\0" + tail)
