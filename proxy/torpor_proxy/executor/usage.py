"""When the sessions of each database last did something that others may have to hear of."""

from __future__ import annotations

from collections.abc import Collection
from time import monotonic

from torpor_proxy.executor.session import Session


class Usage:
    """Of one endpoint, by database within it."""

    def __init__(self, attached: Collection[Session]) -> None:
        self._attached = attached
        self._before: dict[str, float] = {}
        """Of those that are not attached any more."""
        self._elsewhere = 0.0

    def elsewhere(self, at: float) -> None:
        """Sessions of another proxy may have done something up to then, in any database."""
        self._elsewhere = max(self._elsewhere, at)

    def last_here(self) -> float | None:
        """When a session of this proxy last did something; None: none ever did."""
        return max(self._here().values(), default=None)

    def left(self, session: Session) -> None:
        """It has no backend any more."""
        dbname = session.identity.route.database
        at = monotonic() if session.is_in_flight else session.last_used
        self._before[dbname] = max(self._before.get(dbname, 0.0), at)

    def at(self, dbname: str) -> float:
        """Later than this nobody has notified, as far as is known here."""
        return self.snapshot().get(dbname, self._elsewhere)

    def snapshot(self) -> dict[str, float]:
        """Of all databases at once, for whoever asks for many sessions."""
        return {dbname: max(at, self._elsewhere) for dbname, at in self._here().items()}

    def _here(self) -> dict[str, float]:
        used = dict(self._before)
        for session in self._attached:
            dbname = session.identity.route.database
            # Asked first: that looks at what has passed since.
            is_busy = session.is_busy
            at = monotonic() if is_busy else session.last_used
            used[dbname] = max(used.get(dbname, 0.0), at)
        return used
