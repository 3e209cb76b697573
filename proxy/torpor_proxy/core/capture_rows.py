"""The rows of a capture's answer, sorted into what is kept, what pins and what is only noted. Pure.

What each row is stands in its first column: see :mod:`torpor_proxy.core.capture_sql`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from torpor_proxy.core import wire
from torpor_proxy.core.aside import OWN_PREFIX
from torpor_proxy.core.broken import MARK
from torpor_proxy.core.capture_sql import TEXT_LENGTH_MAX, TIMEOUTS
from torpor_proxy.core.held import Kind, row_of
from torpor_proxy.core.statement_types import types_of

Columns: TypeAlias = list[bytes]

_WORDS: Final[Mapping[str, str]] = {
    "advisory lock": "holds advisory lock {}",
    "cursor": "has cursor {} with hold",
    "temporary object": "has temporary {}",
    "login trigger": "would run login event trigger {} again",
    "computed setting": "may have set a custom setting by {}",
    "replication slot": "has temporary replication slot {}",
    "forbidden setting": "has set {}, which its role may not set by itself",
    "long statement": "has prepared statement {} whose text is too long to be kept",
    "long setting": "has set {} to a value that is too long to be kept",
    "several statements": "has prepared statement {} in a text of several statements",
    "escapes": "has prepared statement {} with a backslash, under two meanings of backslashes",
}

_OF_TRANSACTIONS = {
    b"transaction_isolation",
    b"transaction_read_only",
    b"transaction_deferrable",
}
"""They end with the transaction, which at a safe point is the question's own."""

_OF_CONNECTIONS = b"tcp_"
"""Begin the names of settings of the proxy's own connection, which has another other end."""

_SESSION, _USER = b"session", b"user"
"""The source of a setting that the session made, and the context of one that anybody may make."""

_NO_SCHEMA = bytes(4)
_NO_TIMEOUT = b"0"


