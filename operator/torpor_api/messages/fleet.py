"""Asked of the autoscaler by whoever looks at the whole fleet: rows, computes, transitions."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from torpor_api.messages.base import Message, Request
from torpor_api.phases import Phase
from torpor_api.transition import Transition, TransitionKind

FLEET_PAGE_MAX = 1000
"""Rows in one answer: about 400 KiB."""

FleetLimit = Annotated[int, Field(ge=1, le=FLEET_PAGE_MAX)]

TRANSITIONS_MAX = 1000
"""In one answer."""


class DatabaseRow(Message):
    """One database, as far as it goes into a line or a tile."""

    name: str
    phase: Phase
    cu: Decimal
    """That its compute has, or would have."""
    max_cu: Decimal
    epoch: int
    compute: str = ""
    pool: str = ""
    sessions: int = 0
    attached: int = 0
    parked: int = 0
    waiting: int = 0
    busy: int = 0
    pinned: int = 0
    queries_per_s: float | None = None
    """In the last seconds; None: not known."""
    cpu: float | None = None
    """CPUs that it uses; None: nobody measures it, because it sleeps or its size is fixed."""
    memory_bytes: int | None = None
    wakes_last_hour: int = 0
    """Resumes and failovers that began within the last hour, as far as they are known."""
    slowest_wake_ms: float | None = None
    """Of these."""
    last_wake_ms: float | None = None
    last_wake_at: str = ""
    last_wake_cause: str = ""
    why: str = ""
    """The first reason why it is awake, or why it can't be."""
    is_ready: bool = True
    """False where the next client would not be served."""
    claim: str = ""
    """The PersistentVolumeClaim that its data is on; empty on one machine."""
    wakes_known_since: str = ""
    """The wakes above are all since then, and there may have been more within the hour: the
    autoscaler has begun anew. Empty: they are all of the hour."""


class FleetPage(Message):
    """In the order of their names."""

    databases: tuple[DatabaseRow, ...]
    has_more: bool = False
    at: str
    """When: ``2027-01-01T00:00:00Z``."""


class AskFleet(Request[FleetPage]):
    """The databases behind the name ``after``, a page of them, or those that are named."""

    reply: ClassVar = FleetPage
    after: str = ""
    limit: FleetLimit = FLEET_PAGE_MAX
    """Rows of the page; what else the one who answers has to do waits for so many."""
    names: tuple[str, ...] = ()
    """Only these; those that there are not are left out."""


NAMES_MAX = 1000
"""In one answer: more than anybody chooses from."""


class Names(Message):
    """In their order."""

    names: tuple[str, ...]
    has_more: bool = False


class AskNames(Request[Names]):
    """The databases whose names begin with ``prefix``: for whoever is typing one."""

    reply: ClassVar = Names
    prefix: str = ""
    limit: Annotated[int, Field(ge=1, le=NAMES_MAX)] = 200


class ComputeState(StrEnum):
    WARM = "warm"
    RESERVED = "reserved"
    CLAIMED = "claimed"
    LEAVING = "leaving"


class ComputeRow(Message):
    """One agent, with the Postgres that it runs where it has one."""

    compute: str
    state: ComputeState
    pool: str = ""
    node: str = ""
    database: str = ""
    epoch: int | None = None
    cu: Decimal | None = None
    is_outdated: bool = False


class PoolRow(Message):
    """One warm pool; on one machine there is one, without a name."""

    name: str
    wanted: int
    warm: int
    claimed: int
    waiting: int
    """Databases that wait for one of its computes."""
    why: str = ""
    """Why it wants so many."""


class Computes(Message):
    pools: tuple[PoolRow, ...]
    computes: tuple[ComputeRow, ...]
    proxies: tuple[str, ...] = ()


class AskComputes(Request[Computes]):
    """Every pool, and every compute of it."""

    reply: ClassVar = Computes


class TransitionOrder(StrEnum):
    LATEST = "latest"
    SLOWEST = "slowest"


class TransitionList(Message):
    transitions: tuple[Transition, ...]
    since: str
    """Of what was before that only the latest wake and switchover of each database are known."""


class AskTransitions(Request[TransitionList]):
    """Of one database, or of the fleet where no name is given. NotFound."""

    reply: ClassVar = TransitionList
    database: str = ""
    kinds: tuple[TransitionKind, ...] = ()
    """None named: all."""
    order: TransitionOrder = TransitionOrder.LATEST
    limit: Annotated[int, Field(ge=1, le=TRANSITIONS_MAX)] = 20
    within_s: Annotated[float, Field(gt=0)] | None = None
    """Only those that began so lately."""


class DashboardLink(Message):
    """Where the dashboard is served, and what lets a browser in."""

    host: str
    """Where it listens: an address of the machine or of the autoscaler's pod."""
    port: int
    hosts: tuple[str, ...] = ()
    """Names under which it is reached through TLS that somebody else ends."""
    link: Annotated[str, Field(repr=False)]
    """Lets one browser in, once: the fragment of the page's address."""
    valid_s: float
    """For so long."""


class AskDashboard(Request[DashboardLink]):
    """A fresh link to the dashboard. Refused where none is served."""

    reply: ClassVar = DashboardLink
