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

from torpor_proxy.core import wire
from torpor_proxy.core.custom_settings import CustomSettings

STATEMENT = "_torpor_c"
"""Clients' statements of this prefix don't count as state."""

PINS_MAX = 20
"""Told about one session; more would be read by nobody."""

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY NOT DEFERRABLE"

_SETTINGS = """
SELECT 'setting', pg_catalog.encode(pg_catalog.convert_to(s.name, 'UTF8'), 'hex')
FROM pg_catalog.pg_settings s
WHERE s.source OPERATOR(pg_catalog.=) 'session' AND s.name OPERATOR(pg_catalog.<>) ALL (
  ARRAY['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'
  ]::pg_catalog.text[])
 AND NOT pg_catalog.starts_with(s.name, 'tcp_')
UNION ALL
SELECT 'idle_session_timeout', ''
WHERE pg_catalog.current_setting('idle_session_timeout') OPERATOR(pg_catalog.<>) '0'
"""

# Only after the settings were read: they would be seen as the session's own.
_NO_TIMEOUTS = ("SET LOCAL statement_timeout = 0", "SET LOCAL transaction_timeout = 0")

_STATE = """
SELECT v.kind, pg_catalog.encode(pg_catalog.convert_to(v.name, 'UTF8'), 'hex') FROM (
SELECT 'prepared statement' AS kind, p.name AS name
 FROM pg_catalog.pg_prepared_statements p WHERE NOT pg_catalog.starts_with(p.name, '_torpor_')
UNION ALL SELECT 'channel', c FROM pg_catalog.pg_listening_channels() c
UNION ALL SELECT 'role', pg_catalog.current_setting('role')
 WHERE pg_catalog.current_setting('role') OPERATOR(pg_catalog.<>) 'none'
UNION ALL SELECT 'session authorization', SESSION_USER::pg_catalog.text
 WHERE SESSION_USER::pg_catalog.text OPERATOR(pg_catalog.<>)
  pg_catalog.convert_from(pg_catalog.decode($2::pg_catalog.text, 'hex'), 'UTF8')
UNION ALL SELECT 'advisory lock', CASE l.objsubid
  WHEN 1 THEN ((l.classid::pg_catalog.int8 OPERATOR(pg_catalog.<<) 32)
   OPERATOR(pg_catalog.|) l.objid::pg_catalog.int8)::pg_catalog.text
  ELSE pg_catalog.concat(l.classid::pg_catalog.text, ', ', l.objid::pg_catalog.text) END
 FROM pg_catalog.pg_locks l WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()
  AND l.locktype OPERATOR(pg_catalog.=) 'advisory'
UNION ALL SELECT 'cursor', c.name FROM pg_catalog.pg_cursors c WHERE c.is_holdable
UNION ALL SELECT 'temporary object', pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid)
 FROM pg_catalog.pg_depend d WHERE d.refclassid OPERATOR(pg_catalog.=) 2615::pg_catalog.oid
  AND d.refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()
  AND pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.<>) 0::pg_catalog.oid
UNION ALL SELECT 'login trigger', e.evtname::pg_catalog.text FROM pg_catalog.pg_event_trigger e
 WHERE e.evtevent OPERATOR(pg_catalog.=) 'login' AND e.evtenabled OPERATOR(pg_catalog.<>) 'D'
UNION ALL SELECT 'custom setting', n.name FROM (
  SELECT pg_catalog.convert_from(pg_catalog.decode(h, 'hex'), 'UTF8') AS name
   FROM pg_catalog.unnest($1::pg_catalog.text[]) h
  UNION SELECT pg_catalog.lower(m.found[1]) FROM pg_catalog.pg_proc p
   CROSS JOIN LATERAL pg_catalog.regexp_matches(p.prosrc,
    '[[:<:]]set(?:_config[[:space:]]*[(][[:space:]]*''|[[:space:]]+(?:session[[:space:]]+|local'
    '[[:space:]]+)?)([[:alnum:]_$]+[.][[:alnum:]_$.]+)', 'gi') AS m(found)
   WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid) n
 WHERE pg_catalog.strpos(n.name, '.') OPERATOR(pg_catalog.>) 0
  AND pg_catalog.current_setting(n.name, true) OPERATOR(pg_catalog.<>) ''
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_settings s WHERE s.name OPERATOR(pg_catalog.=) n.name)
UNION ALL SELECT 'computed setting', p.proname::pg_catalog.text FROM pg_catalog.pg_proc p
 WHERE p.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid
  AND p.prosrc OPERATOR(pg_catalog.~*) '[[:<:]]set_config[[:space:]]*[(][[:space:]]*[^''[:space:]]'
) v
"""

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
    "computed setting": "may have set a custom setting in function {}",
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

    def __bool__(self) -> bool:
        return bool(self.reasons)


NO_PINS = Pins()


def question(user: str, custom: CustomSettings) -> bytes:
    """To be written to the backend of a session at a safe point; answered up to ReadyForQuery."""
    names = ",".join(name.encode().hex() for name in sorted(custom.names))
    parameters = f"{{{names}}}".encode(), user.encode().hex().encode()
    parts = [_statement(_BEGIN), _statement(_SETTINGS)]
    parts += [_statement(sql) for sql in _NO_TIMEOUTS]
    parts += [_statement(_STATE, parameters), _statement("COMMIT")]
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
    reasons = [COMPUTED] * custom.is_computed
    for kind, body in messages:
        if kind == b"E":
            words = wire.report_fields(body).get("M", "an error")
            return Pins((f"its state could not be read: {words}",), is_passing=True)
        if kind == b"D":
            what, name = wire.row(body)
            assert what is not None and name is not None
            shown = bytes.fromhex(name.decode()).decode(errors="replace")
            reasons.append(_WORDS[what.decode()].format(shown))
    return Pins(tuple(reasons[:PINS_MAX]))
