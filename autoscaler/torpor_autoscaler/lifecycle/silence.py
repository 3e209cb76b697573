"""Agents that do not answer: is it they, or is it we who hear nobody?

That an agent is silent says nothing of its Postgres: our network may be away, a rule of it not be
in force yet, or a machine have too much to do. So a silent one is asked again and again, and only a
long silence speaks against it. Where several have fallen silent and no agent was heard since, it is
we who are deaf: then silence speaks against nobody, and its time begins anew when one is heard.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torpor_autoscaler.lifecycle.limits import Limits, backoff_s


@dataclass(frozen=True, slots=True)
class Silence:
    """Of the agent of one database."""

    since: float
    """When it first gave no answer; after a deafness of ours, when that was over."""
    asked_at: float
    """When it last gave none."""
    ask_at: float
    """When it is asked again."""
    tries: int = 1
    """Questions in a row that it did not answer."""


class Silences:
    """One per autoscaler, by the names of databases."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._silences: dict[str, Silence] = {}
        self._heard_at = float("-inf")
        """The latest moment at which any agent was heard."""

    def __len__(self) -> int:
        """So many have not answered."""
        return len(self._silences)

    @property
    def is_deaf(self) -> bool:
        """So many have given no answer since any agent was heard that it is our own fault."""
        silent = sum(silence.asked_at > self._heard_at for silence in self._silences.values())
        return silent > self._limits.silent_max

    def of(self, database: str) -> Silence | None:
        return self._silences.get(database)

    def unanswered(self, database: str, now: float) -> None:
        """Its agent gave no answer."""
        before, limits = self._silences.get(database), self._limits
        tries = 1 if before is None else before.tries + 1
        ask_at = now + backoff_s(tries, limits.retry_s_min, limits.retry_s_max)
        since = now if before is None else before.since
        self._silences[database] = Silence(since, now, ask_at, tries)

    def ended(self, database: str) -> None:
        """It has answered, or is asked no more."""
        self._silences.pop(database, None)

    def heard(self, now: float) -> None:
        """An agent has said something: so we can hear, which the cluster's word does not say."""
        if self.is_deaf:
            for database, silence in self._silences.items():
                self._silences[database] = replace(silence, since=now)
        self._heard_at = now
