"""Asks a session's own backend for everything that the session would lose with it. Pure.

One pipelined round trip: every statement by the extended protocol under a name of the proxy's own,
because a simple query would destroy the client's unnamed statement. Every name and operator is
qualified, because ``search_path`` is the client's. Texts travel as ``bytea`` in UTF-8, because
``client_encoding`` is the client's too; and no literal has a backslash, because
``standard_conforming_strings`` is as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from torpor_proxy.core import capture_sql, held, wire
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.held import NOTHING_HELD, Held, Kind

STATEMENT = "_torpor_c"
"""Clients' statements of this prefix don't count as state."""

PINS_MAX = 20
"""Told about one session; more would be read by nobody."""

_WORDS = {
    "advisory lock": "holds advisory lock {}",
    "cursor": "has cursor {} with hold",
    "temporary object": "has temporary {}",
    "login trigger": "would run login event trigger {} again",
    "computed setting": "may have set a custom setting by {}",
    "replication slot": "has temporary replication slot {}",
    "forbidden setting": "has set {}, which its role may not set by itself",
    "long statement": "has prepared statement {} whose text is too long to be kept",
    "several statements": "has prepared statement {} in a text of several statements",
    "escapes": "has prepared statement {} with a backslash, under two meanings of backslashes",
}

UNCLEAR = "its place in the protocol's stream is not clear"
COMPUTED = "may have set a custom setting by a computed name"
LOCKED = "has a prepared statement on a table that is locked"
LONG_UNNAMED = "has an unnamed statement that is too long to be kept"


@dataclass(frozen=True, slots=True)
class Pins:
    """Why the session can't be let go from its compute; empty: it can."""

    reasons: tuple[str, ...] = ()
    is_passing: bool = False
    """It could not be found out; another time it may."""

    def __bool__(self) -> bool:
        return bool(self.reasons)


NO_PINS = Pins()


@dataclass(frozen=True, slots=True)
class Captured:
    """What a backend has answered."""

    held: Held = NOTHING_HELD
    pins: Pins = NO_PINS
    defaults: tuple[tuple[str, str], ...] = ()
    """What RESET goes to where the role or the database has a value of its own."""
    idle_session_timeout_s: float = 0.0
    """0: none."""
    has_unnamed: bool | None = None
    """Whether the unnamed statement exists; None: not asked."""
    stand_ins: frozenset[bytes] = frozenset()
    """Names of statements that another one stands in for."""
    prepared: bytes = b""
    """When each of the statements that are held was prepared, in their order."""
    snapshot: bytes = b""
    """Of the cluster: where it is the same, nothing was written in between."""

    def pinned_by_lock(self) -> Captured:
        """What its statements return could not be found out for now."""
        return replace(self, pins=Pins((*self.pins.reasons, LOCKED), is_passing=True))


@dataclass(frozen=True, slots=True)
class Catalog:
    """What the database itself may do to any session's custom settings."""

    snapshot: bytes = b""
    names: frozenset[str] = frozenset()
    """That some function sets."""
    pins: Pins = NO_PINS
    """Why no session of this database can be let go."""
    runs_at_login: bool = False
    """It has a login event trigger: a session can't begin without it."""


UNKNOWN = Catalog()


def question(
    user: str, custom: CustomSettings, catalog: Catalog, *, asks_unnamed: bool = False
) -> bytes:
    """To be written to the backend of a session at a safe point."""
    names = wire.bytea_array(name.encode() for name in sorted(custom.names | catalog.names))
    parts = [_statement(capture_sql.BEGIN), _statement(capture_sql.SETTINGS)]
    parts += [_statement(sql) for sql in capture_sql.NO_TIMEOUTS]
    parts += [_statement(capture_sql.STATE, (names, user.encode())), _statement("COMMIT")]
    unnamed = wire.describe_statement("") + wire.SYNC if asks_unnamed else b""
    return b"".join(parts) + wire.SYNC + unnamed


def answers(*, asks_unnamed: bool = False) -> int:
    """How many ReadyForQuery the question brings."""
    return 2 if asks_unnamed else 1


def catalog_question() -> bytes:
    """To be written where the snapshot of a capture is not that of the catalog that is known."""
    parts = [capture_sql.BEGIN, *capture_sql.NO_TIMEOUTS, capture_sql.CATALOG, "COMMIT"]
    return b"".join(map(_statement, parts)) + wire.SYNC


def withdrawal() -> bytes:
    """Ends the transaction of a question that failed."""
    return _statement("ROLLBACK") + wire.SYNC


