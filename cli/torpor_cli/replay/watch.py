"""Watches the database that a log is replayed against, as `torpor list` and the others ask."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Final

from torpor_api.failures import Failure
from torpor_cli.client import QUICK_SECONDS_MAX, Json
from torpor_cli.place import Place
from torpor_cli.replay.use import Use

EVERY_S: Final = 1.0
"""Between two looks; a look costs the database nothing, and wakes nobody."""

SETTLE_SECONDS_MAX: Final = 10.0
"""Longer than the autoscaler waits for what a proxy has to tell of a wake."""

ASKED_MAX: Final = 50
"""Transitions of one question: as many as the autoscaler keeps of a database."""


class Watch:
    """Of one database, for as long as its task runs."""

    def __init__(self, place: Place, name: str) -> None:
        self._place = place
        self._name = name
        self._began = time.monotonic()
        self.use = Use()

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.to_thread(self.look)
            await asyncio.sleep(EVERY_S)

    def settle(self) -> None:
        """A last look, and all that the autoscaler still has to tell. Blocks for that."""
        self.look()
        deadline = time.monotonic() + SETTLE_SECONDS_MAX
        while not self.use.is_told and time.monotonic() < deadline:
            time.sleep(EVERY_S / 2)
            with contextlib.suppress(Failure):
                self._ask_transitions()

    def look(self) -> None:
        """Blocks for an answer; none is no failure of the replay."""
        try:
            told = self._asked("AskFleet", names=[self._name])["databases"]
            if not told:
                self.use.missed += 1
                return
            if self.use.look(time.monotonic(), told[0]) or not self.use.is_told:
                self._ask_transitions()
        except Failure:
            self.use.missed += 1

    def _ask_transitions(self) -> None:
        within_s = max(time.monotonic() - self._began, 0.001)
        asks = {"database": self._name, "limit": ASKED_MAX, "within_s": within_s}
        self.use.went(self._asked("AskTransitions", **asks)["transitions"])

    def _asked(self, request: str, **body: object) -> Json:
        return self._place.ask_autoscaler(request, timeout_s=QUICK_SECONDS_MAX, **body)
