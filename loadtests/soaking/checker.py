"""What clients saw, and whether all of it is explained. Pure.

A kill explains an error where the client's last good word came before the last process of the
killed Postgres was gone, the error came after the kill, and the error is of a class that a lost
compute may bring. Nothing else explains anything.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

ALLOWED = frozenset({"57P01", "08006", "08003"})
"""The compute was lost; 08003 is a driver's word for a connection that it knows to be closed."""

ERRORS_MAX = 2
"""Of one session for one kill: a driver may see only at its next word that it was the end."""

FLIGHT_SECONDS = 2.0
"""How long after its commit a notification may be on its way, on a machine that is busy."""


@dataclass(frozen=True, slots=True)
class Kill:
    """Of the agent or of Postgres: a backend that dies may serve a little longer."""

    kind: str
    at: float
    over_at: float
    """Nothing of that Postgres was left any more."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a client saw and that is no answer."""

    client: str
    since: float
    """Its last good word before."""
    at: float
    sqlstate: str
    words: str
    goes_on: bool = False
    """Its session did."""
    nth: int = 1
    """Error since that word."""


@dataclass(frozen=True, slots=True)
class Sent:
    """A notification. ``acknowledged_at`` is None where its sender got an error instead."""

    began_at: float
    acknowledged_at: float | None


@dataclass(slots=True)
class Life:
    """Of one listening session, from its LISTEN's answer on."""

    listener: str
    began_at: float
    heard: list[tuple[str, int]] = field(default_factory=list)
    """Sender and number, in the order in which they came."""
    ended_at: float | None = None

    def of(self, sender: str) -> list[int]:
        return [number for name, number in self.heard if name == sender]


@dataclass(frozen=True, slots=True)
class Verdict:
    """``in_flight``: notifications that a kill has swallowed, which is explained."""

    problems: tuple[str, ...]
    in_flight: int = 0


def unexplained(events: Iterable[Event], kills: Sequence[Kill]) -> list[str]:
    return [
        f"{event.client}: {event.sqlstate} {event.words}, {_nearest(event, kills)}"
        for event in events
        if not _is_explained(event, kills)
    ]


def _is_explained(event: Event, kills: Sequence[Kill]) -> bool:
    if event.sqlstate not in ALLOWED or event.nth > ERRORS_MAX:
        return False
    return any(event.since <= kill.over_at and kill.at <= event.at for kill in kills)


def _nearest(event: Event, kills: Sequence[Kill]) -> str:
    before = [kill for kill in kills if kill.at <= event.at]
    if not before:
        return "before any kill"
    kill = before[-1]
    return (
        f"{event.at - kill.at:.2f} s after a kill that took {kill.over_at - kill.at:.2f} s,"
        f" last good word at {event.since - kill.at:+.2f} s"
    )


def commits(
    acknowledged: Mapping[str, Iterable[int]], found: Mapping[tuple[str, int], int], rows: int
) -> list[str]:
    """Each transaction wrote so many ``rows``; what is missing, or there in part."""
    lost = [
        f"{client}: transaction {number} was acknowledged and is not there"
        for client, numbers in acknowledged.items()
        for number in numbers
        if (client, number) not in found
    ]
    torn = [
        f"{client}: {count} of {rows} rows of transaction {number} are there"
        for (client, number), count in found.items()
        if count != rows
    ]
    return lost + torn


def notifications(
    lives: Iterable[Life], sent: Mapping[str, Mapping[int, Sent]], kills: Sequence[Kill]
) -> Verdict:
    """No session has heard one twice, out of order, or not at all."""
    problems: list[str] = []
    in_flight = 0
    for life in lives:
        for sender, numbers in sent.items():
            heard = life.of(sender)
            problems += _disorder(life.listener, sender, heard)
            for number in missing(life, numbers, heard):
                if _was_in_flight(numbers[number], kills):
                    in_flight += 1
                else:
                    problems.append(f"{life.listener} has not heard {number} of {sender}")
    return Verdict(tuple(problems), in_flight)


def _disorder(listener: str, sender: str, heard: Sequence[int]) -> Iterator[str]:
    for before, after in pairwise(heard):
        if after <= before:
            kind = "twice" if after == before else "out of order"
            yield f"{listener} has heard {after} of {sender} {kind}, after {before}"


def missing(life: Life, numbers: Mapping[int, Sent], heard: Sequence[int]) -> list[int]:
    """Of what was acknowledged to its sender and sent while this session listened.

    One that has ended may have missed what came after the last that it heard.
    """
    known = set(heard)
    last = max(heard, default=0) if life.ended_at is not None else None
    return [
        number
        for number, each in numbers.items()
        if each.acknowledged_at is not None
        and each.began_at > life.began_at
        and number not in known
        and (last is None or number < last)
    ]


def _was_in_flight(each: Sent, kills: Sequence[Kill]) -> bool:
    assert each.acknowledged_at is not None
    arrived_at = each.acknowledged_at + FLIGHT_SECONDS
    return any(each.began_at <= kill.over_at and kill.at <= arrived_at for kill in kills)
