"""pgbench scripts, as people name them, and what pgbench writes of its transactions. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from torpor_api.failures import InvalidRequest
from torpor_cli.output import count, printable, table
from torpor_cli.replay.figures import Times
from torpor_cli.replay.outcome import QUANTILES, Json, Outcome, quantiles, use_as_json

WEIGHT_MAX = 1_000_000

ERRORS_SHOWN = 10
"""Of pgbench's own lines."""

_WEIGHED = re.compile(r"(.+)@(\d+)", re.DOTALL)

_ABORTED = re.compile(r"client \d+ .*aborted")


@dataclass(frozen=True, slots=True)
class Script:
    """A file, and how often it is chosen beside the others."""

    path: Path
    weight: int = 1


def named(text: str) -> Script:
    """``FILE``, or ``FILE@WEIGHT``. Raises InvalidRequest."""
    found = _WEIGHED.fullmatch(text)
    if found is None or Path(text).exists():
        return Script(Path(text))
    if int(found[2]) > WEIGHT_MAX:
        raise InvalidRequest(f"{text}: a weight is a number from 0 to {WEIGHT_MAX}")
    return Script(Path(found[1]), int(found[2]))


@dataclass(slots=True)
class Transactions:
    """Those that have ended."""

    times: Times = field(default_factory=Times)
    failed: dict[str, int] = field(default_factory=dict)
    """By what pgbench calls it: serialization, deadlock, skipped, failed."""
    aborted: int = 0
    """Clients that an error has ended."""
    said: list[str] = field(default_factory=list)
    """The first of pgbench's errors."""
    status: int = 0
    """pgbench's exit status where nobody has stopped it: negative is the signal that has."""

    def take(self, line: str) -> None:
        """One of pgbench's log: client, transaction, microseconds or what failed, script, …"""
        words = line.split(maxsplit=3)
        if len(words) < 4:
            return  # pgbench was ended amid of it.
        if words[2].isdigit():
            self.times.add(int(words[2]) / 1000)
        else:
            self.failed[words[2]] = self.failed.get(words[2], 0) + 1

    def hear(self, line: str) -> None:
        """One of its standard error."""
        self.aborted += bool(_ABORTED.search(line))
        if "error:" in line and len(self.said) < ERRORS_SHOWN:
            self.said.append(printable(line.strip()))

    def ended(self, status: int) -> None:
        """pgbench is gone, with that exit status."""
        self.status = status
        if status and not self.said:
            self.said.append(f"pgbench has ended with exit status {status}, and did not say why")


@dataclass(frozen=True, slots=True)
class ScriptOutcome(Outcome):
    """Of pgbench scripts."""

    transactions: Transactions = field(default_factory=Transactions)
    clients: int = 1

    @property
    def has_failed(self) -> bool:
        return bool(self.transactions.aborted or self.transactions.status) or self.is_empty

    @property
    def is_empty(self) -> bool:
        """Its time was over before a transaction was: so nothing has been tried."""
        return not (self.transactions.times.count or self.transactions.failed or self.ended_early)


def as_json(outcome: ScriptOutcome) -> Json:
    """For programs."""
    done = outcome.transactions
    return {
        "target": outcome.target,
        "seconds": round(outcome.took_s, 3),
        "endedEarly": outcome.ended_early,
        "clients": outcome.clients,
        "transactions": done.times.count,
        "transactionsPerSecond": round(done.times.count / max(outcome.took_s, 0.001), 3),
        "failed": done.failed,
        "clientsAborted": done.aborted,
        "errors": done.said,
        "latencyMs": quantiles(done.times),
        "use": use_as_json(outcome),
        "ok": not outcome.has_failed,
    }


def story(outcome: ScriptOutcome, use_story: str) -> str:
    """For people."""
    done, early = outcome.transactions, ", ended early" if outcome.ended_early else ""
    head = (
        f"{count(done.times.count, 'transaction')} of {count(outcome.clients, 'client')} in "
        f"{outcome.took_s:.1f} s, {done.times.count / max(outcome.took_s, 0.001):,.1f} a second, "
        f"on {outcome.target}{early}"
    )
    rows = [[name, f"{done.times.percentile(at) or 0:.3g} ms"] for name, at in QUANTILES.items()]
    parts = [head, table(["LATENCY", "NOW"], rows, right=[1]) if done.times.count else ""]
    parts.append("\n".join(f"{times:,} {what}" for what, times in sorted(done.failed.items())))
    if done.aborted:
        ended = "client was" if done.aborted == 1 else "clients were"
        parts.append("\n".join([f"{done.aborted} {ended} ended by an error:", *done.said]))
    elif done.status:
        parts.append("\n".join(done.said))
    elif outcome.is_empty:
        parts.append("nothing has been tried: its time was over before a transaction was")
    return "\n\n".join(part for part in (*parts, use_story) if part)