def _statement(sql: str, parameters: Iterable[bytes] = ()) -> bytes:
    # Closed first as well: after an error the Close at the end was skipped.
    return (
        wire.close_statement(STATEMENT)
        + wire.parse(STATEMENT, sql)
        + wire.bind(STATEMENT, parameters, is_binary=True)
        + wire.execute()
        + wire.close_statement(STATEMENT)
    )


Messages = list[tuple[bytes, bytes]]


def read(
    messages: Messages,
    custom: CustomSettings,
    catalog: Catalog,
    *,
    escapes_are_mixed: bool = False,
) -> Captured:
    """What the answer says. A question that failed pins, with Postgres's words.

    ``escapes_are_mixed``: ``standard_conforming_strings`` was changed in this session, so that a
    statement's text may have been read under the other value.
    """
    end = messages.index((b"Z", b"I")) if (b"Z", b"I") in messages else len(messages)
    if failure := _failure(messages[:end]):
        return Captured(pins=failure)
    reading = _Reading(escapes_are_mixed)
    for kind, body in messages[:end]:
        if kind == b"D":
            reading.take(body)
    reasons = [COMPUTED] * custom.is_computed + reading.reasons + list(catalog.pins.reasons)
    return Captured(
        held.held_of(reading.kept),
        Pins(tuple(reasons[:PINS_MAX])),
        tuple(reading.defaults),
        reading.idle_session_timeout_s,
        has_unnamed=_says_whether_unnamed(messages[end + 1 :]),
        stand_ins=frozenset(reading.stand_ins),
        prepared=reading.prepared,
        snapshot=reading.snapshot,
    )


def read_catalog(messages: Messages) -> Catalog:
    """What the answer to the question about the catalog says; where it failed, that pins."""
    if failure := _failure(messages):
        return Catalog(pins=failure)
    reading = _Reading(escapes_are_mixed=False)
    for kind, body in messages:
        if kind == b"D":
            reading.take(body)
    names = frozenset(_shown(entry.name) for entry in held.held_of(reading.kept).entries())
    pins = Pins(tuple(reading.reasons[:PINS_MAX]))
    return Catalog(reading.snapshot, names, pins, reading.has_login_trigger)


def _says_whether_unnamed(messages: Messages) -> bool | None:
    return all(kind != b"E" for kind, _ in messages) if messages else None


def _failure(messages: Messages) -> Pins | None:
    for kind, body in messages:
        if kind == b"E":
            words = wire.report_fields(body).get("M", "an error")
            return Pins((f"its state could not be read: {words}",), is_passing=True)
    return None


class _Reading:
    """Sorts the rows of an answer."""

    def __init__(self, escapes_are_mixed: bool) -> None:
        self.kept: list[bytes] = []
        self.reasons: list[str] = []
        self.defaults: list[tuple[str, str]] = []
        self.idle_session_timeout_s = 0.0
        self.stand_ins: list[bytes] = []
        self.prepared = b""
        self.snapshot = b""
        self.has_login_trigger = False
        self._escapes_are_mixed = escapes_are_mixed

    def take(self, body: bytes) -> None:
        kind, name, value, extra = (column or b"" for column in wire.row(body))
        if kind == b"x":
            self._pin(name.decode(), value)
            self.has_login_trigger |= name == b"login trigger"
        elif kind == b"d":
            self.defaults.append((_shown(name), _shown(value)))
        elif kind == b"i":
            self.idle_session_timeout_s = float(value)
        elif kind == b"b":
            self.stand_ins.append(name)
        elif kind == b"t":
            self.prepared = value
        elif kind == b"n":
            self.snapshot = value
        else:
            self.kept.append(body)
            self._look(kind, name, value, extra)

    def _look(self, kind: bytes, name: bytes, value: bytes, extra: bytes) -> None:
        """Some of what is kept can't be put back."""
        if kind == Kind.SETTING.value and extra:
            self._pin("forbidden setting", name)
        elif kind in (Kind.SQL_STATEMENT.value, Kind.PROTOCOL_STATEMENT.value):
            if kind == Kind.SQL_STATEMENT.value and has_several_statements(value):
                self._pin("several statements", name)
            if self._escapes_are_mixed and b"\\" in value:
                self._pin("escapes", name)

    def _pin(self, what: str, name: bytes) -> None:
        self.reasons.append(_WORDS[what].format(_shown(name)))


def has_several_statements(text: bytes) -> bool:
    """Whether PREPARE may have stood beside another statement; in doubt: yes.

    A text of several can't be sent by the extended protocol, and must never be by the simple one:
    that would run the others again.
    """
    return b";" in text.strip().rstrip(b"; \t\r\n")


def _shown(name: bytes) -> str:
    return name.decode(errors="replace")
