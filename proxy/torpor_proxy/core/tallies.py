"""What a proxy counts of all its sessions together: waits, parks, logins, ends. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from torpor_api.messages.latency import BOUNDS_S
from torpor_channel.durations import Counted, Durations
from torpor_proxy.core.refusals import Refusal


class Wait(StrEnum):
    """What a client waits for before its query is passed on."""

    DATABASE = "database"
    """It was not awake, or about to move, when the session came to it."""
    PLACE = "place"
    """It was awake: a connection, and before that somebody else's end, where it has no more."""
    CAPTURE = "capture"
    """What the proxy itself asked the session's backend just then."""


ADMITTED: Final = "00"
"""SQLSTATE's class of what has gone well."""

CLASSES: Final = ("08", "0A", "28", "3D", "42", "53", "54", "55", "57", "58", "XX")
"""Of SQLSTATEs that a client is told by the proxy, its own or those that a compute has given it."""

OTHER: Final = "other"
"""Any class that is none of these: a compute may say what it likes."""


class Tallies:
    """Of one proxy, since it began."""

    __slots__ = ("_logins", "_refusals", "_waits", "abandoned", "attached", "parked")

    def __init__(self) -> None:
        self._waits = {wait: Durations(BOUNDS_S) for wait in Wait}
        self._logins = Counter(dict.fromkeys((ADMITTED, *CLASSES, OTHER), 0))
        self._refusals = Counter(dict.fromkeys((*CLASSES, OTHER), 0))
        self.abandoned = 0
        """Connections that ended, or were too slow, before anybody could be admitted or refused."""
        self.attached = 0
        """How often a session has got a backend connection."""
        self.parked = 0
        """How often one was taken from it."""

    def has_waited(self, wait: Wait, seconds: float) -> None:
        self._waits[wait].add(seconds)

    def waited(self) -> Mapping[str, Counted]:
        """How long sessions have waited, by what for; be it in vain."""
        return {wait.value: durations.counted() for wait, durations in self._waits.items()}

    def admitted(self) -> None:
        self._logins[ADMITTED] += 1

    def not_admitted(self, refusal: Refusal) -> None:
        self._logins[_known(refusal)] += 1

    def refused(self, refusal: Refusal) -> None:
        """A session has ended by it."""
        self._refusals[_known(refusal)] += 1

    def logins(self) -> Mapping[str, float]:
        """How they have ended, by SQLSTATE's class."""
        return dict(self._logins)

    def refusals(self) -> Mapping[str, float]:
        """What sessions were told that the proxy has ended, by SQLSTATE's class."""
        return dict(self._refusals)


def _known(refusal: Refusal) -> str:
    return refusal.sqlstate_class if refusal.sqlstate_class in CLASSES else OTHER
