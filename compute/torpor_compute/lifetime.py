"""When an agent that nobody looks after ends by itself.

`torpor up` ends its agents. In a pod nobody does: what is used up ends, so that its pod is done and
can be cleared away. Not at once: whoever asked for the stop may have to ask for its answer again.
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from torpor_compute.core.lifecycle import State

END_SECONDS_MAX = 7.0
"""For a fast shutdown when the agent is told to end; `torpor up` kills it after 10 s, and a kubelet
after the time that its pod says."""

LINGER_SECONDS = 5.0
"""After the end of its Postgres. A lost answer is asked for again within a second or two."""

ERASED_SECONDS_MAX = 30.0
"""After an erase, for the next one: many databases are often deleted together, and a pod costs more
than most erases do. Long enough for whoever looks again every ten seconds who is free."""

REFUSED_SECONDS_MAX = 120.0
"""One whose claim was refused may be asked again for as long as a wake lasts, and no longer."""


class Lifetime:
    """Hears of each state of the agent."""

    def __init__(self, linger_seconds: float = LINGER_SECONDS) -> None:
        self._linger_seconds = linger_seconds
        self.is_over = asyncio.Event()
        """Nothing more can become of the agent."""
        self.may_leave = asyncio.Event()
        """Nobody needs it: it has no Postgres, and nobody waits for an answer about one."""
        self.may_leave.set()
        self.has_failed = False
        self._timer: asyncio.TimerHandle | None = None

    def became(self, state: State) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self.has_failed = state in (State.FAILED, State.REFUSED)
        match state:
            case State.WARM:
                self.may_leave.set()
            case State.REFUSED:
                self.may_leave.set()
                self._over_in(REFUSED_SECONDS_MAX)
            case State.ERASED:
                self.may_leave.set()
                self._over_in(ERASED_SECONDS_MAX)
            case State.STARTING | State.RUNNING | State.RESTARTING | State.STOPPING:
                self.may_leave.clear()
            case State.STOPPED | State.FAILED:
                self._over_in(self._linger_seconds)
            case _:
                assert_never(state)

    def _over_in(self, seconds: float) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._over)

    def _over(self) -> None:
        self.is_over.set()
        self.may_leave.set()
