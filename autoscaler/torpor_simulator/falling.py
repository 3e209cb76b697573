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

SEEN_IDLE_S: Final = 0.3
"""From the end of the time-out until a proxy's next sample has told that nobody uses it, and that
was believed. Proxies send one a second, and whenever some database has become idle. The median of
`loadtests/results/fleet-replay.json`; half a second for the only database of a proxy."""

SUSPEND_S: Final = 0.32
"""From there until it sleeps: the median with 1,000 sessions of `loadtests/results/park.json`."""

NO_WAY_BACK_SHARE: Final = 0.5
"""Of a suspend: its checkpoint comes first, during which a use calls it off (logs of fleet-replay:
0.4 to 0.8 of it)."""

TORPOR_FALLS: Final = Falling(
    late_s=SEEN_IDLE_S + NO_WAY_BACK_SHARE * SUSPEND_S,
    takes_s=(1 - NO_WAY_BACK_SHARE) * SUSPEND_S,
)
"""On one machine; nobody has measured it on a cluster yet."""
