"""What a run says: one line a policy, for people and for programs. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torpor_simulator.fleet import Order, Outcome
from torpor_simulator.latencies import Latency, percentile
from torpor_simulator.policies import Policy

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Line:
    """One policy on one trace."""

    policy: str
    cu_s: float
    dollars: float
    awake_share: float
    wakes: int
    """By queries, which waited."""
    knock_wakes: int
    clock_wakes: int
    """Ahead of the time, by a schedule: nobody waited."""
    cold: int
    """Of the wakes by queries."""
    wait_p50_s: float
    wait_p99_s: float
    wait_p999_s: float
    """Over all queries."""
    database_p99_s: float
    """The same with each database's queries counted as one: what a client of any of them sees."""
    waited_s: float
    """All that clients have waited, together."""
    killed: int
    pool_size_max: int

    def as_json(self) -> Json:
        return {
            "policy": self.policy,
            "cuSeconds": round(self.cu_s, 1),
            "dollars": round(self.dollars, 2),
            "awakeShare": round(self.awake_share, 6),
            "wakes": self.wakes,
            "wakesByKnock": self.knock_wakes,
            "wakesByClock": self.clock_wakes,
            "coldStarts": self.cold,
            "waitP50Seconds": round(self.wait_p50_s, 4),
            "waitP99Seconds": round(self.wait_p99_s, 4),
            "waitP999Seconds": round(self.wait_p999_s, 4),
            "databaseWaitP99Seconds": round(self.database_p99_s, 4),
            "waitedSeconds": round(self.waited_s, 1),
            "clientsKilled": self.killed,
            "warmPoolSizeMax": self.pool_size_max,
        }


def lines(policies: tuple[Policy, ...], outcome: Outcome, price: float) -> list[Line]:
    """``price``: of a CU-hour, in dollars."""
    total, found = outcome.total, []
    for policy, tally, pool in zip(policies, total.tallies, outcome.pools, strict=True):
        cold_share = pool.cold / pool.wakes if pool and pool.wakes else 0.0
        cu_s = tally.cu_s + (pool.cu_s if pool else 0.0)
        waits = _waits(policy, float(tally.wakes), float(tally.caught), cold_share)
        typical = _waits(policy, tally.waiting_shares, tally.caught_shares, cold_share)
        whole_s = tally.awake_s + tally.asleep_s
        found.append(
            Line(
                policy=policy.name,
                cu_s=cu_s,
                dollars=cu_s / 3600 * price,
                awake_share=tally.awake_s / whole_s if whole_s else 0.0,
                wakes=tally.wakes,
                knock_wakes=tally.knock_wakes,
                clock_wakes=tally.clock_wakes,
                cold=round(tally.wakes * cold_share),
                wait_p50_s=percentile(0.5, total.queries, waits),
                wait_p99_s=percentile(0.99, total.queries, waits),
                wait_p999_s=percentile(0.999, total.queries, waits),
                database_p99_s=percentile(0.99, total.used, typical),
                waited_s=sum(count * latency.mean_s for count, latency in waits),
                killed=tally.killed,
                pool_size_max=pool.size_max if pool else 0,
            )
        )
    return found


def _waits(
    policy: Policy, number: float, caught: float, cold_share: float
) -> tuple[tuple[float, Latency], ...]:
    """``caught``: of the number, those that waited for the end of a sleep before."""
    if policy.cold is None:
        return ((number, policy.warm),)
    warm = 1 - cold_share
    return (
        ((number - caught) * warm, policy.warm),
        (caught * warm, policy.warm.behind(policy.falls.takes_s)),
        (number * cold_share, policy.cold),
    )


def rows(found: list[Line]) -> tuple[list[str], list[list[str]]]:
    """A table's header and its cells, as text."""
    header = ["POLICY", "CU-HOURS", "DOLLARS", "AWAKE", "WAKES", "COLD", "P50", "P99", "P99.9"]
    header += ["P99 PER DATABASE", "WAITED", "KILLED"]
    cells = [
        [
            line.policy,
            _amount(line.cu_s / 3600),
            _amount(line.dollars),
            f"{line.awake_share:.2%}",
            f"{line.wakes + line.knock_wakes + line.clock_wakes:,}",
            f"{line.cold:,}",
            _seconds(line.wait_p50_s),
            _seconds(line.wait_p99_s),
            _seconds(line.wait_p999_s),
            _seconds(line.database_p99_s),
            f"{line.waited_s / 3600:,.1f} h",
            f"{line.killed:,}",
        ]
        for line in found
    ]
    return header, cells


def _amount(value: float) -> str:
    """A recorded hour of some databases costs cents."""
    return f"{value:,.0f}" if value >= 100 or not value else f"{value:.3g}"


def _seconds(seconds: float) -> str:
    if not seconds:
        return "0"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"


def as_json(name: str, order: Order, outcome: Outcome, found: list[Line], price: float) -> Json:
    """A whole run, with what it takes to repeat it."""
    return {
        "trace": name,
        "seconds": order.source.duration_s,
        "databases": outcome.total.databases,
        "databasesUsed": outcome.total.used,
        "queries": outcome.total.queries,
        "seed": order.seed,
        "waitingPrice": order.waiting_price,
        "cuHourPrice": price,
        "policies": [line.as_json() for line in found],
    }
