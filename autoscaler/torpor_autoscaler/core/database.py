"""What is known of one database.

Facts (:mod:`facts`) change it at any time, also while an action is under way. What is to be done
about them the plans decide (:mod:`lifecycle`), each time anew from the whole of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from decimal import Decimal

from torpor_api.chain import Chain, Step
from torpor_api.facts import Activity, LoginFacts
from torpor_api.failures import Failure, Holder, failure_of
from torpor_api.messages import AgentInfo, ComputeAddress, StoragePlace
from torpor_api.phases import Phase
from torpor_api.resource import (
    DatabaseStatus,
    LastResume,
    LastSwitchover,
    ServerlessDatabase,
)
from torpor_api.sizes import Size, size_of
from torpor_autoscaler.core import idle
from torpor_autoscaler.core.actions import Effect
from torpor_autoscaler.core.world import World

FACTS_STORED = "LoginFactsStored"
"""The condition that is False where the cluster does not have login facts as they are."""

AT_REST = (Phase.SUSPENDED, Phase.FAILED)
"""Phases in which no compute serves the database."""


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
    steps: tuple[Step, ...] = ()
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
    """So often it has been, without getting it."""
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

    chain: Chain
    cause: str
    at_wall_s: float
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


@dataclass(slots=True, eq=False)
class Database:
    """One database. Plans and facts change the fields; nobody else does."""

    resource: ServerlessDatabase
    facts: LoginFacts
    world: World

    run: Run | None = None
    waiters: dict[int, Waiter] = field(default_factory=dict)
    wishes: dict[int, float] = field(default_factory=dict)
    """People who asked for its sleep, and when."""
    resizers: dict[int, Decimal] = field(default_factory=dict)
    """People who wait for a size."""
    chosen_cu: Decimal | None = field(init=False)
    """The size that a person has chosen last, until the next sleep."""
    sizing: Sizing | None = None
    switching: Switching | None = None
    """Asked for by somebody. Without a run only one that is on its way to a fresh compute."""
    effects: list[Effect] = field(default_factory=list)
    idle_turns: int = 0
    """Steps of the plan since its last action; a plan that only turns has a defect."""

    fenced: tuple[str, ...] = field(init=False)
    """Computes that are confirmed gone, oldest first: the volume may still name one of them as its
    holder, until the next start succeeds."""
    holder: Holder | None = None
    """Whom the volume itself named, who is not known to be gone, and of whom the record does not
    speak: that one was lost, or restored from an older state."""
    seen_epoch: int = 0
    """The newest that the volume is known to have seen: a claim goes above it."""
    released_epoch: int = 0
    """The compute of this epoch has stopped cleanly."""
    is_condemned: bool = False
    """The outcome of its start or stop is unknown: it is confirmed gone and never serves again."""
    doubt: Doubt | None = None
    must_return: bool = False
    """The compute was lost under sessions; they get another one."""

    reserved: AgentInfo | None = None
    """Taken for a claim that has not been made yet, or of which we don't know whether it was."""
    awaits_compute: bool = False
    """The record asks for a compute to be made for it."""
    place: StoragePlace | None = None
    """Where its volume is, as long as starts there succeed."""
    trouble: Trouble | None = None
    blocked_by: Failure | None = None
    """What a database that can't go on waits for: an answer, a warm compute, the fencer."""
    retries: int = 0
    """Questions in a row to which cluster or fencer gave no good answer."""
    decided: tuple[str, ...] = ()
    """Why it was last decided to keep it awake; a decision is logged when its reasons change."""
    used_at: float = 0.0
    """The latest moment at which somebody is known to have used it."""
    inside: Inside | None = None
    held_back: HeldBack = HeldBack()
    move_held_back: HeldBack = HeldBack()
    """Of a move away from a compute that leaves."""
    is_suspending: bool = False
    is_gate_closed: bool = False
    has_stopped_listening: bool = False
    """Since the gates were closed: somebody has to be heard for again before they open."""
    is_left_in_disorder: bool = False
    """Some have stopped listening, and others may have had sessions that notified still."""
    nobody_listens: int | None = None
    """The revision of the proxies of which none had anybody to hear for, when it was left."""

    observed_generation: int = 0
    spec_failure: Failure | None = None
    spec_retry_at: float = 0.0
    facts_are_exact: bool = field(init=False)
    """No compute may have changed them since. A record that names one that has not released the
    data says that one may have: so this outlives the autoscaler."""
    has_unstored_facts: bool = False
    storing: Storing = field(init=False)
    has_stale_facts: bool = True
    """What the cluster says is to be fetched: at first, and when the spec changes during sleep."""
    facts_retry_at: float = 0.0
    """When the cluster is asked for them again, after it did not answer."""
    last_resume: LastResume | None = None
    open_resume: OpenResume | None = None
    last_switchover: LastSwitchover | None = None
    written: DatabaseStatus | None = None
    """What we wrote last, while nobody else has: what the record says otherwise is another's."""
    noted_at: float = float("-inf")
    """When the record of the awake database was last written."""

    def __post_init__(self) -> None:
        self.fenced = self.status.fenced
        self.observed_generation = self.status.observed_generation
        self.last_resume = self.status.last_resume
        self.last_switchover = self.status.last_switchover
        self.chosen_cu = self.status.chosen_cu
        self.storing = self._found_unstored()
        self.facts_are_exact = self.status.compute is None and self.storing.failure is None

    @property
    def name(self) -> str:
        return self.resource.name

    @property
    def status(self) -> DatabaseStatus:
        """The record, as last heard of."""
        return self.resource.status

    @property
    def is_kept(self) -> bool:
        """The resource wants a compute at all times."""
        return self.resource.spec.keep_awake or self.resource.spec.min_cu > 0

    @property
    def has_own_volume(self) -> bool:
        """Its computes are made for it, one at a time: the next one when the last has ended."""
        return self.world.has_volumes and self.resource.spec.storage.mode == "dedicated"

    @property
    def pool(self) -> str:
        """Whose computes reach its volume; one machine has one pool, without a name."""
        return self.resource.spec.pool if self.world.has_volumes else ""

    @property
    def size(self) -> Size:
        """That a compute of it shall have."""
        spec = self.resource.spec
        return size_of(spec.min_cu, spec.max_cu, self.chosen_cu)

    def sizing_of(self, run: Run) -> Sizing:
        """How far this compute has come to the size that it shall have."""
        found, size = self.sizing, self.size
        if found is None or found.size != size:
            return Sizing(run.epoch, size)
        if found.epoch != run.epoch:
            return Sizing(run.epoch, size, moves=found.moves, move_at=found.move_at)
        return found

    @property
    def is_pressed(self) -> bool:
        """Somebody waits for what is done next: nothing of it stands in line."""
        return bool(self.waiters or self.wishes) or self.must_return

    @property
    def wants_compute(self) -> bool:
        return bool(self.waiters) or self.is_kept or self.must_return

    @property
    def is_unsettled(self) -> bool:
        """The record speaks of a compute, and we don't know what that does."""
        is_held = self.status.compute in self.unfenced
        return self.run is None and self.status.phase not in AT_REST and is_held

    @property
    def unfenced(self) -> tuple[str, ...]:
        """Whoever may write still, as far as is known: its end is confirmed before any claim."""
        status, found = self.status, list[str]()
        if status.compute is not None and self.released_epoch < status.epoch:
            found.append(status.compute)
        if self.holder is not None and self.holder.compute not in found:
            found.append(self.holder.compute)
        return tuple(compute for compute in found if compute not in self.fenced)

    @property
    def phase(self) -> Phase:
        """The phase as we know it; the record follows."""
        if self.run is not None:
            return Phase.SUSPENDING if self.is_suspending else Phase.ACTIVE
        return self.status.phase

    def _found_unstored(self) -> Storing:
        """As the record says it of the life before."""
        for found in self.status.conditions:
            if found.type == FACTS_STORED and found.status == "False":
                failure = failure_of(found.reason, found.message)
                return Storing(failure, self.world.limits.store_tries_max)
        return Storing()

    @property
    def unstored_because(self) -> Failure | None:
        """Why the cluster does not have who may log in as it is, and will not in a moment."""
        failure, tries = self.storing.failure, self.storing.tries
        is_over_soon = tries < self.world.limits.store_tries_max
        return None if failure is not None and failure.retryable and is_over_soon else failure

    @property
    def next_facts_at(self) -> float | None:
        """When login facts are to be asked for again, or stored, if at all."""
        moments = [self.facts_retry_at] if self.has_stale_facts else []
        moments += [self.storing.retry_at] if self.has_unstored_facts else []
        return min(moments, default=None)

    @property
    def is_up(self) -> bool:
        """A Postgres serves it at this moment, as far as we know."""
        return self.run is not None and self.run.is_up

    @property
    def is_open(self) -> bool:
        """Sessions may attach to it."""
        return self.is_up and self.run is not None and self.run.is_open and not self.is_gate_closed

    def put_in_doubt(self, reason: str, *, is_shared: bool = False) -> None:
        was_shared = self.doubt is not None and self.doubt.is_shared
        self.doubt = Doubt(reason, is_shared or was_shared)

    def is_served_by(self, run: Run) -> bool:
        """Still, though perhaps its Postgres has crashed meanwhile or is at another address."""
        return self.run is not None and self.run.epoch == run.epoch

    def is_resting(self, now: float) -> bool:
        return self.trouble is not None and self.trouble.is_final and now < self.trouble.retry_at

    def decide(self, now: float) -> idle.Decision:
        """Whether it may sleep, and what speaks against that."""
        views, limits = self.world.proxies.views(self.name, now), self.world.limits
        self.used_at = idle.last_use(views, self.used_at)
        sight = idle.Sight(
            spec=self.resource.spec,
            epoch=self.run.epoch if self.run else self.status.epoch,
            views=views,
            used_at=self.used_at,
            waiters=len(self.waiters),
            inside=self.inside.since if self.inside else (),
            inside_until=self.inside.at + limits.activity_age_s_max if self.inside else 0.0,
            held_back_until=self.held_back.until,
            held_back_reason=self.held_back.reason,
            blind_until=self.world.blind_until,
        )
        return idle.decide(sight, limits, now)
