"""What the common listener says to its backend, and a session that hands over to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from torpor_proxy.core import capture_sql, wire
from torpor_proxy.core.capture import STATEMENT
from torpor_proxy.core.held import CUT_CHANNEL
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.restore_words import Messages, mark, quoted

PARAMETERS: Pairs = (
    ("application_name", "torpor listener"),
    ("idle_session_timeout", "0"),
    ("statement_timeout", "0"),
    ("lock_timeout", "0"),
    ("default_transaction_isolation", "read committed"),
)
"""Over what its role has as defaults."""

_BEGIN = "BEGIN; SET LOCAL client_encoding = {}"

_NAMES = (
    "SELECT pg_catalog.convert_to(c, 'UTF8'),"
    " pg_catalog.convert_to(c, pg_catalog.pg_client_encoding())"
    " FROM pg_catalog.pg_listening_channels() c"
)

LISTEN_ANSWERS = 4
"""ReadyForQuery that ``listen`` brings."""


def listen(channels: Iterable[bytes], stale: Iterable[bytes], server_encoding: str) -> bytes:
    """On more channels, and no more on some. Names are in UTF-8, whatever the connection's is."""
    words = [b"LISTEN " + quoted(channel) for channel in (CUT_CHANNEL, *channels)]
    words += [b"UNLISTEN " + quoted(channel) for channel in stale]
    encoding = "SQL_ASCII" if server_encoding == "SQL_ASCII" else "UTF8"
    names = wire.parse("", _NAMES) + wire.bind("", is_binary=True) + wire.execute() + wire.SYNC
    return (
        wire.query(_BEGIN.format(encoding))
        + wire.query(b"; ".join(words))
        + wire.query("COMMIT")
        + names
    )


def names_of(answer: Messages) -> dict[bytes, bytes]:
    """By the channel in UTF-8: as the connection spells it in notifications."""
    names = {}
    for kind, body in answer:
        if kind == b"D":
            in_utf8, spelled = wire.row(body)
            names[in_utf8 or b""] = spelled or b""
    return names


def error_of(answer: Messages) -> dict[str, str] | None:
    """The first error's fields; None: there is none."""
    return next((wire.report_fields(body) for kind, body in answer if kind == b"E"), None)


# --- on a session's own backend: the unnamed statement is spared -----------------------------


def leave(word: str) -> bytes:
    """Send the mark to itself and to the listener."""
    return _statements(
        "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE",
        *capture_sql.NO_TIMEOUTS,
        "SET LOCAL synchronous_commit = off",
        "LISTEN " + CUT_CHANNEL.decode(),
        mark(word).decode(),
        "COMMIT",
    )


def remain() -> bytes:
    """Take back what ``leave`` has left behind."""
    return _statements("UNLISTEN " + CUT_CHANNEL.decode())


def _statements(*texts: str) -> bytes:
    close = wire.close_statement(STATEMENT)
    run = wire.bind(STATEMENT, is_binary=True) + wire.execute()
    # Closed first as well: after an error the last Close was skipped.
    return b"".join(close + wire.parse(STATEMENT, text) + run + close for text in texts) + wire.SYNC
