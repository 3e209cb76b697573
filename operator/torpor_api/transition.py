"""What a transition was made of: a tree of spans, each with its slack.

A span's *slack* is how much longer it could have taken with the whole no longer for it. Those with
none are the critical chain. Slack comes of what goes on side by side alone: of spans that follow
each other, every one counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from torpor_api.chain import Milliseconds

SPANS_MAX = 64
"""Of one transition; a wake has fewer than thirty."""

SLACK_MS_MIN = 0.01
"""Less is the clock's: such a span is critical."""

EPOCH_UNKNOWN = 0
"""No compute has it."""

OVERLAP_MS_MIN = 0.002
"""Less than that is rounding: one span ends where the next begins."""


class TransitionKind(StrEnum):
    """What a database went through."""

    RESUME = "resume"
    SUSPEND = "suspend"
    SWITCHOVER = "switchover"
    FAILOVER = "failover"
    """A resume after its compute was lost."""


class Span(BaseModel):
    """Something that took time. It is a part of the last one before it that is less deep."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: Annotated[str, Field(max_length=96)]
    """What was done."""
    where: Annotated[str, Field(max_length=64)]
    """By whom: autoscaler, agent, postgres, proxy, cluster, or one proxy's name."""
    begin_ms: Milliseconds
    """Since the transition began."""
    ms: Milliseconds
    """How long it took."""
    slack_ms: Milliseconds = 0.0
    """So much longer it could have taken."""
    depth: Annotated[int, Field(ge=0, le=8)] = 0

    @property
    def end_ms(self) -> float:
        return self.begin_ms + self.ms

    @property
    def is_critical(self) -> bool:
        return self.slack_ms < SLACK_MS_MIN


class Transition(BaseModel):
    """One resume, suspend, switchover or failover of one database, as it went."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    database: str
    kind: TransitionKind
    at: str
    """When it began: ``2027-01-01T00:00:00.123Z``."""
    epoch: int
    """Of the compute that it led to, or that it ended; 0: not known."""
    compute: str = ""
    cause: str = ""
    """Who wanted it, or why."""
    total_ms: Milliseconds
    """Of a resume: what the first client waited for, up to its first row. Of a switchover: the
    longest pause of a session. Of a suspend: from the decision until it is recorded."""
    failure: str = ""
    """Why it came to nothing, where it did."""
    spans: Annotated[tuple[Span, ...], Field(max_length=SPANS_MAX)] = ()
    """In the order of a tree that is read from its root, each parent ahead of its parts."""
    is_recorded: bool = False
    """All that is known of it is what the database's record tells, since it is not kept, as of the
    time before the autoscaler began: steps one behind the other, and a failover as a resume."""
    is_unfinished: bool = False
    """Of a wake: its database is awake, and nobody has got a first row yet."""

    @property
    def critical_chain(self) -> tuple[Span, ...]:
        """Those that could not have taken longer, of the deepest that are known."""
        pairs = zip(self.spans, (*self.spans[1:], None), strict=True)
        leaves = [span for span, next in pairs if next is None or next.depth <= span.depth]
        return tuple(span for span in leaves if span.is_critical)


Tree: TypeAlias = tuple[Span, "tuple[Tree, ...]"]
"""A span and what it is made of."""


def with_slack(spans: Sequence[Span]) -> tuple[Span, ...]:
    """The same spans, each with its slack."""
    return tuple(_flat(tree for tree in _slackened(trees(spans), 0.0)))


def trees(spans: Sequence[Span]) -> tuple[Tree, ...]:
    """The spans of the least depth, each with its parts."""
    if not spans:
        return ()
    roots = [index for index, span in enumerate(spans) if span.depth == spans[0].depth]
    bounds = zip(roots, (*roots[1:], len(spans)), strict=True)
    return tuple((spans[begin], trees(spans[begin + 1 : end])) for begin, end in bounds)


def _slackened(siblings: Sequence[Tree], of_parent_ms: float) -> Iterator[Tree]:
    slack_ms: dict[int, float] = {}
    for group in _side_by_side([span for span, _ in siblings]):
        slack_ms |= {id(span): ms for span, ms in _slack_within(group)}
    for span, parts in siblings:
        own_ms = slack_ms[id(span)] + of_parent_ms
        mended = span.model_copy(update={"slack_ms": round(own_ms, 3)})
        yield mended, tuple(_slackened(parts, own_ms))


def _side_by_side(spans: Sequence[Span]) -> Iterator[list[Span]]:
    """In groups; the next group begins when all of one have ended."""
    group, end_ms = list[Span](), 0.0
    for span in sorted(spans, key=lambda one: (one.begin_ms, one.end_ms)):
        if group and span.begin_ms >= end_ms - OVERLAP_MS_MIN:
            yield group
            group, end_ms = [], 0.0
        group.append(span)
        end_ms = max(end_ms, span.end_ms)
    if group:
        yield group


def _slack_within(group: Sequence[Span]) -> Iterator[tuple[Span, float]]:
    """Whatever begins behind a span may have waited for it, and moves with it."""
    end_ms = max(span.end_ms for span in group)
    known: list[tuple[Span, float]] = []
    for span in reversed(group):
        behind = (
            max(0.0, later.begin_ms - span.end_ms) + slack_ms
            for later, slack_ms in known
            if later.begin_ms >= span.end_ms - OVERLAP_MS_MIN
        )
        known.append((span, min(end_ms - span.end_ms, *behind, end_ms)))
    return iter(known)


def _flat(found: Iterator[Tree] | tuple[Tree, ...]) -> Iterator[Span]:
    for span, parts in found:
        yield span
        yield from _flat(parts)
