"""Puts lines of a log together: which statements each session sent, when, and how they went. Pure.

Postgres tells of a statement in one line or in several: with ``log_min_duration_statement`` at its
end (parse, bind and execute of the extended protocol apart), with ``log_statement`` at its
beginning and its duration in another line; of one that failed there is the error, which has its
text.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Final

from torpor_api.failures import InvalidRequest
from torpor_cli.replay import parameters as logged
from torpor_cli.replay.log_line import LogLine
from torpor_cli.replay.messages import Message, Says, read
from torpor_cli.replay.parameters import Parameters
from torpor_cli.replay.sql_look import Look, look
from torpor_cli.replay.statement import Contents, LeftOut, Session, Statement

SESSIONS_MAX: Final = 500_000
"""Of one replay: some 300 bytes each are kept while the log is read."""

CLIENT: Final = ("", "client backend")
WALSENDER: Final = "walsender"


@dataclass(slots=True)
class _Draft:
    """A statement of which a later line may say how it went."""

    where: str
    begin_s: float
    text: str
    is_simple: bool
    name: str = ""
    parameters: Parameters | None = None
    preparing_ms: float = 0.0
    """That parsing and binding took, which the client's one round trip has in it."""
    took_ms: float | None = None
    sqlstate: str = ""


@dataclass(slots=True)
class _Told:
    """What is known of one session so far."""

    session: Session
    last_s: float
    begun: _Draft | None = None
    """Told at its beginning: its duration or its error may come."""
    prepared: _Draft | None = None
    """Parsed or bound, and not executed yet."""


