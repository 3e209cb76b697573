"""How long a session keeps its place at a compute while others wait for one. Pure.

To change places costs a capture, a connection, a restore; more than most queries do, and the busier
the machine, the more. So whoever has come stays for about as long as it takes to change: a turn of
that length wastes at most half of the time, however dear changes are, and a client that pauses for
longer than that is not waited for (the break-even of renting and buying).
"""

from __future__ import annotations

from dataclasses import dataclass, field

SHARE_OF_LATEST = 0.1
"""In the moving mean; some ten changes say how it is now."""


@dataclass(slots=True)
class Turns:
    """Of one compute; what is measured are changes of places while somebody waits."""

    shortest_s: float
    """For which a client that pauses is waited for even where changes cost nothing."""
    longest_s: float
    """Nobody is kept waiting for longer by one that does not pause."""
    patience_s: float
    """In which whoever waits should have had a turn."""
    rounds: float = 1.0
    """Turns that follow each other until all who wait now have had one."""
    change_s: float = 0.0
    """What a change takes, as a moving mean: to leave a place, and to take it."""
    _leaving: dict[int, float] = field(default_factory=dict)
    _coming: dict[int, float] = field(default_factory=dict)
    _left_s: float = 0.0
    _come_s: float = 0.0

    @property
    def pause_s(self) -> float:
        """A client that pauses for longer makes way."""
        return max(self.shortest_s, self._affordable_s)

    def tenure_s(self, wanted_s: float) -> float:
        """For which a client that does not pause may stay."""
        return max(wanted_s, self._affordable_s)

    @property
    def _affordable_s(self) -> float:
        fair_s = self.patience_s / max(1.0, self.rounds) - self.change_s
        return min(self.change_s, self.longest_s, fair_s)

    def leaves(self, who: int, now: float) -> None:
        """It is being parked."""
        self._leaving[who] = now

    def stays(self, who: int) -> None:
        """It is not, after all."""
        self._leaving.pop(who, None)

    def left(self, who: int, now: float) -> None:
        """Its place is free."""
        self._coming.pop(who, None)
        if (began := self._leaving.pop(who, None)) is not None:
            self._left_s = _mean(self._left_s, now - began)
            self.change_s = self._left_s + self._come_s

    def comes(self, who: int, now: float) -> None:
        """It has a place, and makes its connection."""
        self._coming[who] = now

    def has_come(self, who: int, now: float) -> None:
        """Its client is served again."""
        if (began := self._coming.pop(who, None)) is not None:
            self._come_s = _mean(self._come_s, now - began)
            self.change_s = self._left_s + self._come_s

    def begin(self) -> None:
        """Another compute: whoever was on the way to or from the one before is so no more."""
        self._leaving.clear()
        self._coming.clear()


def _mean(mean: float, latest: float) -> float:
    return latest if mean == 0.0 else mean + SHARE_OF_LATEST * (latest - mean)
