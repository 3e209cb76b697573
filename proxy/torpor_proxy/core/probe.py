"""Asks a session's own backend whether the session has state that a sleep would lose. Pure.

One pipelined round trip: every statement by the extended protocol under a name of the proxy's own,
because a simple query would destroy the client's unnamed statement. Every name and operator is
qualified, because ``search_path`` is the client's. Texts travel as hexadecimal UTF-8, because
``client_encoding`` is the client's too; and no literal has a backslash, because
``standard_conforming_strings`` is as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torpor_proxy.core import probe_sql, wire
from torpor_proxy.core.custom_settings import CustomSettings

STATEMENT = "_torpor_c"
"""Clients' statements of this prefix don't count as state."""

PINS_MAX = 20
"""Told about one session; more would be read by nobody."""

_WORDS = {
    "setting": "has set {}",
    "idle_session_timeout": "has an idle_session_timeout",
    "prepared statement": "has prepared statement {}",
    "channel": "listens on {}",
    "role": "has set its role to {}",
    "session authorization": "has set its session authorization to {}",
    "advisory lock": "holds advisory lock {}",
    "cursor": "has cursor {} with hold",
    "temporary object": "has temporary {}",
    "login trigger": "would run login event trigger {} again",
    "custom setting": "has set {}",
    "computed setting": "may have set a custom setting by {}",
    "replication slot": "has temporary replication slot {}",
}

UNCLEAR = "its place in the protocol's stream is not clear"
COMPUTED = "may have set a custom setting by a computed name"
LONG_UNNAMED = "has an unnamed statement that is too long to be kept"


@dataclass(frozen=True, slots=True)
class Pins:
    """Why the session can't be let go from its compute; empty: it can."""

    reasons: tuple[str, ...] = ()
    is_passing: bool = False
    """It could not be found out; another time it may."""
    defaults: tuple[tuple[str, str], ...] = ()
    """What RESET goes to where the role or the database has a value of its own."""

    def __bool__(self) -> bool:
        return bool(self.reasons)


NO_PINS = Pins()


def question(user: str, custom: CustomSettings) -> bytes:
    """To be written to the backend of a session at a safe point; answered up to ReadyForQuery."""
    names = ",".join(name.encode().hex() for name in sorted(custom.names))
    parameters = f"{{{names}}}".encode(), user.encode().hex().encode()
    parts = [_statement(probe_sql.BEGIN), _statement(probe_sql.SETTINGS)]
    parts += [_statement(sql) for sql in probe_sql.NO_TIMEOUTS]
    parts += [_statement(probe_sql.STATE, parameters), _statement("COMMIT")]
    return b"".join(parts) + wire.SYNC


def withdrawal() -> bytes:
    """Ends the transaction of a question that failed."""
    return _statement("ROLLBACK") + wire.SYNC


def _statement(sql: str, parameters: Iterable[bytes] = ()) -> bytes:
    # Closed first as well: after an error the Close at the end was skipped.
    return (
        wire.close_statement(STATEMENT)
        + wire.parse(STATEMENT, sql)
        + wire.bind(STATEMENT, parameters)
        + wire.execute()
        + wire.close_statement(STATEMENT)
    )


def pins_of(messages: Iterable[tuple[bytes, bytes]], custom: CustomSettings) -> Pins:
    """What the answer says. A question that failed pins, with Postgres's words."""
    reasons, defaults = [COMPUTED] * custom.is_computed, []
    for kind, body in messages:
        if kind == b"E":
            words = wire.report_fields(body).get("M", "an error")
            return Pins((f"its state could not be read: {words}",), is_passing=True)
        if kind == b"D":
            what, name = wire.row(body)
            assert what is not None and name is not None
            shown = bytes.fromhex(name.decode()).decode(errors="replace")
            if what == b"default":
                setting, _, value = shown.partition("=")
                defaults.append((setting, value))
            else:
                reasons.append(_WORDS[what.decode()].format(shown))
    return Pins(tuple(reasons[:PINS_MAX]), defaults=tuple(defaults))
