"""A data volume in memory: the ownership records, who has it open, and the commits on it.

A writer works on what it read when it started, as a Postgres does on its caches. So of two writers
at once the later commit overwrites the earlier one's, and the loss shows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from torpor_api.facts import LoginFacts
from torpor_api.failures import Holder, NotFenced, StaleEpoch
from torpor_api.messages import EraseStorage


@dataclass
class Record:
    epoch: int
    compute: str
    is_released: bool = False

    @property
    def holder(self) -> Holder:
        return Holder(self.epoch, "" if self.is_released else self.compute)


@dataclass
class Volume:
    """One database's data."""

    user_id: int = 0
    records: list[Record] = field(default_factory=list)
    writers: dict[str, list[str]] = field(default_factory=dict)
    """Computes whose Postgres has the data open now, each with the commits that it knows."""
    commits: list[str] = field(default_factory=list)
    generation: int = 0
    """Of the spec that roles were last made to match."""
    facts: LoginFacts | None = None
    """Who may log in, as its roles are now; None before the first start."""
    is_damaged: bool = False

    def take(self, epoch: int, compute: str, fenced: Collection[str]) -> None:
        """Create the record of the new epoch. Raises NotFenced or StaleEpoch."""
        last = self.records[-1] if self.records else None
        if last is not None and last.epoch >= epoch:
            raise StaleEpoch(f"epoch {epoch} after {last.epoch}", holder=last.holder)
        if last is not None and not last.is_released and last.compute not in fenced:
            words = f"epoch {last.epoch} is held by {last.compute}"
            raise NotFenced(words, holder=last.holder)
        self.records.append(Record(epoch, compute))

    def erase(self, epoch: int, compute: str, fenced: Collection[str]) -> None:
        """Takes it, where there is one. What comes next is a new database's."""
        if self.records:
            self.take(epoch, compute, fenced)
        self.records, self.commits, self.generation, self.facts = [], [], 0, None

    def release(self, compute: str) -> None:
        for record in self.records:
            if record.compute == compute:
                record.is_released = True

    def open(self, compute: str) -> None:
        self.writers[compute] = list(self.commits)

    def close(self, compute: str) -> None:
        self.writers.pop(compute, None)

    def commit(self, compute: str, what: str) -> None:
        """Durable when this returns."""
        known = self.writers[compute]
        known.append(what)
        self.commits = list(known)


def was_done(order: EraseStorage, done: Iterable[EraseStorage]) -> bool:
    """For this very resource, under this epoch or a later one."""
    of_it = (one for one in done if one.uid and one.uid == order.uid)
    return any(one.epoch >= order.epoch for one in of_it)
