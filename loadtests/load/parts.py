"""What each client does with psycopg, one class a part. Under gevent or on threads alike."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any, Protocol

import psycopg

from load import heard, questions
from load.probes import PROBES
from load.samples import Sample
from load.scenario import Part, Seat

CONNECT_SECONDS_MAX = 60
"""As long as a proxy lets a client wait for its database."""


class StateLost(Exception):
    """A session is not what it was."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a question brought, beside its rows."""

    started: float = 0.0
    age_s: float = 0.0
    note: str = ""


class Client(Protocol):
    """One of them."""

    seat: Seat

    def begin(self) -> None:
        """Before the load begins: whatever is held from then on."""
        ...

    def use(self) -> Answer:
        """One question. Raises what the driver raises, and StateLost."""
        ...

    def end(self) -> None:
        """Let go of everything."""
        ...


class Visitor:
    """Holds nothing from one question to the next."""

    def __init__(self, seat: Seat, uri: str, random: Random) -> None:
        self.seat = seat
        self.uri = uri
        self.random = random

    def begin(self) -> None: ...

    def end(self) -> None: ...


class Fresh(Visitor):
    """A session for each question, as functions and scripts have."""

    def use(self) -> Answer:
        with connected(self.uri) as connection:
            thing = {"thing": self.random.randint(1, questions.THINGS)}
            row = connection.execute(questions.ASK, thing).fetchone()
        assert row is not None
        return Answer(row[1], row[2])


class Held:
    """One session, whose state is looked at with each answer. After an error it has a new one, so
    that the load stays what it is."""

    def __init__(self, seat: Seat, uri: str, random: Random) -> None:
        self.seat = seat
        self.uri = uri
        self.random = random
        self.connection: psycopg.Connection[Any] | None = None

    @property
    def state(self) -> str:
        return f"client {self.seat.number}"

    def begin(self) -> None:
        self.connection = connected(self.uri)
        self.connection.execute(questions.REMEMBER, (self.state,))

    def use(self) -> Answer:
        if self.connection is None or self.connection.closed:
            self.begin()
        assert self.connection is not None
        return self.ask(self.connection)

    def ask(self, connection: psycopg.Connection[Any]) -> Answer:
        thing = {"thing": self.random.randint(1, questions.THINGS)}
        row = connection.execute(questions.ASK, thing).fetchone()
        if row is None or row[0] != self.state:
            raise StateLost(f"the session of {self.state!r} answers {row!r}")
        return Answer(row[1], row[2])

    def end(self) -> None:
        if self.connection is not None:
            with contextlib.suppress(psycopg.Error):
                self.connection.close()


class TpcB(Held):
    """pgbench's transaction."""

    def ask(self, connection: psycopg.Connection[Any]) -> Answer:
        given = {
            "delta": self.random.randint(-5000, 5000),
            "account": self.random.randint(1, questions.ACCOUNTS),
            "teller": self.random.randint(1, questions.TELLERS),
        }
        with connection.transaction():
            found = [connection.execute(sql, given) for sql in questions.TPCB]
        row = found[1].fetchone()
        assert row is not None
        return Answer(row[1], row[2])


class Notifier(Held):
    """Numbers, one after the other."""

    said = 0

    def ask(self, connection: psycopg.Connection[Any]) -> Answer:
        self.said += 1
        text = heard.payload(self.seat.number, self.said)
        row = connection.execute(questions.NOTIFY, (text,)).fetchone()
        assert row is not None
        return Answer(row[1], row[2], heard.said_note(self.said))


class Listener(Held):
    """Hears all of them, and says nothing itself."""

    def begin(self) -> None:
        super().begin()
        assert self.connection is not None
        self.connection.execute(questions.LISTEN)

    def hears(self, seconds: float, tell: Callable[[Answer], None]) -> None:
        """For so long; in one go, because what comes between two calls may go unheard."""
        assert self.connection is not None
        tell(Answer())
        for each in self.connection.notifies(timeout=seconds):
            tell(Answer(note=heard.heard_note(each.payload)))


class Scanner(Visitor):
    """Knocks in one way after the other."""

    def use(self) -> Answer:
        probe = self.random.choice(PROBES)
        return Answer(note=probe(self.uri))


PARTS: dict[Part, Callable[[Seat, str, Random], Client]] = {
    Part.HELD: Held,
    Part.FRESH: Fresh,
    Part.SCANNER: Scanner,
    Part.TPCB: TpcB,
    Part.LISTENER: Listener,
    Part.NOTIFIER: Notifier,
}


def connected(uri: str) -> psycopg.Connection[Any]:
    return psycopg.connect(uri, autocommit=True, connect_timeout=CONNECT_SECONDS_MAX)


def used(
    client: Client, database: str, due: float, busy_until: float, now: Callable[[], float]
) -> Sample:
    """One question of a client. ``now``: seconds since the load began.

    It counts from its due time where the client was kept by its last answer, else from the moment
    in which it is sent: how late its own process is says nothing of a database.
    """
    asked_at = now()
    since = due if busy_until > due else asked_at
    answer, error = Answer(), ""
    try:
        answer = client.use()
    except (psycopg.Error, StateLost, OSError) as failed:
        error = f"{type(failed).__name__}: {failed}".splitlines()[0]
    return Sample(
        at=since,
        database=database,
        part=client.seat.part,
        waited_s=now() - since,
        client=client.seat.number,
        started=answer.started,
        age_s=answer.age_s,
        error=error,
        note=answer.note,
    )
