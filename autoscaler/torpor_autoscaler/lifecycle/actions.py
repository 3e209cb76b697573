"""What the core wants done, as values.

An *action* takes time and has an outcome: a plan (a generator, see :mod:`life`) yields it and
is sent the result, or has the :class:`Failure` thrown into it. One database has one action under
way at most. An *effect* takes no time and can't fail: something told or answered.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from torpor_api.failures import Failure, Unavailable
from torpor_api.logs import Level
from torpor_api.messages import (
    AgentInfo,
    Awake,
    CloseGate,
    Message,
    OpenGate,
    Request,
    Resized,
    StartListening,
    StopListening,
    SwitchedOver,
)
from torpor_api.transition import Transition
from torpor_autoscaler.lifecycle.recorded import Recorded

ResultT = TypeVar("ResultT")
ReplyT = TypeVar("ReplyT", bound=Message)


class NotAsked(Unavailable):
    """The question has not left this process, for want of open files or memory.

    It had no effect, and says nothing of whoever was to be asked.
    """


class NotReached(Unavailable):
    """There is no connection to whoever was to be asked: dead, or the network between is away.

    The question has not left this process, and had no effect.
    """


class GaveWay(Unavailable):
    """Given up for something more urgent. Whether it had been asked is not known."""


class Replaced(Unavailable):
    """At its address is another compute: nothing of the one that was to be asked is there."""


class Action(Generic[ResultT]):
    """Something to carry out; ``ResultT`` is what comes of it when it succeeds."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AskCluster(Action[ReplyT]):
    request: Request[ReplyT]
    can_wait: bool = False
    """It stands in line behind what others ask, and is given up when somebody waits for what comes
    next: then GaveWay is thrown in."""


@dataclass(frozen=True, slots=True)
class AskAgent(Action[ReplyT]):
    agent: AgentInfo
    request: Request[ReplyT]


@dataclass(frozen=True, slots=True)
class AskProxies(Action[Mapping[str, Message]]):
    """Ask every registered proxy at once; fails with the first failure once all have answered."""

    request: CloseGate | OpenGate | StopListening


@dataclass(frozen=True, slots=True)
class CallProxies(Action[Mapping[str, Message | Failure]]):
    """The same of those that can; what each answers, or why it does not. Never fails."""

    request: StartListening


@dataclass(frozen=True, slots=True)
class Together(Action[tuple[Any, ...]]):
    """Several questions at once; their results in order, or the first failure."""

    parts: tuple[Action[Any], ...]


@dataclass(frozen=True, slots=True)
class Wait(Action[None]):
    """Until a new fact is known about the database, or until the moment ``until``."""

    until: float | None = None


Plan: TypeAlias = Generator[Action[Any], Any, ResultT]


def ask(action: Action[ResultT]) -> Plan[ResultT]:
    """The result of the action, typed. Raises the Failure that came of it."""
    result: ResultT = yield action
    return result


@dataclass(frozen=True, slots=True)
class AnswerWakes:
    """All who wait for the database get this answer."""

    answer: Awake | Failure
    waiters: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnswerSuspends:
    """All who asked for its sleep get this answer; None: it sleeps."""

    refusal: Failure | None
    wishes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class AnswerSwitchover:
    """Whoever asked for a switchover gets this answer."""

    answer: SwitchedOver | Failure
    asker: int


@dataclass(frozen=True, slots=True)
class AnswerResizes:
    """All who asked for a size get this answer."""

    answer: Resized | Failure
    askers: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Note:
    """For the log: what was decided or has happened, and why."""

    event: str
    fields: Mapping[str, object]
    """Database, epoch and compute among them, as they were in that moment."""
    level: Level = Level.INFO


@dataclass(frozen=True, slots=True)
class Tell:
    """For people, where they look at the database: seldom, and nothing that mends itself at once.

    On a cluster that is an event of the resource. On one machine it is nowhere: of all of these
    there is a :class:`Note`.
    """

    reason: str
    """In a word, as Kubernetes has it: ``NotFenced``."""
    note: str
    is_warning: bool


@dataclass(frozen=True, slots=True)
class Went:
    """For people who ask how it went: a transition has come to its end."""

    transition: Transition


@dataclass(frozen=True, slots=True)
class Overwritten:
    """For whoever keeps how it went, and may not have this: the record tells of a later one now."""

    recorded: Recorded


Effect: TypeAlias = (
    AnswerWakes
    | AnswerSuspends
    | AnswerSwitchover
    | AnswerResizes
    | Note
    | Tell
    | Went
    | Overwritten
)
