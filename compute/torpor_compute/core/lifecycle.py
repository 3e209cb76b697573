"""What an agent is, and the only ways from one state to the next.

The table is the state machine: the executor asks :func:`after` and never sets a state by itself,
and the test suite enumerates every pair, legal and illegal. There is no way back to WARM: an agent
serves one database in its life, and one that has erased a volume serves none.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """For ``AskAgentState`` and the log."""

    WARM = "warm"
    """Bound to no database."""
    STARTING = "starting"
    """Claimed; takes the volume, and starts Postgres on it or erases it."""
    REFUSED = "refused"
    """Claimed, but it could not take the volume: it holds nothing and may try again."""
    RUNNING = "running"
    RESTARTING = "restarting"
    """Postgres died unasked; it comes back under the same epoch. Told as ``starting``."""
    STOPPING = "stopping"
    STOPPED = "stopped"
    """Postgres is gone, the volume released. The agent waits to be ended."""
    FAILED = "failed"
    """Postgres is gone and does not come back under this agent."""
    ERASED = "erased"
    """A volume is. It erases others when it is asked to, and never serves anybody."""


class Happening(StrEnum):
    """What moves an agent from state to state."""

    CLAIMED = "claimed"
    REFUSED = "refused"
    READY = "ready"
    GAVE_UP = "gave up"
    LOST = "lost"
    STOP_ASKED = "stop asked"
    FOUND_BUSY = "found busy"
    GONE = "gone"
    ERASED = "erased"


TRANSITIONS: dict[tuple[State, Happening], State] = {
    (State.WARM, Happening.CLAIMED): State.STARTING,
    (State.REFUSED, Happening.CLAIMED): State.STARTING,
    (State.STARTING, Happening.REFUSED): State.REFUSED,
    (State.STARTING, Happening.READY): State.RUNNING,
    (State.STARTING, Happening.GAVE_UP): State.FAILED,
    (State.STARTING, Happening.ERASED): State.ERASED,
    (State.ERASED, Happening.CLAIMED): State.STARTING,
    (State.RUNNING, Happening.LOST): State.RESTARTING,
    (State.RUNNING, Happening.STOP_ASKED): State.STOPPING,
    (State.RESTARTING, Happening.READY): State.RUNNING,
    (State.RESTARTING, Happening.GAVE_UP): State.FAILED,
    # Nothing has changed for anybody.
    (State.STOPPING, Happening.FOUND_BUSY): State.RUNNING,
    # Also where Postgres died meanwhile: gone is gone, and the next start recovers.
    (State.STOPPING, Happening.GONE): State.STOPPED,
    # Postgres is gone, but that its data is on disk can't be said: the volume stays held.
    (State.STOPPING, Happening.GAVE_UP): State.FAILED,
}


class IllegalTransition(Exception):
    """A defect of the agent: nothing that anybody asks leads here."""


def after(state: State, happening: Happening) -> State:
    """The state that follows. Raises IllegalTransition, and nothing has changed."""
    following = TRANSITIONS.get((state, happening))
    if following is None:
        raise IllegalTransition(f"{happening!r} can't happen to an agent that is {state!r}")
    return following


def as_mermaid() -> str:
    """The table as a Mermaid state diagram, for the documentation."""
    lines = ["stateDiagram-v2", f"    [*] --> {State.WARM}"]
    lines += [f"    {a} --> {b}: {why}" for (a, why), b in TRANSITIONS.items()]
    return "\n".join(lines)
