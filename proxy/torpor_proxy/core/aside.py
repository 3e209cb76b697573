"""The proxy's own words on a session's backend, which leave alone what its client has there. Pure.

Statement and portal have a name of the proxy's own: a simple query would destroy the client's
unnamed statement, and inside of a transaction its unnamed portal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from torpor_proxy.core import wire

OWN_PREFIX = b"_torpor_"
"""Of names of the proxy's own statements; a client's of this prefix don't count as state."""

STATEMENT = "_torpor_a"

_CLOSE = wire.message(b"C", b"P" + wire.text(STATEMENT)) + wire.close_statement(STATEMENT)


def aside(sql: str | bytes, parameters: Iterable[bytes] = ()) -> bytes:
    """One statement; ``bytes``: in the encoding that the server expects."""
    text = sql.encode() if isinstance(sql, str) else sql
    return (
        _CLOSE  # After an error that at the end was skipped.
        + wire.message(b"P", wire.text(STATEMENT) + text + b"\0\0\0")
        + wire.bind(STATEMENT, parameters, is_binary=True, portal=STATEMENT)
        + wire.execute(STATEMENT)
        + _CLOSE
    )


@dataclass(frozen=True, slots=True)
class Frame:
    """What is set within it ends with it, whatever happens in between.

    All of it is one sequence with one Sync, so that nothing of it is reported. Where something
    fails the end has been skipped, and must be said again.
    """

    begin: bytes
    end: bytes

    def around(self, data: bytes) -> bytes:
        """The whole of it."""
        return self.begin + data + self.end + wire.SYNC


TRANSACTION = Frame(
    aside("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE NOT DEFERRABLE"), aside("COMMIT")
)
"""Outside of any other."""

SUBTRANSACTION = Frame(
    aside("SAVEPOINT _torpor_s"), aside("ROLLBACK TO _torpor_s") + aside("RELEASE _torpor_s")
)
"""Within the client's own transaction. A statement that is prepared in it outlives the rollback."""