class Gathering:
    """Lines in the order of the log. What it gives is in each session's own order."""

    def __init__(self, databases: Collection[str] = (), *, only_reads: bool = False) -> None:
        """``databases``: of the log, whose sessions are wanted; none: all."""
        self._databases = databases
        self._only_reads = only_reads
        self._told: dict[str, _Told] = {}
        self._has_begun = False
        self.contents = Contents()

    def take(self, line: LogLine) -> Iterator[Statement]:
        """The statements that are complete by this line. Raises InvalidRequest."""
        if not self._has_begun:
            self._has_begun, self.contents.begin_s = True, line.at_s
        self.contents.end_s = max(self.contents.end_s, line.at_s)
        if line.backend_type not in CLIENT:
            if line.backend_type == WALSENDER and read(line).says is Says.STATEMENT:
                self.contents.left_out[LeftOut.REPLICATION] += 1
            return
        if not line.session or not line.user:
            return
        message = read(line)
        if message.says is Says.OTHER:
            return
        wanted = not self._databases or line.database in self._databases
        if not wanted:
            is_statement = message.says in (Says.STATEMENT, Says.EXECUTE)
            self.contents.by_database[line.database] += is_statement
            return
        try:
            yield from self._taken(line, message)
        except ValueError as error:
            raise InvalidRequest(f"{line.where}: {error}") from None

    def end(self) -> Iterator[Statement]:
        """Behind the last line: what nothing more was said of."""
        for told in self._told.values():
            yield from self._complete(told)
            if told.session.end_s is None and self.contents.has_ends:
                told.session.end_s = self.contents.end_s  # It was connected when the log ended.

    def sessions(self) -> Iterator[Session]:
        """Those that have sent something, or were seen to connect."""
        for told in self._told.values():
            yield told.session

    # --- a line of a session that is wanted ---------------------------------------------

    def _taken(self, line: LogLine, message: Message) -> Iterator[Statement]:
        told = self._told.get(line.session)
        match message.says:
            case Says.CONNECTED if told is None:
                self._begin(line, line.at_s)
            case Says.DISCONNECTED | Says.ENDED if told is not None:
                yield from self._complete(told)
                told.session.end_s = line.at_s
                self.contents.has_ends |= message.says is Says.DISCONNECTED
            case Says.STATEMENT | Says.EXECUTE:
                yield from self._statement(line, message)
            case Says.PARSE | Says.BIND:
                yield from self._prepared(line, message)
            case Says.DURATION if told is not None:
                if told.begun is not None:
                    told.begun.took_ms = message.took_ms
                yield from self._complete(told)
            case Says.FAILED if message.text:
                yield from self._failed(line, message)
            case Says.FETCH:
                self.contents.left_out[LeftOut.FETCH] += 1
            case Says.FASTPATH:
                self.contents.left_out[LeftOut.FASTPATH] += 1

    def _statement(self, line: LogLine, message: Message) -> Iterator[Statement]:
        begin_s = line.at_s - (message.took_ms or 0.0) / 1000
        told = self._of(line, begin_s)
        yield from self._complete(told)
        is_simple = message.says is Says.STATEMENT
        draft = _Draft(line.where, begin_s, message.text, is_simple, message.name)
        draft.took_ms = message.took_ms
        if not is_simple:
            draft.parameters = logged.in_detail(line.detail)
            _add_preparing(draft, told.prepared)
            told.prepared = None
        told.begun = draft
        if message.took_ms is not None:
            yield from self._complete(told)

    def _prepared(self, line: LogLine, message: Message) -> Iterator[Statement]:
        took_ms = message.took_ms or 0.0
        begin_s = line.at_s - took_ms / 1000
        told = self._of(line, begin_s)
        yield from self._complete(told)
        draft = _Draft(line.where, begin_s, message.text, False, message.name)
        draft.parameters, draft.preparing_ms = logged.in_detail(line.detail), took_ms
        _add_preparing(draft, told.prepared)
        told.prepared = draft

    def _failed(self, line: LogLine, message: Message) -> Iterator[Statement]:
        told = self._of(line, line.at_s)
        draft = told.begun
        if draft is None or draft.text != message.text:
            yield from self._complete(told)
            draft = _Draft(line.where, line.at_s, message.text, is_simple=True)
            before = told.prepared
            if before is not None and before.text == message.text:
                draft = before
            elif look(message.text).has_parameters:
                draft.is_simple = False
            draft.parameters = draft.parameters or logged.in_context(line.context)
        draft.sqlstate = line.sqlstate
        told.begun, told.prepared = draft, None
        yield from self._complete(told)

    def _of(self, line: LogLine, begin_s: float) -> _Told:
        return self._told.get(line.session) or self._begin(line, begin_s)

    def _begin(self, line: LogLine, begin_s: float) -> _Told:
        if len(self._told) >= SESSIONS_MAX:
            raise ValueError(f"there are more than {SESSIONS_MAX:,} sessions: replay fewer files")
        number = len(self._told)
        session = Session(number, line.user, line.database, line.application, begin_s)
        told = self._told[line.session] = _Told(session, begin_s)
        self.contents.sessions += 1
        self.contents.begin_s = min(self.contents.begin_s, begin_s)
        return told

    # --- a statement of which all is known ----------------------------------------------

    def _complete(self, told: _Told) -> Iterator[Statement]:
        draft, told.begun = told.begun, None
        if draft is None:
            return
        seen = look(draft.text)
        session = told.session
        self.contents.by_database[session.database] += 1
        left_out = self._left_out(draft, seen)
        if left_out is not None:
            self.contents.left_out[left_out] += 1
            return
        # Times of a log are whole milliseconds: an end may be told before the beginning.
        told.last_s = max(told.last_s, draft.begin_s)
        self.contents.statements += 1
        self.contents.by_user[session.user] += 1
        self.contents.writes.update(seen.writes)
        yield Statement(
            session.number,
            told.last_s,
            draft.where,
            draft.text,
            draft.is_simple,
            draft.name,
            draft.parameters or (),
            None if draft.took_ms is None else draft.took_ms + draft.preparing_ms,
            draft.sqlstate,
        )

    def _left_out(self, draft: _Draft, seen: Look) -> LeftOut | None:
        if seen.is_copy_in:
            return LeftOut.COPY_IN
        if not draft.is_simple and draft.parameters is None and seen.has_parameters:
            return LeftOut.NO_PARAMETERS
        if self._only_reads and (seen.writes or seen.is_unguarding):
            return LeftOut.WRITES
        return None


def _add_preparing(draft: _Draft, before: _Draft | None) -> None:
    """What was parsed or bound before is a part of the same statement."""
    if before is None or (before.text, before.name) != (draft.text, draft.name):
        return
    draft.begin_s = min(draft.begin_s, before.begin_s)
    draft.preparing_ms += before.preparing_ms
    if draft.parameters is None:
        draft.parameters = before.parameters
