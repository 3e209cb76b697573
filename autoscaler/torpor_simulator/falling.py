"""What it takes to fall asleep: nobody who shall sleep does so in that very moment."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class Hold(NamedTuple):
    """For how long after a use a database is awake, in seconds."""

    until_s: float
    """Until it falls asleep: who comes later wakes it."""
    asleep_s: float
    """Until it sleeps."""


@dataclass(frozen=True, slots=True)
class Falling:
    """Means, in seconds."""

    late_s: float
    """From the end of the time-out until there is no way back: a use before that is served as any
    other, and one after it wakes the database again."""
    takes_s: float
    """From there until nothing serves it any more; whoever comes meanwhile waits for that, too."""

    def after(self, timeout_s: float) -> Hold:
        until_s = timeout_s + self.late_s
        return Hold(until_s, until_s + self.takes_s)


INSTANT: Final = Falling(0.0, 0.0)
"""As rivals are taken, who publish no figures of it."""

TORPOR_FALLS: Final = Falling(late_s=0.46, takes_s=0.16)
"""On one machine (`loadtests/results/fleet-replay.json`); nobody has measured it on a cluster yet.

The first is the wait for a proxy's sample, which comes once a second and whenever some database has
become idle, and then a checkpoint, during which a use calls the sleep off. The second is the stop.
"""
