"""One client at the console: its messages in order, each answered before the next is read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeGuard

from torpor_api.console import ConsoleRight, ConsoleRole
from torpor_api.failures import Failure
from torpor_proxy.console import extended, greeting
from torpor_proxy.console.answers import Answers
from torpor_proxy.console.client import Client
from torpor_proxy.console.faults import (
    AnswerFailed,
    Canceled,
    InTransaction,
    NotOffered,
    Remark,
    RightMissing,
    TransactionAborted,
)
from torpor_proxy.console.parsing import parse, parse_simple
from torpor_proxy.console.portals import Notice, Portal, Portals, Prepared, Told
from torpor_proxy.console.statements import (
    Command,
    Constant,
    Forget,
    Setting,
    Statement,
    Transaction,
    columns_of,
    tag_of,
)
from torpor_proxy.console.values import data_row, row_description
from torpor_proxy.core import wire
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.refusals import NotPermitted, Refused, ShuttingDown
from torpor_proxy.core.wire import Severity
from torpor_proxy.executor.inbox import HungUp

log = logging.getLogger(__name__)

PARSED, BOUND, CLOSED = wire.message(b"1"), wire.message(b"2"), wire.message(b"3")
NO_DATA, SUSPENDED, EMPTY = wire.message(b"n"), wire.message(b"s"), wire.message(b"I")

IDLE, IN_TRANSACTION, ABORTED = b"I", b"T", b"E"

_STRAY = frozenset((b"d", b"c", b"f"))
"""Of a COPY, which there is none: passed over, as Postgres does."""


@dataclass(frozen=True, slots=True)
class Who:
    """A client that has logged in."""

    role: str
    address: str
    told: Pairs
    """By ParameterStatus."""

    def __str__(self) -> str:
        return f"{self.role} at the console, from {self.address}"


class ConsoleSession:
    """Of one client. ``right`` is asked for each command: the file of roles may change."""

    def __init__(
        self,
        who: Who,
        client: Client,
        answers: Answers,
        role: Callable[[str], ConsoleRole | None],
    ) -> None:
        self._who = who
        self._client = client
        self._answers = answers
        self._role = role
        self._portals = Portals()
        self._status = IDLE
        self._skips = False
        """After an error in the extended protocol: up to Sync."""
        self._running: asyncio.Task[None] | None = None
        self._on: dict[bytes, Callable[[bytes], Coroutine[Any, Any, None]]] = {
            b"Q": self._query,
            b"P": self._parse,
            b"B": self._bind,
            b"D": self._describe,
            b"E": self._execute,
            b"C": self._close,
            b"H": self._flush,
            b"S": self._sync,
            b"F": self._function_call,
        }

    async def run(self, key: tuple[int, bytes]) -> None:
        """Until the client takes its leave; then its connection is closed."""
        client = self._client
        try:
            await client.say(b"".join(wire.parameter_status(*pair) for pair in self._who.told))
            await client.say(wire.backend_key_data(*key))
            await self._ready()
            while (received := await client.message())[0] != b"X":
                await self._take(*received)
            client.close()
        except HungUp:
            client.close()
        except Refused as refused:
            fields = {"client": self._who.address, "user": self._who.role}
            log.info("console_ended", extra={**fields, "reason": refused.refusal.reason})
            self._last_word(refused.refusal.as_report())
        except asyncio.CancelledError:
            self._last_word(ShuttingDown().as_report())
            raise
        finally:
            await self._portals.close_all()

    def cancel(self) -> None:
        """What it is running, if it runs anything."""
        if self._running is not None:
            self._running.cancel()

    def _last_word(self, report: bytes) -> None:
        self._client.add(report)
        self._client.close()

    # --- one message ----------------------------------------------------------------------

    async def _take(self, kind: bytes, body: bytes) -> None:
        """Raises Refused for what ends the session, and HungUp."""
        if (self._skips and kind != b"S") or kind in _STRAY:
            return
        try:
            await self._on[kind](body)
        except Refused as refused:
            if refused.refusal.severity is not Severity.ERROR:
                raise
            await self._failed(kind, refused.refusal.as_report())
        except Failure as failure:
            await self._failed(kind, AnswerFailed(failure).as_report())

    async def _failed(self, kind: bytes, report: bytes) -> None:
        if self._status == IN_TRANSACTION:
            self._status = ABORTED
        await self._client.say(report)
        if kind in (b"Q", b"F"):
            await self._ready()
        else:
            # Some drivers send a Flush, and a Sync only once they have heard of the error.
            self._skips = True
            await self._client.flush()

    async def _ready(self) -> None:
        if self._status == IDLE:
            await self._portals.close_all()
        await self._client.say(wire.ready_for_query(self._status))
        await self._client.flush()

    # --- the simple protocol ----------------------------------------------------------------

    async def _query(self, body: bytes) -> None:
        statements = parse_simple(extended.read_query(body))
        if not statements:
            await self._client.say(EMPTY)
        for statement in statements:
            told = self._begin(statement)
            if columns := columns_of(statement):
                await self._client.say(row_description(columns))
            await self._interruptible(self._carry_on(Portal(statement, (), told), rows_max=0))
        await self._ready()

    async def _function_call(self, _: bytes) -> None:
        raise Refused(NotOffered("the console has no functions to call"))

    # --- the extended protocol --------------------------------------------------------------

    async def _parse(self, body: bytes) -> None:
        message = extended.read_parse(body)
        statements = parse(message.sql)
        if len(statements) > 1:
            raise Refused(NotOffered("cannot insert multiple commands into a prepared statement"))
        if statements:
            prepared = Prepared(statements[0], extended.oids_of(statements[0], message.oids))
        else:
            prepared = Prepared(None)
        self._portals.prepare(message.name, prepared)
        await self._client.say(PARSED)

    async def _bind(self, body: bytes) -> None:
        message = extended.read_bind(body)
        prepared = self._portals.prepared(message.statement)
        statement = prepared.statement
        if statement is None:
            portal = Portal(None)
        else:
            count = len(columns_of(statement))
            formats = extended.formats_of(message.result_formats, count) if count else ()
            portal = Portal(extended.bound(statement, prepared.oids, message), formats)
        await self._portals.open(message.portal, portal)
        await self._client.say(BOUND)

    async def _describe(self, body: bytes) -> None:
        target = extended.read_target(body)
        formats: tuple[int, ...] = ()
        if target.is_statement:
            prepared = self._portals.prepared(target.name)
            statement = prepared.statement
            await self._client.say(extended.parameter_description(prepared.oids))
        else:
            portal = self._portals.portal(target.name)
            statement, formats = portal.statement, portal.formats
        columns = () if statement is None else columns_of(statement)
        await self._client.say(row_description(columns, formats) if columns else NO_DATA)

    async def _execute(self, body: bytes) -> None:
        message = extended.read_execute(body)
        portal = self._portals.portal(message.portal)
        if portal.statement is None:
            await self._client.say(EMPTY)
            return
        if portal.told is None:
            portal.told = self._begin(portal.statement)
        else:
            self._admit(portal.statement)
        await self._interruptible(self._carry_on(portal, message.rows_max))

    async def _close(self, body: bytes) -> None:
        target = extended.read_target(body)
        if target.is_statement:
            self._portals.forget(target.name)
        else:
            await self._portals.close(target.name)
        await self._client.say(CLOSED)

    async def _flush(self, _: bytes) -> None:
        await self._client.flush()

    async def _sync(self, _: bytes) -> None:
        self._skips = False
        await self._ready()

    # --- statements -------------------------------------------------------------------------

    async def _interruptible(self, work: Coroutine[Any, Any, None]) -> None:
        """Raises Refused where a cancel request has ended it."""
        me = asyncio.current_task()
        self._running = asyncio.create_task(work)
        try:
            await self._running
        except asyncio.CancelledError:
            if me is not None and me.cancelling():
                raise
            raise Refused(Canceled()) from None
        finally:
            self._running = None

    async def _carry_on(self, portal: Portal, rows_max: int) -> None:
        """Rows, as many as are wanted (0: all), and that it is complete or goes on."""
        statement, said = portal.statement, 0
        assert statement is not None and portal.told is not None, "it has begun"
        columns = columns_of(statement)
        async for told in portal.told:
            if isinstance(told, Notice):
                await self._client.say(Remark(told.words).as_report())
                continue
            await self._client.say(data_row(columns, portal.formats, told))
            said += 1
            if said == rows_max:
                await self._client.say(SUSPENDED)
                return
        await self._client.say(wire.message(b"C", wire.text(self._tag(statement))))

    def _begin(self, statement: Statement) -> Told:
        """Its answer, of which nothing has happened yet. Raises Refused."""
        self._admit(statement)
        if _changes_something(statement):
            if self._status != IDLE:
                raise Refused(InTransaction(statement.verb.words))
            self._log(statement, is_refused=False)
        return self._told(statement)

    def _admit(self, statement: Statement) -> None:
        """Raises Refused where it may not be carried out, by this role or now."""
        if self._status == ABORTED and statement not in (Transaction.COMMIT, Transaction.ROLLBACK):
            raise Refused(TransactionAborted())
        role = self._role(self._who.role)
        if role is None:
            raise Refused(NotPermitted(f'role "{self._who.role}" does not exist any more'))
        if _changes_something(statement) and role.right is not ConsoleRight.ADMIN:
            self._log(statement, is_refused=True)
            raise Refused(RightMissing(statement.verb.words, role.name, role.right))

    async def _told(self, statement: Statement) -> Told:
        match statement:
            case Command():
                async with aclosing(self._answers.of(statement, str(self._who))) as answer:
                    async for told in answer:
                        yield told
            case Setting(name):
                yield (greeting.shown(self._who.told, name),)
            case Constant(row=row):
                yield row
            case Forget(name=name):
                self._portals.forget(name)

    def _tag(self, statement: Statement) -> str:
        """What has been carried out; of a transaction that was aborted only its end."""
        if not isinstance(statement, Transaction):
            return tag_of(statement)
        was_aborted = self._status == ABORTED
        if statement is Transaction.BEGIN:
            self._status = IN_TRANSACTION
            return tag_of(statement)
        self._status = IDLE
        return tag_of(Transaction.ROLLBACK if was_aborted else statement)

    def _log(self, command: Command, *, is_refused: bool) -> None:
        fields = {
            "client": self._who.address,
            "user": self._who.role,
            "command": command.verb.words,
            "database": command.name,
        }
        if is_refused:
            log.info("console_command_refused", extra=fields)
        else:
            log.info("console_command", extra=fields)


def _changes_something(statement: Statement) -> TypeGuard[Command]:
    return isinstance(statement, Command) and statement.verb.right is ConsoleRight.ADMIN
