"""A transition under way: where the time goes that clients wait.

A plan names its *laps*, which follow each other without a gap, so that their total is the whole.
What was asked within a lap, and by whoever was asked what it was made of, becomes its parts; then
comes the proxy's rest, up to the first row. One machine's clock is never compared with another's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from torpor_api import messages as m
from torpor_api.chain import Chain, Step
from torpor_api.failures import Failure
from torpor_api.transition import SPANS_MAX, Span, TransitionKind, with_slack

WHERE = "autoscaler"

STEP_MS_MIN = 0.005
"""Shorter ones are left out: they are noise, and a chain has a bounded number of steps."""

STEPS_MAX = 32
"""As many as a :class:`Chain` may have."""

SEEN_MAX = 64
"""Of what one database has asked last: more than any transition asks."""

TRACKS_MAX = 8
"""Of those that were asked the same at once: the slowest are shown."""

_ASKED: Mapping[type[m.Message], tuple[str, str]] = {
    m.StartCompute: ("start the compute", "agent"),
    m.StopCompute: ("stop the compute", "agent"),
    m.Checkpoint: ("checkpoint", "postgres"),
    m.AskActivity: ("look inside", "agent"),
    m.AskAgentState: ("ask how it is", "agent"),
    m.ApplySpec: ("apply the spec", "agent"),
    m.FollowSize: ("follow the size", "agent"),
    m.WriteStatus: ("write the record", "cluster"),
    m.LocateStorage: ("locate storage", "cluster"),
    m.FetchVerifiers: ("fetch verifiers", "cluster"),
    m.FetchLoginFacts: ("fetch who may log in", "cluster"),
    m.StoreLoginFacts: ("store who may log in", "cluster"),
    m.ConfirmGone: ("confirm it is gone", "cluster"),
    m.GetResource: ("read the record", "cluster"),
    m.ResizeCompute: ("resize the compute", "cluster"),
    m.CloseGate: ("close the gates", "proxy"),
    m.OpenGate: ("open the gates", "proxy"),
    m.StartListening: ("listen for parked sessions", "proxy"),
    m.StopListening: ("stop listening", "proxy"),
}


@dataclass(frozen=True, slots=True)
class Track:
    """What one of those that were asked has said of itself."""

    whose: str
    """Empty: there is only one."""
    steps: tuple[Step, ...]

    @property
    def ms(self) -> float:
        return sum(step.ms for step in self.steps)


@dataclass(frozen=True, slots=True)
class Seen:
    """A question that was asked and answered, or was not."""

    name: str
    where: str
    begun_at: float
    ended_at: float
    tracks: tuple[Track, ...] = ()


@dataclass(frozen=True, slots=True)
class Lap:
    name: str
    where: str
    begun_at: float
    ended_at: float


class Trace:
    """The laps since the first request."""

    __slots__ = ("_lapped_at", "_laps", "_steps", "cause", "kind", "started_at")

    def __init__(self, kind: TransitionKind, started_at: float, cause: str = "") -> None:
        self.kind = kind
        self.started_at = started_at
        self.cause = cause
        self._lapped_at = started_at
        self._laps: list[Lap] = []
        self._steps: list[Step] = []

    def lap(
        self, name: str, now: float, inner: tuple[Step, ...] = (), *, where: str = WHERE
    ) -> None:
        """The time since the last lap: another component's steps in it, and the rest."""
        ms = (now - self._lapped_at) * 1000.0 - sum(step.ms for step in inner)
        if now > self._lapped_at:
            self._laps.append(Lap(name, where, self._lapped_at, now))
        self._lapped_at = now
        self._steps += inner
        if ms >= STEP_MS_MIN:
            self._steps.append(Step(name=name, where=where, ms=round(ms, 3)))

    def go_on_with(self, other: Trace) -> None:
        """The laps of the transition that this one went over into."""
        self._laps += other._laps
        self._steps += other._steps
        self._lapped_at = other._lapped_at

    @property
    def ended_at(self) -> float:
        """When the last lap was over."""
        return self._lapped_at

    @property
    def chain(self) -> Chain:
        return Chain().then(*self._steps)

    def spans(self, seen: Iterable[Seen], rest: Sequence[Step] = ()) -> tuple[Span, ...]:
        """The tree; ``rest``: what came behind the last lap, in order."""
        found = list(seen)
        spans = [span for lap in self._laps for span in self._of_lap(lap, found)]
        at_ms = (self._lapped_at - self.started_at) * 1000.0
        for step in rest:
            spans.append(_span(step.name, step.where, at_ms, step.ms, 0))
            at_ms += step.ms
        return with_slack(_bounded(spans))

    def _of_lap(self, lap: Lap, seen: list[Seen]) -> Iterator[Span]:
        begin_ms = (lap.begun_at - self.started_at) * 1000.0
        took_ms = (lap.ended_at - lap.begun_at) * 1000.0
        within = [one for one in seen if lap.begun_at <= one.begun_at < lap.ended_at]
        if took_ms < STEP_MS_MIN and not within:
            return
        yield _span(lap.name, lap.where, begin_ms, took_ms, 0)
        for one in within:
            yield from self._of_seen(one)

    def _of_seen(self, one: Seen) -> Iterator[Span]:
        begin_ms = (one.begun_at - self.started_at) * 1000.0
        took_ms = (one.ended_at - one.begun_at) * 1000.0
        yield _span(one.name, one.where, begin_ms, took_ms, 1)
        slowest = sorted(one.tracks, key=lambda track: -track.ms)[:TRACKS_MAX]
        for track in slowest:
            # Nobody knows how much of the rest was the way there; half of it was the way back.
            at_ms, depth = begin_ms + max(0.0, took_ms - slowest[0].ms) / 2, 2
            if track.whose:
                yield _span("all of it", track.whose, at_ms, track.ms, depth)
                depth += 1
            for step in track.steps:
                yield _span(step.name, step.where, at_ms, step.ms, depth)
                at_ms += step.ms


def seen(request: m.Message, begun_at: float, ended_at: float, answer: object) -> Seen:
    """``answer``: a message, one of each proxy, or the Failure that came of it."""
    name, where = _ASKED.get(type(request), (type(request).__name__, WHERE))
    if isinstance(answer, Failure):
        name = f"{name}: {answer.kind}"
    return Seen(name, where, begun_at, ended_at, tuple(_tracks(answer)))


def completed(chain: Chain, rest: Chain) -> Chain:
    """With what the proxy saw; it may have sent the whole, steps that it was told included."""
    if chain.steps and rest.steps[: len(chain.steps)] == chain.steps:
        return rest
    return chain.then(*rest.steps[: STEPS_MAX - len(chain.steps)])


def _tracks(answer: object) -> Iterator[Track]:
    if isinstance(answer, Mapping):
        for whose, told in answer.items():
            if steps := getattr(told, "steps", ()):
                yield Track(str(whose), steps)
    elif steps := getattr(answer, "steps", ()):
        yield Track("", steps)


def _bounded(spans: list[Span]) -> list[Span]:
    """The deepest go first."""
    deepest = max((span.depth for span in spans), default=0)
    while len(spans) > SPANS_MAX and deepest > 0:
        spans = [span for span in spans if span.depth < deepest]
        deepest -= 1
    return spans[:SPANS_MAX]


def _span(name: str, where: str, begin_ms: float, ms: float, depth: int) -> Span:
    begin_ms, ms = max(0.0, begin_ms), max(0.0, ms)
    return Span(name=name[:96], where=where[:64], begin_ms=begin_ms, ms=ms, depth=depth)
