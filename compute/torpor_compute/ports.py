"""What the agent needs of the world: a volume, a process, SQL. Each with its contract.

Every Failure named here is one of ``torpor_api.failures``; adapters let no other exception of
operation through.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from torpor_api.facts import Activity, LoginFacts, RoleFacts
from torpor_api.identity import Epoch
from torpor_api.messages import ComputeUse, PostgresUse, StoragePlace
from torpor_api.resource import DatabaseSpec
from torpor_api.sizes import Size
from torpor_compute.core.kept_pages import Batch, Found
from torpor_compute.core.postgres_options import MAX_CONNECTIONS
from torpor_compute.core.working_set import SeenPage, SharedBuffers


@dataclass(frozen=True, slots=True)
class Taken:
    """What was found on the volume when it became ours."""

    facts_are_stored: bool
    """The last compute answered its login facts when it was stopped."""
    generation: int
    """The generation of the spec that was last applied; 0: none."""
    was_stopped_cleanly: bool
    """What Postgres's control file says."""


class KeptPages(Protocol):
    """The list of pages on the volume, as bytes. It may be lost, and be anything."""

    async def read(self) -> bytes:
        """Empty where there is none, or none that can be read."""
        ...

    async def write(self, content: bytes) -> None:
        """All of it or nothing; on disk with the next flush. Raises StaleEpoch where the volume is
        not ours any more, StorageFull."""
        ...


class Volume(Protocol):
    """One database's volume, as one agent sees it."""

    @property
    def pages(self) -> KeptPages: ...

    async def make(self) -> bool:
        """Make it where it is missing and may be made; whether it was. Raises StorageFull."""
        ...

    async def take(self, epoch: Epoch, fenced: Collection[str]) -> Taken:
        """Make the volume ours under ``epoch``, or change nothing.

        ``fenced``: computes that are confirmed dead. Raises NotFenced and StaleEpoch, which name
        the volume's holder, Conflict, DataDamaged, StorageFull.
        """
        ...

    async def check_ours(self) -> None:
        """Raises StaleEpoch where a later epoch has the volume: then nothing may be started."""
        ...

    async def release(self, *, facts_exported: bool) -> None:
        """Say that nobody writes any more, once all is gone and flushed. Idempotent.

        Raises DataDamaged where a flush has failed: the volume stays held.
        """
        ...

    async def flush(self) -> None:
        """Returns when whatever was written since the take is on disk.

        Raises DataDamaged where it can't be, and then always: what failed once is not made good.
        """
        ...

    async def erase(self, epoch: Epoch, fenced: Collection[str]) -> None:
        """Take it as for a start, then remove it; nothing happens where it is not there.

        Raises as ``take`` does, but data that can't be used is no reason to keep it.
        """
        ...

    async def make_room(self, memory_bytes: int) -> None:
        """Before its container has only so much: have the kernel keep less of the data's files in
        memory, where they would be in the way. As far as it goes: nothing fails."""
        ...

    async def note_applied(self, generation: int) -> None:
        """Remember the generation; after its SQL has committed, never before."""
        ...


class Stop(Enum):
    """The three ways in which a Postgres can be asked to stop."""

    SMART = "smart"
    """No newcomers; waits for every client."""
    FAST = "fast"
    """Ends every session, then stops cleanly."""
    IMMEDIATE = "immediate"
    """At once; the next start recovers."""


@dataclass(frozen=True, slots=True)
class Launch:
    """One start of Postgres."""

    storage: StoragePlace
    size: Size
    max_connections: int = MAX_CONNECTIONS
    """For ordinary roles."""


@dataclass(frozen=True, slots=True)
class StartTimes:
    """Where the time of a start went."""

    begin_ms: float
    """From the order until the postmaster had the data directory."""
    ready_ms: float
    """From there until it took connections; recovery lies here."""


