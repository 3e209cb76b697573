"""Asked of the autoscaler by people and by the operator: sleep, reasons, sessions, moves."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, ClassVar

from pydantic import Field

from torpor_api.chain import Step
from torpor_api.messages.base import Done, Message, Request
from torpor_api.messages.proxy import SessionList
from torpor_api.phases import Phase


class Suspend(Request[Done]):
    """Put the database to sleep now, whatever its idle time; Busy where a session forbids it."""

    reply: ClassVar = Done
    name: str


class AwaitKnown(Request[Done]):
    """Answered once every proxy serves the database as its resource says at this generation.

    So who has just applied it can connect. Unavailable where one does not say so in time.
    """

    reply: ClassVar = Done
    name: str
    generation: int


class Sessions(Request[SessionList]):
    """Every session of the database, over all proxies (each asked by ``ListSessions``)."""

    reply: ClassVar = SessionList
    name: str
    """Empty: of every database."""
    number: int = 0
    """Only those of that number, of which each proxy may have one; 0: all."""
    limit: Annotated[int, Field(ge=1, le=100_000)] = 1000


class SwitchedOver(Message):
    """The database has another compute."""

    epoch: int
    compute: str = ""
    pause_ms: float
    """From the moment when the gate began to close to the one when it was open again: the longest
    that a client's query waited."""
    steps: tuple[Step, ...] = ()


class Switchover(Request[SwitchedOver]):
    """Move an awake database to a fresh compute, with its spec as it is now.

    Sessions are parked at their safe points and attached again. Busy, with nothing changed, where
    one of them is pinned or does not reach a safe point within ``patience_s``.
    """

    reply: ClassVar = SwitchedOver
    name: str
    patience_s: Annotated[float, Field(gt=0, le=45)] = 10.0
    """With the stop and the start behind it, less than the minute for which a client waits."""


class Resized(Message):
    """The compute, and Postgres in it, have the size that was asked for."""

    cu: Decimal
    pause_ms: float | None = None
    """Set where it took a switchover: the longest that a client's query waited."""
    needs_restart: tuple[str, ...] = ()
    """Settings that still are those of the former size, for a person."""


class Resize(Request[Resized]):
    """Give an awake database this size, between its ``minCU`` and ``maxCU``.

    It keeps it until it next sleeps, or until somebody chooses another one. What needs a restart
    of Postgres comes by a switchover, and may come later where a session can't be moved now.
    Refused for a size out of bounds and for a database that sleeps; Unavailable where the machine
    does not give it in time (it goes on trying).
    """

    reply: ClassVar = Resized
    name: str
    cu: Decimal


class Decided(Message):
    """What one policy has decided, and by which figure: a metric, taken over a window, was on one
    side of a threshold, and something follows."""

    since: str
    """When it was first decided; the same has followed since."""
    loop: str
    """Which policy: ``awake``, ``size``, ``idle timeout``, ``schedule``, ``warm pool``."""
    follows: str
    metric: str
    value: float
    threshold: float
    unit: str
    """Of both; empty for a number of things."""
    window_s: float
    """0: the value is of that moment."""
    line: str
    """All of it, for a person."""


DECISIONS_MAX = 100
"""Of one database, that the autoscaler remembers: a day of what changes every quarter of an hour.
"""


class DecisionList(Message):
    name: str
    decisions: Annotated[tuple[Decided, ...], Field(max_length=DECISIONS_MAX)] = ()
    """The oldest first, each with the figure that it was made by."""


class AskDecisions(Request[DecisionList]):
    """The latest decisions about a database, since the autoscaler began."""

    reply: ClassVar = DecisionList
    name: str


class WhyReply(Message):
    name: str
    phase: Phase
    reasons: tuple[str, ...]
    decisions: tuple[Decided, ...] = ()
    """The current one of each policy, with today's figure."""


class Why(Request[WhyReply]):
    """Why the database is awake, or why it can't wake; one line a reason.

    Of an awake one the last lines are what its agent said of connections, queries and memory, and
    what was measured in the last second.
    """

    reply: ClassVar = WhyReply
    name: str


USES_MAX = 5000
"""Databases of one answer: some 600 KiB."""


class UseReport(Message):
    """How an awake database is used at this moment, over all proxies."""

    name: str
    ago_s: Annotated[float, Field(ge=0)]
    """Since its last use; 0: it is in use."""
    queries_total: int = 0
    """Answered so far; begins anew with a proxy."""
    sessions: int = 0
    """Clients that are connected, parked ones too."""
    cu: Decimal


class Uses(Message):
    uses: Annotated[tuple[UseReport, ...], Field(max_length=USES_MAX)] = ()
    """By name. As many as there may be: ask for those behind the last one, too."""


class AskUses(Request[Uses]):
    """Of the databases that are awake, for whoever records how they are used."""

    reply: ClassVar = Uses
    after: str = ""
    """Those behind this name."""


LET_GO_MAX = 1000
"""Computes of one question; there are as many ended ones while a node of large ones is drained."""


class LetGo(Message):
    """For good: these are not claimed any more, whatever becomes of the autoscaler."""

    computes: tuple[str, ...] = ()


class AskLetGo(Request[LetGo]):
    """Of which of these computes, whose end is confirmed, the word of that end is not needed.

    Answered with those that no database's record names, nor any claim under way, and that nobody
    will claim any more. Others may be asked about again.
    """

    reply: ClassVar = LetGo
    computes: Annotated[tuple[str, ...], Field(max_length=LET_GO_MAX)]
