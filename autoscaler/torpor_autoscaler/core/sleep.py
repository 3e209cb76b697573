"""Zero or one: whether an awake database may go to sleep now. A pure function of what was seen.

Nothing is suspended on a guess: what is missing, late or contradictory speaks for staying awake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torpor_api.messages import EndpointSample
from torpor_api.resource import DatabaseSpec
from torpor_autoscaler.core import reasons
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.reasons import Reason, Weight

GOES_TO_SLEEP: Final = "goes to sleep"

REASONS_NAMED_MAX: Final = 3
"""In a decision, which is one line. How many there are is its figure: in words each session that
comes or goes would be another decision, and a hundred of them push all others out."""


@dataclass(frozen=True, slots=True)
class View:
    """What is known of one proxy's sessions of one database."""

    proxy: str
    forget_at: float | None
    """Set when it has hung up: until then its sessions count."""
    sampled_at: float | None
    sample: EndpointSample | None


@dataclass(frozen=True, slots=True)
class Sight:
    """All that the decision rests on."""

    spec: DatabaseSpec
    timeout_s: float
    """The spec's, or what was learned."""
    epoch: int
    views: tuple[View, ...]
    used_at: float
    """The latest moment at which anybody is known to have used it."""
    sample_age_s_max: float
    """What a proxy said longer ago says nothing of now."""
    learned: str = ""
    """What the time-out rests on, where it was learned."""
    scheduled: str = ""
    """The schedule by which it is to be awake now."""
    scheduled_for_s: float = 0.0
    clock_at: float = 0.0
    """When schedules may say something else."""
    waiters: int = 0
    held_back_until: float = 0.0
    held_back_reason: str = ""
    inside: tuple[tuple[str, float], ...] = ()
    """What ran inside at the last look, and since when."""
    inside_until: float = 0.0
    """How long that look counts."""
    blind_until: float = 0.0
    """Until then proxies may exist that have not registered."""


@dataclass(frozen=True, slots=True)
class SleepChoice:
    """Sleep where nothing speaks against it."""

    reasons: tuple[Reason, ...]
    look_again_at: float | None = None
    """When time alone may change the decision; None: only a new fact does."""
    idle_s: float = 0.0
    """For how long nobody has used it."""
    timeout_s: float = 0.0
    """For how long nobody has to."""

    @property
    def sleeps(self) -> bool:
        return not self.reasons

    def against(self, *weights: Weight) -> tuple[Reason, ...]:
        return tuple(reason for reason in self.reasons if reason.weight in weights)

    @property
    def decision(self) -> Decision | None:
        """None where all that speaks against it may be over with the next query."""
        lasting = [reason for reason in self.reasons if not reason.is_passing]
        if self.reasons and not lasting:
            return None
        # What only takes time comes last.
        ordered = sorted(lasting, key=lambda each: (each.weight is Weight.TIME, each.words))
        words = list(dict.fromkeys(reason.words for reason in ordered))
        and_more = ["and more"] if len(words) > REASONS_NAMED_MAX else []
        named = "; ".join(words[:REASONS_NAMED_MAX] + and_more)
        follows = f"stays awake ({named})" if words else GOES_TO_SLEEP
        if all(reason.weight is Weight.TIME for reason in lasting):
            idle_s, timeout_s = self.idle_s, self.timeout_s
            metric, unit = "time without use", "s"
            return Decision(Loop.AWAKE, metric, idle_s, timeout_s, unit, 0.0, follows)
        return Decision(Loop.AWAKE, "reasons against its sleep", len(words), 0, "", 0.0, follows)


def last_use(views: tuple[View, ...], used_at: float) -> float:
    """The latest use that the samples tell of, or the one known before.

    Sessions that have come and gone between two samples have left their queries in these.
    """
    uses = [
        view.sampled_at - view.sample.idle_s
        for view in views
        if view.sampled_at is not None and view.sample is not None
        if view.sample.sessions or view.sample.queries_total
    ]
    return max([used_at, *uses])


def choose_sleep(sight: Sight, now: float) -> SleepChoice:
    """What keeps the database awake at this moment; nothing: it shall sleep."""
    found = list(reasons.kept(sight.spec))
    if sight.scheduled:
        found.append(reasons.scheduled(sight.scheduled, sight.scheduled_for_s))
    if sight.blind_until > now:
        found.append(reasons.just_started(sight.blind_until - now))
    if sight.waiters:
        found.append(reasons.waiting(sight.waiters))
    for view in sight.views:
        found += _of_proxy(view, sight, now)
    if sight.inside_until > now:
        found += [reasons.inside(what, now - since) for what, since in sight.inside]
    if not found or found[0].weight is not Weight.KEPT:
        found += _of_time(sight, now)
    moments = (
        sight.blind_until,
        sight.held_back_until,
        sight.inside_until if sight.inside else 0.0,
        sight.used_at + sight.timeout_s,
        sight.clock_at,
        *(view.forget_at for view in sight.views if view.forget_at is not None),
    )
    later = [moment for moment in moments if moment > now]
    idle_s = now - sight.used_at
    return SleepChoice(tuple(found), min(later, default=None), idle_s, sight.timeout_s)


def _of_time(sight: Sight, now: float) -> list[Reason]:
    found = []
    ends_at = sight.used_at + sight.timeout_s
    if now < ends_at or not was_seen_idle(sight.views, ends_at):
        found.append(reasons.used(now - sight.used_at, sight.timeout_s, sight.learned))
    if now < sight.held_back_until:
        left_s = sight.held_back_until - now
        found.append(reasons.refused_before(sight.held_back_reason, left_s))
    return found


def was_seen_idle(views: tuple[View, ...], at: float) -> bool:
    """By samples that are younger than the moment at which it has been idle for long enough: what a
    session did since is otherwise unknown."""
    return all(
        view.sampled_at is not None and view.sampled_at >= at
        for view in views
        if view.sample is not None and view.sample.sessions
    )


def _of_proxy(view: View, sight: Sight, now: float) -> list[Reason]:
    if view.forget_at is not None or view.sampled_at is None:
        return [reasons.silent_proxy(view.proxy, None)]
    if now - view.sampled_at > sight.sample_age_s_max:
        return [reasons.silent_proxy(view.proxy, now - view.sampled_at)]
    sample = view.sample
    if sample is None or not (sample.sessions or sample.waiting or sample.busy or sample.pinned):
        return []
    if sample.epoch != sight.epoch:
        return [reasons.other_epoch(view.proxy, sight.epoch, sample.epoch)]
    found = [reasons.pinned(report) for report in sample.pinned]
    if sample.busy:
        found.append(reasons.busy(sample.busy))
    if sample.waiting:
        found.append(reasons.waiting(sample.waiting))
    return found
