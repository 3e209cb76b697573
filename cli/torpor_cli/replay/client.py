"""A client of the endpoint: sends a statement as the log's client did, and throws its rows away.

By libpq, because a log has parameters as text and without their types: libpq sends them so, and the
server finds the types, as it did for the log's own client. Rows come in small portions, so a result
that is larger than memory passes.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Final, Self

import psycopg
from psycopg import generators, pq
from psycopg.abc import PQGen
from psycopg.conninfo import make_conninfo
from psycopg.waiting import Wait

from torpor_cli.replay.statement import Statement

CONNECT_SECONDS_MAX: Final = 60
"""As long as a proxy lets a client wait for a wake."""

STATEMENT_SECONDS_MAX: Final = 3600.0
"""A statement that waits for a lock which nobody will release ends here, with 57014."""

ROWS_AT_ONCE: Final = 100
"""In memory, where libpq can do that (17 and newer); one, where it can't."""

PREPARED_MAX: Final = 200
"""Names of one session. No log tells when a client closes one, so what is beyond goes unnamed."""

CONNECTION_LOST: Final = "08006"
"""Where the server gave no SQLSTATE, because it was gone."""

TIMED_OUT: Final = "57014"

_ENCODING: Final = ("utf-8", "surrogateescape")

_NO_ROWS: Final = b"the rows of a COPY are in no log"

_FORGETS = re.compile(
    r'\s*(?:DISCARD\s+ALL|DEALLOCATE\s+(?:PREPARE\s+)?(?:(ALL)\b|"([^"]+)"|(\w+)))', re.IGNORECASE
)


class CanNotConnect(Exception):
    """With what the server, or the network, said; no password is in it."""

    def __init__(self, sqlstate: str, message: str) -> None:
        super().__init__(f"{sqlstate}: {message}")


class Client:
    """One connection."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        self._connection = connection
        self._prepared: dict[str, bytes] = {}

    @classmethod
    async def connect(cls, parameters: Mapping[str, str]) -> Self:
        """``parameters``: libpq's. Raises CanNotConnect."""
        bounded = {"connect_timeout": str(CONNECT_SECONDS_MAX)} | dict(parameters)
        try:
            connection = await psycopg.AsyncConnection.connect(
                make_conninfo("", **bounded), autocommit=True
            )
        except psycopg.Error as error:
            code = error.sqlstate or CONNECTION_LOST
            raise CanNotConnect(code, str(error).strip().splitlines()[0]) from None
        return cls(connection)

    @property
    def is_lost(self) -> bool:
        return self._connection.pgconn.status == pq.ConnStatus.BAD

    @property
    def is_in_transaction(self) -> bool:
        return self._connection.pgconn.transaction_status != pq.TransactionStatus.IDLE

    async def run(self, statement: Statement) -> str:
        """Until its last row. The SQLSTATE of its error; empty: there was none."""
        text = statement.text.encode(*_ENCODING)
        values = [None if one is None else one.encode(*_ENCODING) for one in statement.parameters]
        try:
            async with asyncio.timeout(STATEMENT_SECONDS_MAX):
                sqlstate = await self._connection.wait(self._sent(statement, text, values))
        except TimeoutError:
            return TIMED_OUT
        except psycopg.OperationalError:
            if not self.is_lost:
                raise
            return CONNECTION_LOST
        if not sqlstate:
            self._forget(statement.text)
        return sqlstate

    async def close(self) -> None:
        with contextlib.suppress(psycopg.Error):
            await self._connection.close()

    def _sent(
        self, statement: Statement, text: bytes, values: Sequence[bytes | None]
    ) -> PQGen[str]:
        pgconn = self._connection.pgconn
        if statement.is_simple:
            pgconn.send_query(text)
        elif statement.name and self._may_prepare(statement.name, text):
            name = statement.name.encode(*_ENCODING)
            if statement.name not in self._prepared:
                pgconn.send_prepare(name, text)
                if sqlstate := (yield from _outcome(pgconn)):
                    return sqlstate
                self._prepared[statement.name] = text
            pgconn.send_query_prepared(name, values)
        else:
            pgconn.send_query_params(text, values)
        if psycopg.capabilities.has_stream_chunked():
            pgconn.set_chunked_rows_mode(ROWS_AT_ONCE)
        else:
            pgconn.set_single_row_mode()
        return (yield from _outcome(pgconn))

    def _may_prepare(self, name: str, text: bytes) -> bool:
        if name in self._prepared:
            return self._prepared[name] == text
        return len(self._prepared) < PREPARED_MAX

    def _forget(self, text: str) -> None:
        """What the statement has deallocated."""
        found = _FORGETS.match(text)
        if found is None:
            return
        name = found[2] or (found[3] or "").lower()
        if found[1] or not name:
            self._prepared.clear()
        else:
            self._prepared.pop(name, None)


def _outcome(pgconn: pq.abc.PGconn) -> PQGen[str]:
    """The first error's SQLSTATE, when everything has come."""
    yield from generators.send(pgconn)
    sqlstate = ""
    try:
        while (result := (yield from generators.fetch(pgconn))) is not None:
            match result.status:
                case pq.ExecStatus.FATAL_ERROR:
                    code = result.error_field(pq.DiagnosticField.SQLSTATE)
                    sqlstate = sqlstate or (code.decode() if code else CONNECTION_LOST)
                case pq.ExecStatus.COPY_OUT:
                    yield from _drained(pgconn)
                case pq.ExecStatus.COPY_IN:
                    pgconn.put_copy_end(_NO_ROWS)
                    yield from generators.send(pgconn)
    except psycopg.OperationalError:
        if not sqlstate:
            raise
        # The server has said why before it hung up.
    return sqlstate


def _drained(pgconn: pq.abc.PGconn) -> PQGen[None]:
    while True:
        size, _ = pgconn.get_copy_data(1)
        if size < 0:
            return
        if size == 0:
            yield Wait.R
            pgconn.consume_input()
