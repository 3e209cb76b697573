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
from torpor_proxy.core.capture_rows import Reading, shown
from torpor_proxy.core.custom_settings import CustomSettings
from torpor_proxy.core.held import NOTHING_HELD, Held

STATEMENT = "_torpor_c"

_CANCELLED = "57014"
"""SQLSTATE of a statement whose time is over, or that somebody has cancelled."""

PINS_MAX = 20
"""Told about one session; more would be read by nobody."""

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

PASSED_OVER = Pins(("its state could not be read: the server has passed over the question",))
"""It skips what stands before a Sync where it has found an error of the client's: that nothing came
is then no sign that there is nothing."""


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
    has_temporary_schema: bool = False
    """What is in it is another question."""
    stand_ins: frozenset[bytes] = frozenset()
    """Names of statements that another one stands in for."""
    prepared: bytes = b""
    """When each of the statements that are held was prepared, in their order."""
    snapshot: bytes = b""
    """Of the cluster: where it is the same, nothing was written in between."""
    was_cut_short: bool = False
    """Nothing is known: a timeout of the session's own was over before, or it was cancelled."""

    def pinned_by_lock(self) -> Captured:
        """What its statements return could not be found out for now."""
        return self.pinned_by(Pins((LOCKED,), is_passing=True))

    def pinned_by(self, more: Pins) -> Captured:
        """As well."""
        reasons = (*self.pins.reasons, *more.reasons)[:PINS_MAX]
        return replace(self, pins=Pins(reasons, self.pins.is_passing or more.is_passing))


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
    custom: CustomSettings,
    catalog: Catalog,
    *,
    asks_unnamed: bool = False,
    is_hurried: bool = False,
) -> bytes:
    """To be written to the backend of a session at a safe point.

    ``is_hurried``: its own timeouts are set away first, for one whose timeout was over before. What
    they were is known less exactly then.
    """
    unnamed = wire.describe_statement("") + wire.SYNC if asks_unnamed else b""
    names = custom.names | catalog.names
    begin = _BEGIN_HURRIED if is_hurried else _BEGIN
    return begin + (_of_custom(names) if names else b"") + _END + unnamed


def answers(*, asks_unnamed: bool = False) -> int:
    """How many ReadyForQuery the question brings."""
    return 2 if asks_unnamed else 1


def temporary_question() -> bytes:
    """To be written where a session has a temporary schema: what is in it."""
    return _whole(capture_sql.TEMPORARY)


def catalog_question() -> bytes:
    """To be written where the snapshot of a capture is not that of the catalog that is known."""
    return _whole(capture_sql.CATALOG)


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


def _whole(sql: str) -> bytes:
    return _all(capture_sql.BEGIN, *capture_sql.NO_TIMEOUTS, sql, "COMMIT") + wire.SYNC


def _of_custom(names: Iterable[str]) -> bytes:
    array = wire.bytea_array(name.encode() for name in sorted(names))
    return _statement(capture_sql.CUSTOM, (array,))


def _all(*texts: str) -> bytes:
    return b"".join(map(_statement, texts))


_SESSION = capture_sql.STATEMENTS, capture_sql.CHANNELS, capture_sql.SESSION
_BEGIN = _all(capture_sql.BEGIN, capture_sql.SETTINGS, *capture_sql.NO_TIMEOUTS, *_SESSION)
_BEGIN_HURRIED = _all(capture_sql.BEGIN, *capture_sql.HURRIED, capture_sql.SETTINGS, *_SESSION)
_END = _all(capture_sql.LOCKS, capture_sql.CURSORS, capture_sql.SLOTS, "COMMIT") + wire.SYNC


Messages = list[tuple[bytes, bytes]]


def read(
    messages: Messages,
    user: str,
    custom: CustomSettings,
    catalog: Catalog,
    *,
    escapes_are_mixed: bool = False,
    is_hurried: bool = False,
) -> Captured:
    """What the answer says. A question that failed pins, with Postgres's words.

    ``escapes_are_mixed``: ``standard_conforming_strings`` was changed in this session, so that a
    statement's text may have been read under the other value. ``is_hurried``: the question was.
    """
    end = messages.index((b"Z", b"I")) if (b"Z", b"I") in messages else len(messages)
    if failure := _failure(messages[:end]):
        return Captured(pins=failure, was_cut_short=_is_cut_short(messages[:end]))
    reading = Reading(user.encode(), escapes_are_mixed=escapes_are_mixed, is_hurried=is_hurried)
    _read(messages[:end], reading)
    reasons = [COMPUTED] * custom.is_computed + reading.reasons
    found = Captured(
        held.held_of(reading.kept),
        Pins(tuple(reasons[:PINS_MAX])),
        tuple(reading.defaults),
        reading.idle_session_timeout_s,
        has_unnamed=_says_whether_unnamed(messages[end + 1 :]),
        has_temporary_schema=reading.has_temporary_schema,
        stand_ins=frozenset(reading.stand_ins),
        prepared=b"".join(reading.prepared),
        snapshot=reading.snapshot,
    )
    return found.pinned_by(catalog.pins) if catalog.pins else found


def read_temporary(messages: Messages) -> Pins:
    """What the answer to the question about temporary objects says; where it failed, that pins."""
    if failure := _failure(messages):
        return failure
    return Pins(tuple(_read(messages, Reading()).reasons[:PINS_MAX]))


def read_catalog(messages: Messages) -> Catalog:
    """What the answer to the question about the catalog says; where it failed, that pins."""
    if failure := _failure(messages):
        return Catalog(pins=failure)
    reading = _read(messages, Reading())
    # Of a source text, where a name may stand in quotes.
    names = frozenset(
        shown(entry.name).replace('"', "") for entry in held.held_of(reading.kept).entries()
    )
    pins = Pins(tuple(reading.reasons[:PINS_MAX]))
    return Catalog(reading.snapshot, names, pins, reading.has_login_trigger)


def _read(messages: Messages, reading: Reading) -> Reading:
    for kind, body in messages:
        if kind == b"D":
            reading.take(body)
    return reading


def _says_whether_unnamed(messages: Messages) -> bool | None:
    return all(kind != b"E" for kind, _ in messages) if messages else None


def _is_cut_short(messages: Messages) -> bool:
    errors = [wire.report_fields(body) for kind, body in messages if kind == b"E"]
    return bool(errors) and errors[0].get("C") == _CANCELLED


def _failure(messages: Messages) -> Pins | None:
    for kind, body in messages:
        if kind == b"E":
            words = wire.report_fields(body).get("M", "an error")
            return Pins((f"its state could not be read: {words}",), is_passing=True)
    return None if any(kind in (b"C", b"D") for kind, _ in messages) else PASSED_OVER
