"""A wait counts from when a client was due, and a session that lost its state is an error."""

from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any, cast

import psycopg
import pytest

from load.course import Phase
from load.parts import PARTS, Answer, Held, Visitor, used
from load.samples import Sample
from load.scenario import Part, Seat

SEAT = Seat(4, Part.HELD, 0, (Phase("any", 1.0),))
TAKES_S = 0.5


class Clock:
    """Seconds since the load began."""

    def __init__(self, now: float) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Slow(Visitor):
    """Each question takes half a second."""

    clock: Clock
    error: Exception | None = None

    def use(self) -> Answer:
        self.clock.now += TAKES_S
        if self.error is not None:
            raise self.error
        return Answer(7.0, 1.0, "note")


def asked(at: float, due: float, busy_until: float, error: Exception | None = None) -> Sample:
    client = Slow(SEAT, "", Random(1))
    client.clock, client.error = Clock(at), error
    return used(client, "shop", due, busy_until, client.clock)


def test_who_was_kept_by_its_last_answer_has_waited_since_it_was_due() -> None:
    found = asked(at=5.0, due=2.0, busy_until=5.0)
    assert (found.at, found.waited_s) == (2.0, 3.5)


def test_who_is_late_by_itself_has_not() -> None:
    found = asked(at=2.1, due=2.0, busy_until=1.0)
    assert (found.at, found.waited_s) == (2.1, TAKES_S)
    assert (found.database, found.client, found.started, found.note) == ("shop", 4, 7.0, "note")


def test_an_error_is_kept_with_its_first_line() -> None:
    found = asked(2.0, 2.0, 0.0, psycopg.OperationalError("gone\nmore"))
    assert found.error == "OperationalError: gone" and found.waited_s == TAKES_S


@pytest.mark.parametrize("state", ["client 5", "", None])
def test_a_session_that_is_not_what_it_was_is_an_error(state: str | None) -> None:
    held = Held(SEAT, "", Random(1))
    held.connection = _answering((state, 1.0, 2.0))
    assert used(held, "shop", 0.0, 0.0, Clock(0.0)).error.startswith("StateLost")
    held.connection = _answering(("client 4", 1.0, 2.0))
    assert used(held, "shop", 0.0, 0.0, Clock(0.0)).error == ""


def test_every_part_has_its_client() -> None:
    assert PARTS.keys() == set(Part)


def _answering(row: tuple[object, ...]) -> psycopg.Connection[Any]:
    """A connection that answers everything so."""
    cursor = SimpleNamespace(fetchone=lambda: row)
    connection = SimpleNamespace(closed=False, execute=lambda *_: cursor)
    return cast(psycopg.Connection[Any], connection)
