"""Makes a recorded trace of what an autoscaler says of its databases, once a second. Pure.

What it says of each that is awake: how long ago it was last used, how many queries were answered
so far, and how many clients there are. So the end of a use is known exactly, and its beginning to
the second between two looks, in the middle of which it is put; pauses of up to a second are none.
Attempts to log in that come to nothing are not known. No database's name gets into the trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from torpor_simulator.life import CU_MAX, CU_MIN, RESOLUTION_S

SAME_USE_S: Final = 0.25
"""So far apart may be what two looks say of the same moment: an answer is on its way that long."""

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Seen:
    """One database at a look, as `torpor_api.messages.UseReport` says it."""

    name: str
    ago_s: float
    """Since its last use; 0: it is in use."""
    queries_total: int
    sessions: int
    cu: float


@dataclass(slots=True)
class _Database:
    number: int
    used_from: float
    used_until: float
    queries_total: int
    queries: int = 0
    cu: float = CU_MIN
    sessions: int = 0
    has_left: bool = False
    """Whether all its clients were once seen to have gone."""
    linger_s: float = 0.0
    """The longest after a use that somebody was still connected, of what was seen."""

    @property
    def name(self) -> str:
        return _name(self.number)

    @property
    def event(self) -> Json:
        took_s = self.used_until - self.used_from
        return {"db": self.name, "at": round(self.used_from, 3), "took": round(took_s, 3)}

    @property
    def about(self) -> Json:
        about: Json = {"db": self.name, "cu": self.cu, "sessions": max(self.sessions, 1)}
        about |= {"linger": round(self.linger_s, 3)} if self.has_left else {}
        return about | {"queries": max(self.queries, 1)}


class Recorder:
    """Takes looks, gives lines of `torpor_simulator.recorded`; some 200 bytes a database."""

    def __init__(self) -> None:
        self._databases: dict[str, _Database] = {}
        self._looked_at = 0.0

    def look(self, at_s: float, seen: Iterable[Seen]) -> list[Json]:
        """``at_s``: since the trace began. Uses that are over by now."""
        lines = []
        for one in seen:
            used_until = max(at_s - one.ago_s, 0.0)
            known = self._databases.get(one.name)
            if known is not None:
                event = self._again(known, one, used_until)
                lines += [] if event is None else [event]
            elif one.ago_s <= at_s:
                known = self._first(one, used_until)
            else:
                continue  # Used before the trace began: not in it, until it is used again.
            _look(known, one)
        self._looked_at = at_s
        return lines

    def end(self, names: Iterable[str]) -> Iterator[Json]:
        """The last uses, and a line about each database; ``names``: of all that there are, also of
        those that were never seen awake."""
        for known in self._databases.values():
            yield known.event
            yield known.about
        unseen = len(set(names) - self._databases.keys())
        for number in range(len(self._databases), len(self._databases) + unseen):
            yield {"db": _name(number)}

    def _first(self, one: Seen, used_until: float) -> _Database:
        """How many queries there were since the look before is not known: if it is not under way,
        one at least."""
        over = int(one.ago_s > 0)
        begin = self._begin(one, over, used_until, 0.0)
        made = _Database(len(self._databases), begin, used_until, one.queries_total, over)
        self._databases[one.name] = made
        return made

    def _again(self, known: _Database, one: Seen, used_until: float) -> Json | None:
        """Gives the use before, where this is another one."""
        queries = one.queries_total - known.queries_total
        if queries < 0:
            queries = one.queries_total  # Its proxy has begun anew.
        known.queries_total = one.queries_total
        if not queries and used_until - known.used_until < SAME_USE_S:
            return None
        known.queries += queries
        begin, event = self._begin(one, queries, used_until, known.used_until), None
        if begin - known.used_until > RESOLUTION_S:
            event, known.used_from = known.event, begin
        known.used_until = max(used_until, known.used_until)
        return event

    def _begin(self, one: Seen, queries: int, used_until: float, used_before: float) -> float:
        """A single query that is over took hardly any time: longer ones were seen under way."""
        if queries == 1 and one.ago_s > 0:
            return used_until
        return min((max(self._looked_at, used_before) + used_until) / 2, used_until)


def _look(known: _Database, one: Seen) -> None:
    known.cu = min(max(one.cu, CU_MIN), CU_MAX)
    known.sessions = max(known.sessions, one.sessions)
    if one.sessions:
        known.linger_s = max(known.linger_s, one.ago_s)
    else:
        known.has_left = True


def _name(number: int) -> str:
    return f"db-{number:06}"
