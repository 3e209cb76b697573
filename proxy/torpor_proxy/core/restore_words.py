"""What a restore says to a backend. Pure. In which order: :mod:`torpor_proxy.core.restore`."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torpor_proxy.core import wire
from torpor_proxy.core.aside import aside
from torpor_proxy.core.broken import MARK
from torpor_proxy.core.held import CUT_CHANNEL, Entry, Kind
from torpor_proxy.core.statement_types import parameters_of

Messages = list[tuple[bytes, bytes]]

BEGIN = wire.query("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE")
COMMIT = wire.query("COMMIT")

LOCK_WAIT_MS_MAX = 10
"""For a table that a statement reads. Its session's own Postgres has no need of the lock before the
statement is used, and whoever holds it may wait for this very client. So the statement counts as
broken, and is waited for at its next use."""

_LOCALS = {
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "0",
    "synchronous_commit": "off",
}
"""Beside the encoding."""
_SET_LAST = {name.encode() for name in (*_LOCALS, "client_encoding")}
_SET_CONFIG = 2078
"""The object id of ``set_config(name, value, is_local)``, the same in every release."""

LIST = (
    "SELECT p.name, p.parameter_types, p.result_types, p.prepare_time"
    " FROM pg_catalog.pg_prepared_statement() p"
)
"""The statements that there are."""

STANDING = aside(
    "SELECT pg_catalog.convert_to(p.name, 'UTF8') FROM pg_catalog.pg_prepared_statement() p"
    f" WHERE pg_catalog.starts_with(p.statement, '{MARK}')"
)
"""Which statements are there that stand in for others."""

SET = (Kind.SETTING, Kind.CUSTOM)
_ROLES: Mapping[Kind, bytes] = {
    Kind.AUTHORIZATION: b"session_authorization",
    Kind.ROLE: b"role",
}
"""In their order: a session authorization ends the role before it."""


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


def script(parts: Iterable[tuple[str, bytes]]) -> Script:
    found = list(parts)
    return Script(b"".join(data for _, data in found), tuple(label for label, _ in found))


def error_of(answer: Messages) -> bytes | None:
    return next((body for kind, body in answer if kind == b"E"), None)


# --- settings, channels, roles --------------------------------------------------------


def extended(sql: str, parameters: Iterable[bytes] = ()) -> bytes:
    # There is no unnamed statement yet that it could destroy.
    return wire.parse("", sql) + wire.bind("", parameters, is_binary=True) + wire.execute()


_IMPATIENT = f"SET LOCAL lock_timeout = {LOCK_WAIT_MS_MAX}"
IMPATIENT, IMPATIENT_ASIDE = extended(_IMPATIENT), aside(_IMPATIENT)
PATIENT = extended("SET LOCAL lock_timeout = 0")


def locals_(encoding: str) -> bytes:
    """What the restoring itself needs, and what ends with its transaction."""
    needed = {**_LOCALS, "client_encoding": encoding}
    return wire.query("; ".join(f"SET LOCAL {name} = {value}" for name, value in needed.items()))


def is_set_last(setting: Entry) -> bool:
    """Whether the restoring has a value of its own for it, which would be gone: a session with a
    ``statement_timeout`` of a millisecond would not come back."""
    return setting.name in _SET_LAST


def locals_at_use(encoding: str) -> bytes:
    """Where a statement is tried at its use, its client's timeouts are those that count."""
    return aside("SET LOCAL synchronous_commit = off") + _local_encoding(encoding)


def locals_of_stand_ins(schema: str, encoding: str) -> bytes:
    return aside(f"SET LOCAL search_path = {schema}") + _local_encoding(encoding)


def _local_encoding(encoding: str) -> bytes:
    return aside(f"SET LOCAL client_encoding = {encoding}")


def set_all(settings: Sequence[Entry]) -> Iterator[bytes]:
    """Each has an answer of its own.

    As calls of a function, for which a fresh backend has nothing to parse or to plan: a third of
    the time of a query. A SET would have to be spelled, each kind of setting in its own way.
    """
    for entry in settings:
        yield _set_config(entry.name, entry.value)


def set_roles(entries: Sequence[Entry]) -> Iterator[bytes]:
    """Nothing where there is none."""
    for kind, name in _ROLES.items():
        for entry in entries:
            if entry.kind is kind:
                yield _set_config(name, entry.value)


def _set_config(name: bytes, value: bytes) -> bytes:
    return wire.function_call(_SET_CONFIG, (name, value, b"\0"))


def listen(entries: Iterable[Entry], cut: str) -> bytes:
    """On its channels, and with a mark on that of cuts; nothing where it listens on none."""
    channels = [entry.name for entry in entries if entry.kind is Kind.CHANNEL]
    if not channels:
        return b""
    words = [b"LISTEN " + quoted(channel) for channel in channels]
    if cut:
        words += [b"LISTEN " + CUT_CHANNEL, mark(cut)]
    return wire.query(b"; ".join(words))


UNLISTEN = wire.query(b"UNLISTEN " + CUT_CHANNEL)


def mark(cut: str) -> bytes:
    """The statement that sends a mark on the channel of cuts. ``cut``: letters and digits."""
    return b"NOTIFY " + CUT_CHANNEL + b", '" + cut.encode() + b"'"


def quoted(name: bytes) -> bytes:
    """An identifier as it is."""
    return b'"' + name.replace(b'"', b'""') + b'"'


# --- statements -----------------------------------------------------------------------

returns_another_s_rows = re.compile(rb"\s*(?:execute|fetch)\b", re.IGNORECASE).match
"""Such a statement's result is that of what it names then, and Postgres never compares it."""


def in_order(statements: Iterable[Entry]) -> list[Entry]:
    """Those that return another's rows come behind it, so that they know its columns."""
    return sorted(statements, key=lambda entry: bool(returns_another_s_rows(entry.value)))


def prepare(entry: Entry) -> bytes:
    # Closed first: a statement outlives the transaction in which a later one failed.
    if entry.kind is Kind.SQL_STATEMENT:
        return close(entry.name) + aside(entry.value)
    oids = parameters_of(entry.extra)
    tail = struct.pack(f">H{len(oids)}I", len(oids), *oids)
    parse = wire.message(b"P", entry.name + b"\0" + entry.value + b"\0" + tail)
    return close(entry.name) + parse


def rows_of(answer: Messages) -> Iterator[list[bytes]]:
    for kind, body in answer:
        if kind == b"D":
            yield [column or b"" for column in wire.row(body)]


def close(name: bytes) -> bytes:
    return wire.message(b"C", b"S" + name + b"\0")
