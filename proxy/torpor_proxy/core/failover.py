"""A compute was lost under a session: may the session go on, and what does its client hear? Pure.

An idle session that was captured goes on as if it had been parked. One with something in flight, or
in a transaction, goes on only where everything since its last capture was that one transaction, so
that nothing can have been lost but what the error says. In all other cases it ends. Nothing is ever
sent a second time.
"""

from __future__ import annotations

from enum import Enum
from struct import Struct

from torpor_proxy.core import wire
from torpor_proxy.core.exchange import IDLE, Exchange
from torpor_proxy.core.wire import HEAD_BYTES

_head = Struct(">BI").unpack_from
_ENDS_AN_EXCHANGE = b"QSF"

_ONE_ANSWER_OWED = (b"Q", b"F", b"S", b"xS")
"""What may be in flight: exactly one ReadyForQuery is waited for."""


class Aftermath(Enum):
    """What becomes of the session."""

    ENDS = "its state may be lost"
    ANSWERED = "an error answers what is in flight"
    BEGUN = "an error answers what is in flight and what comes up to its Sync"
    OWED = "an error will answer what comes next"


def judge(exchange: Exchange, *, is_as_captured: bool) -> Aftermath:
    """``is_as_captured``: all since its last capture was one transaction that can be undone."""
    is_torn = exchange.is_within_client_message or not exchange.is_between_server_messages
    if not is_as_captured or exchange.is_unclear or is_torn:
        return Aftermath.ENDS
    if exchange.in_copy or exchange.has_failed:
        return Aftermath.ENDS
    if exchange.promises in _ONE_ANSWER_OWED:
        return Aftermath.ANSWERED
    if exchange.promises == b"x":
        return Aftermath.BEGUN
    if not exchange.promises and exchange.status != IDLE:
        return Aftermath.OWED
    return Aftermath.ENDS


def may_outlast_a_rollback(sql: bytes) -> bool:
    """Whether a text may change of the session what its transaction's end does not undo."""
    folded = sql.lower()  # Asked of every text: written out, it takes a tenth of any(…).
    return (
        b"prepare" in folded
        or b"advisory" in folded
        or b"deallocate" in folded
        or b"discard" in folded
    )


class OwedError:
    """Passes over one whole exchange of a client, which an error answers.

    The error comes with its first message, as from Postgres, because a client may wait for it
    before it sends its Sync; and ReadyForQuery at its end.
    """

    __slots__ = ("_error", "_is_last", "_left", "_part")

    def __init__(self, error: bytes) -> None:
        """``error``: the ErrorResponse; b"": the client has heard it already."""
        self._error = error
        self._part = b""
        self._left = 0
        self._is_last = False

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        """What the client hears, and what comes behind the exchange: None as long as it goes on."""
        answer, data, self._part = b"", self._part + data, b""
        while True:
            passed = min(self._left, len(data))
            self._left -= passed
            data = data[passed:]
            if self._left:
                return answer, None
            if self._is_last:
                return answer + wire.ready_for_query(), data
            if len(data) < HEAD_BYTES:
                self._part = data
                return answer, None
            kind, length = _head(data)
            self._left = 1 + max(length, 4)
            self._is_last = kind in _ENDS_AN_EXCHANGE
            answer, self._error = answer + self._error, b""