class Postgres(Protocol):
    """The Postgres of this agent: at most one at a time."""

    async def start(self, launch: Launch) -> StartTimes:
        """Run it and wait until it takes connections.

        Raises StartFailed with its last log lines, or StorageFull; then it may still run: stop it.
        """
        ...

    async def ended(self) -> str:
        """Waits for the end of the postmaster; how it ended, for a person."""
        ...

    async def gone(self, *, starts_again: bool = False) -> None:
        """Waits for the end of the postmaster, kills what it left, waits until nothing is left.

        ``starts_again``: another start follows, and may be prepared from that moment on.
        """
        ...

    def follow(self, size: Size) -> tuple[str, ...]:
        """Have the one that runs read the settings of this size; what only a start would change.

        Raises Unavailable where none runs, StorageFull.
        """
        ...

    def signal(self, stop: Stop) -> None:
        """Ask it to stop; nothing happens to one that does not run."""
        ...

    def paused(self) -> AbstractAsyncContextManager[None]:
        """Inside nobody is let in: newcomers wait in the socket's queue, sessions go on.

        For a few milliseconds only. A stop that is asked for inside comes before any newcomer.
        """
        ...

    def processes(self) -> Mapping[int, float]:
        """The postmaster's living children, each with its age in seconds.

        A young one that Postgres does not list may be on its way in.
        """
        ...

    def use(self) -> ComputeUse:
        """Of all of its processes since its start."""
        ...


@dataclass(frozen=True, slots=True)
class Clients:
    """Who is connected, the agent left out."""

    described: tuple[str, ...]
    """One line for each, for a person."""
    processes: frozenset[int]
    """Every process that Postgres lists, its own helpers and the agent's backend included."""
    entry_seconds_max: float
    """After this a newcomer is listed or has been ended."""


class SampleSql(Protocol):
    """What Postgres is asked once a second while somebody watches; over the kept connection, some
    milliseconds each. Raises as ``Sql`` does."""

    async def use(self) -> PostgresUse | None:
        """None: this Postgres counts too little (before 16)."""
        ...

    async def shared_buffers(self) -> SharedBuffers | None:
        """None: the pages in them can't be followed. Makes the extension for it where it can."""
        ...

    async def followed_pages(self, one_in: int) -> tuple[SeenPage, ...]:
        """One page in so many as it was found; those clean and free are let go of.

        Raises NotFound where somebody has taken the extension away meanwhile.
        """
        ...


@dataclass(frozen=True, slots=True)
class Room:
    """What loading has to heed."""

    unused_buffers: int
    is_used: bool
    """A client is at work just now."""


class Loader(Protocol):
    """A connection to one of the databases."""

    async def load(self, batch: Batch) -> bool:
        """Into shared buffers, as far as the pages are there and nobody has their table locked.
        False: a file of it is damaged; others are loaded or not. Raises Unavailable."""
        ...


class PagesSql(Protocol):
    """Shared buffers before a sleep and after the wake. Raises as ``Sql`` does."""

    async def found(self) -> tuple[Found, ...] | None:
        """All that is in shared buffers: for 128 MiB some 20 ms of a processor. None: too little to
        be noted, or it can't be told. Makes the extension for it where it can."""
        ...

    async def room(self) -> Room | None:
        """Below a millisecond for 128 MiB. None: it can't be told, so nothing may be loaded."""
        ...

    def loading(self, database: int) -> AbstractAsyncContextManager[Loader]:
        """A connection of its own. Raises NotFound where the database is gone, or its owner does
        not want it; Unavailable where nothing can be loaded there."""
        ...


class Sql(Protocol):
    """What is asked of one started Postgres as its bootstrap superuser.

    Connections are made when needed and made again when lost. Raises Unavailable where Postgres
    can't be reached in time, or after ``close``.
    """

    @property
    def samples(self) -> SampleSql: ...

    @property
    def pages(self) -> PagesSql: ...

    async def role(self, name: str, superusers: Collection[str]) -> RoleFacts | None:
        """The facts of one role; admits it where it may be. About a millisecond."""
        ...

    async def facts(self, superusers: Collection[str]) -> LoginFacts:
        """Everything that a login is judged by."""
        ...

    async def activity(self) -> tuple[Activity, int]:
        """One sample, its memory left 0, and a number that changes when a role or database does."""
        ...

    async def clients(self) -> Clients: ...

    async def make_match(self, spec: DatabaseSpec, verifiers: Mapping[str, str]) -> None:
        """Make roles and databases match. Idempotent. Raises InvalidRequest, StorageFull."""
        ...

    async def checkpoint(self) -> None: ...

    async def close(self) -> None:
        """End our own connection, for good: whatever is asked later fails and makes none."""
        ...


class Serving(Protocol):
    """What the agent of a claimed compute has in its hands."""

    @property
    def volume(self) -> Volume: ...

    @property
    def sql(self) -> Sql:
        """Of the Postgres that was started last."""
        ...
