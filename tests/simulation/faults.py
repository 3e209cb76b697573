"""What may go wrong, by name, and how likely each is while faults are on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random


@dataclass(frozen=True, slots=True)
class Weather:
    """Chances per message, and mean seconds between the blows that befall a whole component."""

    lose_request: float = 0.0
    """It never arrives; the asker hears that the connection was lost."""
    lose_reply: float = 0.0
    """It is done, and the asker hears that the connection was lost."""
    stall: float = 0.0
    """It is done much later, perhaps after the asker has given up."""
    duplicate_event: float = 0.0
    kill_agent_s: float = float("inf")
    kill_postgres_s: float = float("inf")
    drop_connection_s: float = float("inf")
    partition_agent_s: float = float("inf")
    """Nobody reaches the agent, and nobody can say that it is gone; its Postgres lives on."""
    restart_autoscaler_s: float = float("inf")
    restart_proxy_s: float = float("inf")
    end_proxy_s: float = float("inf")
    """Not a fault: a proxy ends in good order, says so, and another one comes."""
    conflict_s: float = float("inf")
    """Somebody else writes the resource: a label, or another spec."""
    fail_start_s: float = float("inf")
    slow_stop_s: float = float("inf")
    """A stop takes longer than its answer is waited for: the disk is slow at its checkpoint."""
    change_role_s: float = float("inf")
    """Not a fault: a client changes who may log in, and only its Postgres knows of it."""
    person_s: float = float("inf")
    """Not a fault, but as untimely: somebody asks for a suspend, or for the reasons."""
    switchover_s: float = float("inf")
    """Nor a fault: somebody moves a database to a fresh compute, under load."""
    drain_s: float = float("inf")
    """Nor a fault: an agent is told to end, whatever it is doing."""
    cut_off_s: float = float("inf")
    """The autoscaler's own network is away for a while; computes, proxies and clients are well."""
    late_watch: float = 0.0
    """Of an API server: it tells of a change seconds after everybody else could read it."""
    silent_watch: float = 0.0
    """A watch of its hears nothing more and does not know it, until the silence is too long."""
    late_answer: float = 0.0
    """What it answers is seconds old when it arrives: newer things were heard or written since."""
    old_cache: float = 0.0
    """It begins a list at the head of a watch with an older state, and catches up."""
    forget_history_s: float = float("inf")
    """It no longer knows what has happened: whoever comes back from a silence must list anew."""


CALM = Weather()


def stormy(random: Random) -> Weather:
    """Each seed has its own storm: some faults often, some never."""

    def chance(most: float) -> float:
        return random.choice((0.0, most / 4, most))

    def every(least_s: float) -> float:
        return random.choice((float("inf"), least_s * 4, least_s))

    return Weather(
        lose_request=chance(0.05),
        lose_reply=chance(0.1),
        stall=chance(0.05),
        duplicate_event=chance(0.2),
        kill_agent_s=every(10.0),
        kill_postgres_s=every(10.0),
        drop_connection_s=every(5.0),
        partition_agent_s=every(20.0),
        restart_autoscaler_s=every(15.0),
        restart_proxy_s=every(20.0),
        end_proxy_s=every(20.0),
        conflict_s=every(2.0),
        fail_start_s=every(10.0),
        slow_stop_s=every(10.0),
        person_s=every(3.0),
        change_role_s=every(0.5),
        switchover_s=every(0.5),
        drain_s=every(3.0),
        cut_off_s=every(40.0),
    )


def stormy_on_kubernetes(random: Random) -> Weather:
    """The same, and what only an API server can do."""
    return replace(
        stormy(random),
        late_watch=random.choice((0.0, 0.02, 0.2)),
        silent_watch=random.choice((0.0, 0.002, 0.02)),
        late_answer=random.choice((0.0, 0.02, 0.2)),
        old_cache=random.choice((0.0, 0.5)),
        forget_history_s=random.choice((float("inf"), 20.0, 2.0)),
    )