class Reading:
    """``user``: whose login it is; ``escapes_are_mixed``: ``standard_conforming_strings`` was
    changed in this session, so that a text may have been read under the other value;
    ``is_hurried``: the rows of HURRIED come first."""

    def __init__(
        self, user: bytes = b"", *, escapes_are_mixed: bool = False, is_hurried: bool = False
    ) -> None:
        self.kept: list[bytes] = []
        self.reasons: list[str] = []
        self.defaults: list[tuple[str, str]] = []
        self.idle_session_timeout_s = 0.0
        self.stand_ins: list[bytes] = []
        self.prepared: list[bytes] = []
        self.snapshot = b""
        self.has_login_trigger = False
        self.has_temporary_schema = False
        self._listed = set[bytes]()
        """Settings that Postgres or an extension knows."""
        self._user = user
        self._escapes_are_mixed = escapes_are_mixed
        self._timeouts: dict[bytes, bytes] = {}
        self._timeouts_to_come = [name.encode() for name in TIMEOUTS] if is_hurried else []
        self._takers: Mapping[bytes, Callable[[Columns], None]] = {
            b"s": self._take_setting,
            b"p": self._take_statement,
            b"o": self._take_session,
            b"l": self._take_channel,
            b"c": self._take_custom,
            b"k": self._take_lock,
            b"u": self._take_cursor,
            b"y": self._take_slot,
            b"x": self._take_pin,
            b"n": self._take_snapshot,
        }

    def take(self, body: bytes) -> None:
        """Of one DataRow."""
        kind, *columns = wire.row(body)
        if self._timeouts_to_come:
            self._timeouts[self._timeouts_to_come.pop(0)] = kind or b""
            return
        present = [b"" if column is None else column for column in columns]
        if kind != b"c" or columns[-1] is not None:
            self._takers[kind or b""](present)

    def _take_setting(self, columns: Columns) -> None:
        name, value, reset, source, context, is_allowed = columns
        self._listed.add(name.lower())
        if name == b"idle_session_timeout":
            self.idle_session_timeout_s = int(value) / 1000
        if name in _OF_TRANSACTIONS or name.startswith(_OF_CONNECTIONS):
            return
        if name in self._timeouts:
            self._take_timeout(name, self._timeouts[name], reset)
            return
        if source == _SESSION:
            self._keep(Kind.SETTING, name, value)
            self._refuse_long(name, value)
            if is_allowed == b"\0":
                self._pin("forbidden setting", name)
        elif context == _USER and source.endswith((b"database", b"user")):
            self.defaults.append((shown(name), shown(reset)))

    def _take_timeout(self, name: bytes, value: bytes, reset: bytes) -> None:
        """One that was set away before its row was read, which does not say whose it was: it counts
        as the session's, and what RESET goes to as its role's."""
        if value != _NO_TIMEOUT or reset != _NO_TIMEOUT:
            self._keep(Kind.SETTING, name, value)
        if reset != _NO_TIMEOUT:
            self.defaults.append((shown(name), shown(reset)))

    def _take_statement(self, columns: Columns) -> None:
        name, text, is_sql, parameters, results, prepared = columns
        if name.startswith(OWN_PREFIX):
            return
        if text.startswith(MARK.encode()):
            self.stand_ins.append(name)
            return
        kind = Kind.PROTOCOL_STATEMENT if is_sql == b"\0" else Kind.SQL_STATEMENT
        self._keep(kind, name, text, types_of(parameters, results))
        self.prepared.append(prepared)
        if len(text) >= TEXT_LENGTH_MAX:
            self._pin("long statement", name)
        if kind is Kind.SQL_STATEMENT and has_several_statements(text):
            self._pin("several statements", name)
        if self._escapes_are_mixed and b"\\" in text:
            self._pin("escapes", name)

    def _take_session(self, columns: Columns) -> None:
        role, authorization, self.snapshot, schema = columns
        if role != b"none":
            self._keep(Kind.ROLE, b"", role)
        if authorization != self._user:
            self._keep(Kind.AUTHORIZATION, b"", authorization)
        self.has_temporary_schema = schema != _NO_SCHEMA

    def _take_channel(self, columns: Columns) -> None:
        self._keep(Kind.CHANNEL, columns[0])

    def _take_custom(self, columns: Columns) -> None:
        """Only names where it was the catalog that was asked. A setting that an extension knows was
        told before: it is the session's own only where that said so."""
        name, value = columns[:2]
        if name in self._listed:
            return
        self._keep(Kind.CUSTOM, name, value)
        self._refuse_long(name, value)

    def _take_lock(self, columns: Columns) -> None:
        high, low, form = (int.from_bytes(column, "big") for column in columns)
        name = str(_signed(high << 32 | low)) if form == 1 else f"{high}, {low}"
        self._pin("advisory lock", name.encode())

    def _take_cursor(self, columns: Columns) -> None:
        self._pin("cursor", columns[0])

    def _take_slot(self, columns: Columns) -> None:
        self._pin("replication slot", columns[0])

    def _refuse_long(self, name: bytes, value: bytes) -> None:
        if len(value) >= TEXT_LENGTH_MAX:
            self._pin("long setting", name)

    def _take_pin(self, columns: Columns) -> None:
        what, name = shown(columns[0]), columns[1]
        self._pin(what, name)
        self.has_login_trigger |= what == "login trigger"

    def _take_snapshot(self, columns: Columns) -> None:
        self.snapshot = columns[1]

    def _keep(self, kind: Kind, name: bytes, value: bytes = b"", extra: bytes = b"") -> None:
        self.kept.append(row_of(kind, name, value, extra))

    def _pin(self, what: str, name: bytes) -> None:
        self.reasons.append(_WORDS[what].format(shown(name)))


def has_several_statements(text: bytes) -> bool:
    """Whether PREPARE may have stood beside another statement; in doubt: yes.

    A text of several can't be sent by the extended protocol, and must never be by the simple one:
    that would run the others again.
    """
    return b";" in text.strip().rstrip(b"; \t\r\n")


def shown(name: bytes) -> str:
    """For people."""
    return name.decode(errors="replace")


def _signed(key: int) -> int:
    """Of 64 bits."""
    return key - (1 << 64) if key >> 63 else key
