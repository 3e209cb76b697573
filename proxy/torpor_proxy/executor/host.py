"""Who a session is, where it is, and what it needs of its endpoint."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Protocol, TypeVar

from torpor_api.failures import Failure
from torpor_api.identity import SessionId
from torpor_proxy.core.parameters import Pairs
from torpor_proxy.core.refusals import Refusal
from torpor_proxy.core.routing import Route
from torpor_proxy.core.stopwatch import Tally
from torpor_proxy.core.tallies import Tallies
from torpor_proxy.executor.arrival import Arrival
from torpor_proxy.executor.conversation import Backend
from torpor_proxy.executor.listeners import Listeners
from torpor_proxy.executor.visit import Catalogs
from torpor_proxy.settings import Settings

SessionT = TypeVar("SessionT", contravariant=True)


class State(Enum):
    """Where the session is."""

    PARKED = "parked"
    WAITING = "waiting"
    ATTACHED = "attached"
    CAPTURING = "being captured"
    ENDED = "ended"


@dataclass(slots=True)
class Identity:
    """Who a session is."""

    number: SessionId
    route: Route
    client: str
    """Address and port."""
    has_long_key: bool
    key: tuple[int, bytes] | None = None
    """Process id and secret, as its client was told them."""
    epoch: int | None = None
    """Of the compute that it was attached to last."""

    @property
    def cause(self) -> str:
        """For a person who asks what woke the database."""
        return f"session {self.number} of {self.route.user} from {self.client}"

    @property
    def log_keys(self) -> dict[str, object]:
        """What each line about it in the log has."""
        keys: dict[str, object] = {"database": self.route.endpoint, "session": self.number}
        return keys if self.epoch is None else keys | {"epoch": self.epoch}


class Host(Protocol[SessionT]):
    """What a session needs of its endpoint."""

    settings: Settings

    @property
    def told_as(self) -> Mapping[int, int]:
        """The process ids that clients know, by those of their sessions' backends."""

    listeners: Listeners

    tallies: Tallies
    """Of all databases of this proxy."""

    @property
    def tally(self) -> Tally:
        """Of how long queries take."""

    def is_limited(self, role: str) -> bool:
        """Whether it has a CONNECTION LIMIT."""

    def used_at(self, dbname: str) -> float:
        """When a session of that database may last have notified."""

    @property
    def answers_keepalives(self) -> bool:
        """Whether a parked session answers ``SELECT 1`` by itself."""

    async def arrive(self, identity: Identity, defaults: Pairs) -> Arrival:
        """A backend, once the database is awake. Raises Refused, or a Failure with the reason.

        ``defaults`` are settings that it starts with beside those of its route.
        """

    def catalogs(self, dbname: str) -> Catalogs:
        """What is known of the catalog of one database within it; shared by its sessions."""

    def why_not(self) -> Failure:
        """Why the database is not awake yet, as far as is known."""

    def too_late(self) -> Refusal:
        """What a session is told that has waited for too long."""

    def new_key(self, session: SessionT, process_id: int) -> tuple[int, bytes]:
        """A cancel key by which the session is found from now on."""

    def logged_in(self, route: Route, told: Pairs) -> None:
        """A compute has accepted a new session, whose client was told these parameters."""

    def cancel(self, backend: Backend) -> asyncio.Future[None]:
        """Ask the compute to cancel what the backend runs; done once the signal is sent."""

    @property
    def waits_for_safe_points(self) -> bool:
        """Whether ``at_safe_point`` is to be called."""

    def at_safe_point(self, session: SessionT) -> None:
        """The session has just reached one."""

    def moved(self, session: SessionT, before: State, after: State) -> None:
        """The session has changed its state."""


@dataclass(frozen=True, slots=True)
class Chaos:
    """For whoever doubts: sessions are parked far more often than anybody would."""

    parks_every_safe_point: bool = False
    restart_every: int = 0
    """Parks after which the database is moved to a fresh compute; 0: never."""
