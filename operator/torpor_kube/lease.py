"""Who leads: the rules of a Kubernetes Lease, as client-go has them. Pure.

Clocks of two machines are never compared: a holder counts as lost when its record has not changed
for as long as it says, measured by the watcher's own clock since it first saw that very record.
Two may lead for a moment all the same; nothing that they do rests on being alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TypeAlias

from torpor_kube.documents import version_of
from torpor_kube.port import Document


@dataclass(frozen=True, slots=True)
class Terms:
    """How long who leads may be silent. A holder without a word is followed after ``retry_s``,
    until its last renewal has been read, and ``duration_s``."""

    duration_s: int = 15
    """A record that has not changed for so long is anybody's. A Lease has whole seconds."""
    renew_deadline_s: float = 10.0
    """A leader that could not renew for so long is none any more: well before another begins."""
    retry_s: float = 2.0
    """Between two looks, two attempts, two renewals."""
    attempt_s_max: float = 5.0
    """For one look and one write: another attempt fits before a leader steps down."""


UNSAID_DURATION_S = 15.0
"""Of a record whose holder does not say for how long it is his; client-go's own."""


@dataclass(frozen=True, slots=True)
class Record:
    """The Lease as it was read."""

    holder: str
    version: str
    duration_s: float
    transitions: int = 0
    acquired: str = ""


def record_of(document: Document) -> Record:
    spec = document.get("spec") or {}
    return Record(
        holder=spec.get("holderIdentity") or "",
        version=version_of(document),
        duration_s=float(spec.get("leaseDurationSeconds") or UNSAID_DURATION_S),
        transitions=int(spec.get("leaseTransitions") or 0),
        acquired=spec.get("acquireTime") or "",
    )


@dataclass(frozen=True, slots=True)
class Take:
    """Write the Lease as ours: a compare-and-swap on ``version``; empty: create it."""

    version: str
    transitions: int
    acquired: str
    """Empty: now."""


@dataclass(frozen=True, slots=True)
class Look:
    """Somebody else leads: read it again after ``in_s``."""

    in_s: float


Step: TypeAlias = Take | Look


class Elector:
    """One candidate; fed what was read and written, asked what to do."""

    def __init__(self, identity: str, terms: Terms) -> None:
        self.identity = identity
        self._terms = terms
        self._seen: Record | None = None
        self._seen_at = 0.0
        self._leads_until = -inf

    def decide(self, record: Record | None, now: float) -> Step:
        """What to do about the Lease as it is; None: there is none."""
        if record is None:
            return Take("", 0, "")
        if self._seen is None or record.version != self._seen.version:
            self._seen, self._seen_at = record, now
        if record.holder == self.identity:
            return Take(record.version, record.transitions, record.acquired)
        if record.holder:
            self._leads_until = -inf  # Somebody has taken it, for whatever reason.
        if not record.holder or now >= self._seen_at + record.duration_s:
            return Take(record.version, record.transitions + 1, "")
        return Look(min(self._terms.retry_s, self._seen_at + record.duration_s - now))

    def took(self, now: float) -> None:
        """The write succeeded; ``now`` is when it was begun, not when it was answered."""
        self._leads_until = now + self._terms.renew_deadline_s

    def leads(self, now: float) -> bool:
        return self.leads_for_s(now) > 0

    def leads_for_s(self, now: float) -> float:
        """Unless it is renewed; 0: it does not lead."""
        return max(0.0, self._leads_until - now)

    def spec(self, take: Take, now: str) -> Document:
        """The Lease's, when this one takes it; ``now`` with microseconds, as a Lease has it."""
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._terms.duration_s,
            "acquireTime": take.acquired or now,
            "renewTime": now,
            "leaseTransitions": take.transitions,
        }
