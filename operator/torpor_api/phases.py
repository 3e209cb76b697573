"""The phases of a database, and the only ways from one to the next.

The table is the state machine: whoever changes a phase asks :func:`may_follow` first, and the test
suite enumerates every pair, legal and illegal.
"""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """What a database is doing; for people and for metrics."""

    SUSPENDED = "Suspended"
    RESUMING = "Resuming"
    ACTIVE = "Active"
    SUSPENDING = "Suspending"
    FAILED = "Failed"


TRANSITIONS: dict[Phase, frozenset[Phase]] = {
    Phase.SUSPENDED: frozenset({Phase.RESUMING, Phase.FAILED}),
    # Back to Suspended when a start was given up with the volume known to be released.
    Phase.RESUMING: frozenset({Phase.ACTIVE, Phase.SUSPENDED, Phase.FAILED}),
    # Straight to Resuming when the compute was lost and the fencer confirmed it.
    Phase.ACTIVE: frozenset({Phase.SUSPENDING, Phase.RESUMING, Phase.FAILED}),
    # Back to Active when a session turned out to be busy: nothing has changed for anybody.
    Phase.SUSPENDING: frozenset({Phase.SUSPENDED, Phase.ACTIVE, Phase.RESUMING, Phase.FAILED}),
    # Out of Failed by the next attempt: a wake, or a person who repaired the cause.
    Phase.FAILED: frozenset({Phase.RESUMING, Phase.SUSPENDED}),
}


def may_follow(current: Phase, following: Phase) -> bool:
    """Whether ``following`` may come right after ``current``."""
    return following in TRANSITIONS[current]


def as_mermaid() -> str:
    """The table as a Mermaid state diagram, for ARCHITECTURE.md."""
    lines = ["stateDiagram-v2", "    [*] --> Suspended"]
    for current, followers in TRANSITIONS.items():
        lines += [f"    {current} --> {phase}" for phase in Phase if phase in followers]
    return "\n".join(lines)
