"""The parts of what is known of one database, as values: its run, its size, what holds it up."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torpor_api.facts import Activity
from torpor_api.failures import Failure
from torpor_api.messages import AgentInfo, ComputeAddress
from torpor_api.sizes import Size
from torpor_autoscaler.lifecycle.chain import Trace


@dataclass(frozen=True, slots=True)
class Run:
    """The compute that serves the database, as far as we know: Postgres was ready there."""

    agent: AgentInfo
    epoch: int
    address: ComputeAddress
    max_connections: int
    down_since: float | None = None
    """Set while its agent starts a crashed Postgres again."""
    ask_again_at: float | None = None
    """Set meanwhile: when the agent is asked whether it still does."""
    is_open: bool = False
    """Whoever listens while parked has had its time to do so there: sessions may attach."""
    listening: tuple[str, ...] = ()
    """Proxies that surely did so before anybody attached, the last time it was opened."""

    @property
    def is_up(self) -> bool:
        return self.down_since is None

    def down(self, now: float, ask_again_s: float) -> Run:
        """The same, while its Postgres is being started again."""
        return replace(self, down_since=now, ask_again_at=now + ask_again_s)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a compute has to be asked whether it still serves."""

    reason: str
    is_shared: bool = False
    """A proxy could not reach its Postgres: no answer to us is not for our own network then."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why the last attempts to start failed."""

    failure: Failure
    attempts: int
    retry_at: float
    is_final: bool = False
    """The database rests: until ``retry_at`` wakes are answered with the failure at once."""


@dataclass(frozen=True, slots=True)
class Waiter:
    """Somebody who wants the database awake."""

    cause: str
    since: float


@dataclass(frozen=True, slots=True)
class Switching:
    """A switchover: asked for, and once its old compute has stopped on the way to a fresh one."""

    asker: int
    patience_s: float
    closed_at: float = 0.0
    """When the gates began to close."""
    left_at: float | None = None
    """When the old compute had stopped: from then on there is no way back."""
    trace: Trace | None = None
    """Between these two moments."""
    insists: bool = False
    """Its compute ends in a moment: whoever is not at rest by then is ended with it."""
    because: str = ""
    """Why, where it is not for somebody who asked."""
    tries: int = 0
    """For the same reason, in a row, that were called off before."""


@dataclass(frozen=True, slots=True)
class Sizing:
    """How far a compute has come to a size. What it has it says itself."""

    epoch: int
    size: Size
    asked_at: float | None = None
    """When the cluster was last asked for it."""
    asks: int = 0
    """So often it has been."""
    has_followed: bool = False
    """Postgres's settings are those of the size."""
    needs_restart: tuple[str, ...] = ()
    """But for these."""
    failure: Failure | None = None
    """Of the last try."""
    tries: int = 0
    """That failed in a row."""
    retry_at: float = float("-inf")
    moves: int = 0
    """Switchovers that were begun for its sake."""
    move_at: float = float("-inf")
    """Not before this is the next one begun."""


@dataclass(frozen=True, slots=True)
class OpenResume:
    """The latest resume, as long as the end of its critical chain may still be heard of."""

    trace: Trace
    began_wall_s: float
    until: float


@dataclass(frozen=True, slots=True)
class Inside:
    """What an agent last said of what goes on in its Postgres."""

    activity: Activity
    at: float
    since: tuple[tuple[str, float], ...]
    """Each thing that runs, and the first of the looks in a row that saw it."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """A suspend was forbidden late, or a move; the next try waits."""

    until: float = 0.0
    reason: str = ""
    times: int = 0
    """In a row."""


@dataclass(frozen=True, slots=True)
class Storing:
    """How the last tries went to keep login facts in the cluster."""

    failure: Failure | None = None
    tries: int = 0
    """That failed in a row."""
    retry_at: float = float("-inf")
