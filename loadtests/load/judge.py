"""What was seen, held against the objectives. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from load import heard
from load.samples import Sample, State, states
from load.scenario import Measure, Objective, Part, Scenario
from rig.figures import percentile

HELD = frozenset({Part.HELD, Part.TPCB, Part.LISTENER, Part.NOTIFIER})
"""Parts that keep their session."""

ASKING = frozenset({Part.HELD, Part.FRESH, Part.TPCB, Part.NOTIFIER})
"""Parts whose samples are answers."""

LET_IN = "let in"
"""The note of a scanner that got further than it may."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one side went through."""

    name: str
    samples: Sequence[Sample]
    seconds: float
    """How long the load was meant to go on."""
    idle_timeout_s: float = 0.0
    scanned: frozenset[str] = frozenset()
    """Databases at which strangers alone knock."""
    cu_seconds: float | None = None
    """None: nobody could be asked."""
    unbalanced: int | None = None
    """None: there was no TPC-B."""
    wakes: Mapping[str, int] | None = None
    """Of each database, as Torpor itself tells it; None: nobody could be asked."""
    states: Sequence[State] = field(default_factory=tuple)
    """Of each sample."""


def side(name: str, samples: Sequence[Sample], scenario: Scenario, **told: object) -> Side:
    """Of one side's samples, and what else is known of it."""
    return Side(
        name,
        samples,
        scenario.seconds,
        scenario.idle_timeout_s,
        states=states(samples),
        **told,  # type: ignore[arg-type]
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """One objective, as it went."""

    objective: Objective
    torpor: float | None
    always_on: float | None
    value: float | None
    """What the limit is for: Torpor's own, or the ratio; None: it could not be found out."""

    @property
    def is_met(self) -> bool:
        """What could not be found out is not met: nothing was shown."""
        if self.value is None:
            return False
        limit = self.objective.limit
        return self.value >= limit if self.objective.is_least else self.value <= limit


def verdict(objective: Objective, torpor: Side, always_on: Side) -> Verdict:
    """Whether it was kept, and by how much."""
    ours = MEASURES[objective.measure](torpor)
    if objective.of == "count":
        return Verdict(objective, ours, None, ours)
    theirs = REFERENCES.get(objective.measure, MEASURES[objective.measure])(always_on)
    known = ours is not None and theirs is not None and theirs > 0
    return Verdict(objective, ours, theirs, ours / theirs if known else None)  # type: ignore[operator]


def errors(side: Side, parts: Iterable[Part]) -> list[Sample]:
    chosen = frozenset(parts)
    return [sample for sample in side.samples if sample.error and sample.part in chosen]


def waits_s(side: Side, *chosen: State) -> list[float]:
    """Of the answers that met their database in one of these states; none named: in any."""
    return [
        sample.waited_s
        for sample, state in zip(side.samples, side.states, strict=True)
        if sample.part in ASKING and not sample.error and (not chosen or state in chosen)
    ]


def jain(values: Sequence[float]) -> float:
    """Of how evenly something is shared: 1 is alike, 1/n is one has it all."""
    return sum(values) ** 2 / (len(values) * sum(value**2 for value in values))


def wakes_seen(side: Side) -> int:
    """By clients, who can't know of a wake that nobody waited for."""
    return sum(state is State.ASLEEP for state in side.states)


def _p99(*chosen: State) -> Callable[[Side], float | None]:
    def found(side: Side) -> float | None:
        waits = waits_s(side, *chosen)
        return percentile(waits, 99) if waits else None

    return found


def _fairness(*chosen: State) -> Callable[[Side], float | None]:
    """Of the mean wait of each database; alone there is nobody to be unfair to."""

    def found(side: Side) -> float | None:
        waits: dict[str, list[float]] = defaultdict(list)
        for sample, state in zip(side.samples, side.states, strict=True):
            if sample.part in ASKING and not sample.error and (not chosen or state in chosen):
                waits[sample.database].append(sample.waited_s)
        return jain([sum(each) / len(each) for each in waits.values()]) if waits else None

    return found


def _answered(side: Side) -> float:
    """Before the load was over."""
    return sum(
        sample.part in ASKING and not sample.error and sample.at + sample.waited_s <= side.seconds
        for sample in side.samples
    )


def _per_second(side: Side) -> float | None:
    answered = [one for one in side.samples if one.part in ASKING and not one.error]
    if not answered:
        return None
    began = min(one.at for one in answered)
    return len(answered) / max(one.at + one.waited_s - began for one in answered)


def _wakes(side: Side) -> float:
    return wakes_seen(side) if side.wakes is None else sum(side.wakes.values())


def _wakes_each(side: Side) -> float | None:
    names = {sample.database for sample in side.samples}
    return _wakes(side) / len(names) if names else None


def _scanned_wakes(side: Side) -> float | None:
    """None where nobody could be asked, or no database is the strangers' alone."""
    if side.wakes is None or not side.scanned:
        return None
    return sum(count for name, count in side.wakes.items() if name in side.scanned)


def _needless_wakes(side: Side) -> float:
    """Wakes of databases that were last used less than the idle timeout before."""
    used_until: dict[str, float] = {}
    found = 0
    pairs = zip(side.samples, side.states, strict=True)
    for sample, state in sorted(pairs, key=lambda pair: pair[0].at):
        before = used_until.get(sample.database)
        if state is State.ASLEEP and before is not None:
            found += sample.at - before < side.idle_timeout_s
        until = sample.at + sample.waited_s
        used_until[sample.database] = max(until, used_until.get(sample.database, 0.0))
    return found


def _let_in(side: Side) -> float:
    return sum(sample.note == LET_IN for sample in side.samples)


def _count_errors(parts: frozenset[Part]) -> Callable[[Side], float | None]:
    """None where there is no sample at all: then nothing was shown."""

    def found(side: Side) -> float | None:
        return len(errors(side, parts)) if side.samples else None

    return found


def _unbalanced(side: Side) -> float | None:
    return side.unbalanced


def _cost(side: Side) -> float | None:
    return side.cu_seconds


MEASURES: dict[Measure, Callable[[Side], float | None]] = {
    Measure.HELD_ERRORS: _count_errors(HELD),
    Measure.ERRORS: _count_errors(HELD | ASKING),
    Measure.WAKE_P99: _p99(State.ASLEEP, State.WAKING),
    Measure.AWAKE_P99: _p99(State.AWAKE),
    Measure.FAIRNESS: _fairness(State.ASLEEP, State.WAKING),
    Measure.ANSWERED: _answered,
    Measure.PER_SECOND: _per_second,
    Measure.COST: _cost,
    Measure.WAKES: _wakes,
    Measure.WAKES_EACH: _wakes_each,
    Measure.SCANNED_WAKES: _scanned_wakes,
    Measure.NEEDLESS_WAKES: _needless_wakes,
    Measure.REFUSED: _let_in,
    Measure.MISHEARD: lambda side: heard.misheard(side.samples),
    Measure.UNBALANCED: _unbalanced,
}

REFERENCES: dict[Measure, Callable[[Side], float | None]] = {
    Measure.WAKE_P99: _p99(),
    Measure.FAIRNESS: _fairness(),
}
"""Where an always-on Postgres, which never wakes, has no such thing: all of its answers."""
