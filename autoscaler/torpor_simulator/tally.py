"""What a policy has cost a fleet: sums that are as large for a million databases as for one."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

from torpor_simulator.life import Life
from torpor_simulator.policies import Policy
from torpor_simulator.replay import Account

HOUR_S = 3600


@dataclass(slots=True)
class Moments:
    """When a pool's databases woke."""

    by_second: array[int]
    """Wakes whose moment is known."""
    by_hour: list[int]
    """The others."""

    def count(self, account: Account) -> None:
        last = len(self.by_second) - 1
        for at in account.woken_at:
            self.by_second[min(int(at), last)] += 1
        for begin, number in account.woken_in:
            self.by_hour[int(begin) // HOUR_S] += number

    def add(self, other: Moments) -> None:
        self.by_second = array("I", map(int.__add__, self.by_second, other.by_second))
        self.by_hour = [*map(int.__add__, self.by_hour, other.by_hour)]


def no_moments(duration_s: float) -> Moments:
    seconds = int(duration_s)
    return Moments(array("I", bytes(4 * seconds)), [0] * -(-seconds // HOUR_S))


@dataclass(slots=True)
class Tally:
    """Of one policy. Shards are added in their order, so that sums are the same to the last bit on
    any number of processes; moments are added by whoever looks at pools."""

    awake_s: float = 0.0
    asleep_s: float = 0.0
    cu_s: float = 0.0
    """Compute-seconds: awake seconds times size, with what a wake and a sleep take besides."""
    wakes: int = 0
    knock_wakes: int = 0
    clock_wakes: int = 0
    killed: int = 0
    waiting_shares: float = 0.0
    """Of each database the share of its queries that waited, added up."""
    caught: int = 0
    caught_shares: float = 0.0
    """The same of those that came while it fell asleep: they are among the others."""
    moments: Moments | None = None
    """When wakes were; None: nobody asks."""

    def count(self, policy: Policy, life: Life, account: Account) -> None:
        """One more database."""
        self.awake_s += account.awake_s
        self.asleep_s += account.asleep_s
        self.cu_s += account.awake_s * life.cu
        self.cu_s += account.sleeps * policy.paid_after_s * life.cu
        self.wakes += account.wakes
        self.caught += account.caught
        self.knock_wakes += account.knock_wakes
        self.clock_wakes += account.clock_wakes
        if life.queries:
            share = min(account.wakes / life.queries, 1.0)
            self.waiting_shares += share
            self.caught_shares += share * account.caught / max(account.wakes, 1)
        if policy.kills_sessions and life.linger_s > (policy.timeout_s or 0.0):
            self.killed += account.sleeps * life.sessions
        if policy.is_ours:
            self.cu_s += account.wakes * policy.warm.mean_s * life.cu
        if self.moments is not None:
            self.moments.count(account)

    def add(self, other: Tally) -> None:
        """Those of another shard."""
        self.awake_s += other.awake_s
        self.asleep_s += other.asleep_s
        self.cu_s += other.cu_s
        self.wakes += other.wakes
        self.knock_wakes += other.knock_wakes
        self.clock_wakes += other.clock_wakes
        self.killed += other.killed
        self.waiting_shares += other.waiting_shares
        self.caught += other.caught
        self.caught_shares += other.caught_shares
