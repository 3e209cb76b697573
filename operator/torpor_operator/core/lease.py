"""Who leads: the rules of a Kubernetes Lease, as client-go has them. Pure.

Clocks of two machines are never compared: a holder counts as lost when its record has not changed
for as long as it says, measured by the watcher's own clock since it first saw that very record.
Two may lead for a moment all the same; nothing that they do rests on being alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from torpor_kube.documents import version_of
from torpor_kube.port import Document

DURATION_S = 15.0
"""A record that has not changed for so long is anybody's."""

RENEW_DEADLINE_S = 10.0
"""A leader that could not renew for so long stops to be one: well before another begins."""

RETRY_S = 2.0
"""Between two looks, two attempts, two renewals."""


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
        duration_s=float(spec.get("leaseDurationSeconds") or DURATION_S),
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

    def __init__(self, identity: str) -> None:
        self.identity = identity
        self._seen: Record | None = None
        self._seen_at = 0.0
        self._renewed_at: float | None = None

    def decide(self, record: Record | None, now: float) -> Step:
        """What to do about the Lease as it is; None: there is none."""
        if record is None:
            return Take("", 0, "")
        if self._seen is None or record.version != self._seen.version:
            self._seen, self._seen_at = record, now
        if record.holder == self.identity:
            return Take(record.version, record.transitions, record.acquired)
        if record.holder:
            self._renewed_at = None  # Somebody has taken it, for whatever reason.
        if not record.holder or now >= self._seen_at + record.duration_s:
            return Take(record.version, record.transitions + 1, "")
        return Look(min(RETRY_S, self._seen_at + record.duration_s - now))

    def took(self, now: float) -> None:
        """The write succeeded; ``now`` is when it was begun, not when it was answered."""
        self._renewed_at = now

    def leads(self, now: float) -> bool:
        return self._renewed_at is not None and now < self._renewed_at + RENEW_DEADLINE_S


def lease_spec(identity: str, take: Take, now: str) -> Document:
    """``now`` with microseconds, as a Lease has it."""
    return {
        "holderIdentity": identity,
        "leaseDurationSeconds": int(DURATION_S),
        "acquireTime": take.acquired or now,
        "renewTime": now,
        "leaseTransitions": take.transitions,
    }
