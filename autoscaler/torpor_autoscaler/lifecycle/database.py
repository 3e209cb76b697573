"""What is known of one database.

Facts (:mod:`facts`) change it at any time, also while an action is under way. What is to be done
about them the plans decide (:mod:`life`), each time anew from the whole of it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal

from torpor_api.facts import LoginFacts
from torpor_api.failures import Failure, Holder, failure_of
from torpor_api.messages import AgentInfo, StoragePlace
from torpor_api.phases import Phase
from torpor_api.resource import (
    DatabaseStatus,
    LastResume,
    LastSwitchover,
    ServerlessDatabase,
)
from torpor_api.rhythm import CronJobs
from torpor_api.sizes import Size, least_cu_by_itself, size_of, units_of
from torpor_api.values import AUTO
from torpor_autoscaler.core.decision import Loop
from torpor_autoscaler.core.schedule import ScheduleChoice
from torpor_autoscaler.core.sleep import Sight, SleepChoice, choose_sleep, last_use
from torpor_autoscaler.lifecycle import by_clock, decided, idling
from torpor_autoscaler.lifecycle.actions import Effect
from torpor_autoscaler.lifecycle.by_clock import ByClock
from torpor_autoscaler.lifecycle.chain import SEEN_MAX, Seen, Trace
from torpor_autoscaler.lifecycle.idling import Idling
from torpor_autoscaler.lifecycle.known import (
    Doubt,
    HeldBack,
    Inside,
    OpenResume,
    Run,
    Sizing,
    Storing,
    Switching,
    Trouble,
    Waiter,
)
from torpor_autoscaler.lifecycle.remembered import Decisions
from torpor_autoscaler.lifecycle.watched import Watched
from torpor_autoscaler.lifecycle.world import World

FACTS_STORED = "LoginFactsStored"
"""The condition that is False where the cluster does not have login facts as they are."""

AT_REST = (Phase.SUSPENDED, Phase.FAILED)
"""Phases in which no compute serves the database."""


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
    measured_cu: Decimal | None = None
    """The size that it was found to need last, or began with, until the next sleep. None: while it
    has a compute nobody has decided yet, and it stays as large as it is."""
    watched: Watched | None = None
    """What was seen of its compute, while there is one and it may have another size."""
    sizing: Sizing | None = None
    switching: Switching | None = None
    """Asked for by somebody. Without a run only one that is on its way to a fresh compute."""
    effects: list[Effect] = field(default_factory=list)
    seen: deque[Seen] = field(default_factory=lambda: deque(maxlen=SEEN_MAX))
    """What was asked of late, and how long the answers took."""
    falling: Trace | None = None
    """A suspend whose compute has stopped, and that is not recorded yet."""
    lost_at: float | None = None
    """When its compute was lost, until the next one serves."""
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
    decisions: Decisions = field(init=False)
    """Those of every policy, for people who ask: whoever decides adds here what changes."""
    idling: Idling | None = None
    """What is learned of its gaps, where its ``idleTimeout`` is ``auto`` and it has been awake."""
    jobs: CronJobs | None = field(init=False)
    """Of pg_cron inside it, as its agent said last."""
    schedules: ByClock | None = None
    """What its schedules said last, where it has any."""
    used_at: float = 0.0
    """The latest moment at which somebody is known to have used it."""
    inside: Inside | None = None
    held_back: HeldBack = field(default_factory=HeldBack)
    move_held_back: HeldBack = field(default_factory=HeldBack)
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
        self.decisions = decided.remembered(self.status)
        self.decisions.told = self.world.has_decided
        self.fenced = self.status.fenced
        self.observed_generation = self.status.observed_generation
        self.last_resume = self.status.last_resume
        self.last_switchover = self.status.last_switchover
        self.chosen_cu = self.status.chosen_cu
        self.jobs = self.status.cron_jobs
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
        """The resource wants a compute at all times, or at this one."""
        spec, scheduled = self.resource.spec, self.scheduled
        is_time = scheduled is not None and scheduled.is_awake
        return spec.keep_awake or spec.min_cu > 0 or is_time

    @property
    def scheduled(self) -> ScheduleChoice | None:
        """What its schedules say of this moment; None: it has none."""
        declared, world = self.resource.spec.schedules, self.world
        jobs = None if self.resource.metadata.deletion_timestamp else self.jobs
        if not declared and jobs is None:
            self.schedules = None
            self.decisions.withdraw(Loop.SCHEDULE)
            return None
        if self.schedules is None:
            self.schedules = ByClock()
        lead_s = by_clock.lead_s(self.last_resume, world.limits)
        return self.schedules.choice(declared, jobs, world.wall_s, lead_s, self.decisions)

    @property
    def clock_at(self) -> float | None:
        """When its schedules may say something else, unless the clock on the wall jumps."""
        choice, world = self.scheduled, self.world
        if choice is None:
            return None
        return world.now + (choice.look_again_s - world.wall_s) + by_clock.ROUNDING_S

    @property
    def learned(self) -> Idling | None:
        """None where its spec says for how long it waits."""
        if self.resource.spec.idle_timeout != AUTO:
            self.idling = None
            self.decisions.withdraw(Loop.IDLE_TIMEOUT)
        elif self.idling is None:
            world, is_asleep = self.world, self.status.phase is Phase.SUSPENDED
            used_at = None if is_asleep else world.now if self.run is None else self.used_at
            stored, cu = self.status.learned_gaps, float(self.size.cu)
            self.idling = idling.remembered(
                stored, world.limits, cu, used_at, world.now, world.wall_s
            )
        return self.idling

    def learn(self, change: Callable[[Idling], None]) -> None:
        """Something has become known of when it is used; nothing is learned where nobody asks."""
        learned = self.learned
        if learned is not None:
            learned.cu = float(self.size.cu)
            change(learned)
            self.decisions.add(learned.choice.decision, self.world.wall_s)

    @property
    def timeout_s(self) -> float:
        """For how long nobody may use it, until it sleeps."""
        stated_s, learned = self.resource.spec.idle_timeout, self.learned
        if learned is not None:
            return learned.choice.timeout_s
        assert not isinstance(stated_s, str)
        return stated_s

    @property
    def min_cu(self) -> Decimal:
        """The least size, of its spec or by a schedule."""
        spec, choice = self.resource.spec, self.scheduled
        return spec.min_cu if choice is None else max(spec.min_cu, choice.min_cu)

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
        if self.chosen_cu is not None:
            return size_of(self.min_cu, spec.max_cu, self.chosen_cu)
        wanted = self._found_cu if self.measured_cu is None else self.measured_cu
        return size_of(least_cu_by_itself(self.min_cu, spec.max_cu), spec.max_cu, wanted)

    @property
    def _found_cu(self) -> Decimal | None:
        """Of a compute that it had before we began."""
        if self.run is None:
            return None
        size = (self.world.pool.find(self.run.agent.compute) or self.run.agent).size
        if size is None:
            return self.status.current_cu
        return units_of(size.cpu_milli, size.memory_bytes)

    def sizing_of(self, run: Run) -> Sizing:
        """How far this compute has come to the size that it shall have. Moves for the sake of one
        that was measured count together, whatever it is: it may be another one each minute."""
        found, size = self.sizing, self.size
        if found is None:
            return Sizing(run.epoch, size)
        if (found.size, found.epoch) == (size, run.epoch):
            return found
        is_measured = self.chosen_cu is None and found.size.max_cu == size.max_cu
        if found.size == size or is_measured:
            return Sizing(run.epoch, size, moves=found.moves, move_at=found.move_at)
        return Sizing(run.epoch, size)

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

    def decide(self, now: float) -> SleepChoice:
        """Whether it may sleep, and what speaks against that."""
        views, limits = self.world.proxies.views(self.name, now), self.world.limits
        self.used_at = last_use(views, self.used_at)
        if self.run is not None:
            self.learn(lambda known: known.look(views, now))
        learned, scheduled = self.learned, self.scheduled
        sight = Sight(
            spec=self.resource.spec,
            timeout_s=self.timeout_s,
            epoch=self.run.epoch if self.run else self.status.epoch,
            views=views,
            used_at=self.used_at,
            sample_age_s_max=limits.sample_age_s_max,
            learned=learned.words if learned is not None else "",
            scheduled=scheduled.line if scheduled is not None else "",
            scheduled_for_s=scheduled.ends_s - self.world.wall_s if scheduled is not None else 0.0,
            clock_at=self.clock_at or 0.0,
            waiters=len(self.waiters),
            inside=self.inside.since if self.inside else (),
            inside_until=self.inside.at + limits.activity_age_s_max if self.inside else 0.0,
            held_back_until=self.held_back.until,
            held_back_reason=self.held_back.reason,
            blind_until=self.world.blind_until,
        )
        return choose_sleep(sight, now)
