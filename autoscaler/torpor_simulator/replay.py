"""One life under policies that wait for a fixed time: when it was awake, and whom it cost what.

The rule is the core's (`torpor_autoscaler/core/sleep.py`): it sleeps once nobody has used it for as
long as the time-out, whoever is connected. Rivals start that clock when the last client has gone.
Who comes while it falls asleep waits until it sleeps, and wakes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, NamedTuple

from torpor_simulator.falling import Hold
from torpor_simulator.life import RESOLUTION_S, Life, Stretch
from torpor_simulator.policies import Policy


@dataclass(slots=True)
class Account:
    """What became of one database under one policy. ``awake_s + asleep_s`` is the whole time."""

    awake_s: float
    """Falling asleep included."""
    asleep_s: float
    wakes: int = 0
    """By a query, which waits."""
    caught: int = 0
    """Of these, by one that came while it fell asleep."""
    knock_wakes: int = 0
    """By who then has asked nothing."""
    clock_wakes: int = 0
    """By a schedule, before anybody came."""
    sleeps: int = 0
    woken_at: list[float] = field(default_factory=list)
    """When wakes were whose moment is known."""
    woken_in: list[tuple[float, int]] = field(default_factory=list)
    """Of the others: so many in the stretch that begins then."""

    def add(self, stretch: Stretch, woken: Longer, slept: Longer, hold: Hold) -> None:
        """``woken``: gaps that ended with a wake; ``slept``: those of them in which it had fallen
        asleep before."""
        number = woken.number * stretch.times
        asleep_s = (slept.sum_s - slept.number * hold.asleep_s) * stretch.times
        self.asleep_s += asleep_s
        self.awake_s -= asleep_s
        self.wakes += number
        self.caught += number - slept.number * stretch.times
        self.sleeps += number
        if woken.ends is None:
            self.woken_in.append((stretch.begin_s, number))
        else:
            self.woken_at += woken.ends

    def end(self, tail_s: float, hold: Hold) -> None:
        """The last gap, which nobody ends."""
        asleep_s = max(tail_s - hold.asleep_s, 0.0)
        self.asleep_s += asleep_s
        self.awake_s -= asleep_s
        self.sleeps += int(tail_s > hold.until_s)


class Longer(NamedTuple):
    """Gaps that are longer than some time."""

    number: int
    sum_s: float
    ends: list[float] | None
    """As a :class:`Stretch` has them."""


NONE: Final = Longer(0, 0.0, [])


def longer(
    gaps: list[float], ends: list[float] | None, ascending: Sequence[float]
) -> dict[float, Longer]:
    """Than each of these times; those that no gap is longer than are left out."""
    found: dict[float, Longer] = {}
    for time_s in ascending:
        if time_s > RESOLUTION_S:
            if ends is not None:
                ends = [end for end, gap in zip(ends, gaps, strict=True) if gap > time_s]
            gaps = [gap for gap in gaps if gap > time_s]
        if not gaps:
            break
        found[time_s] = Longer(len(gaps), sum(gaps), ends)
    return found


def hold_of(policy: Policy, life: Life, timeout_s: float) -> Hold:
    """``timeout_s``: the policy's."""
    if policy.connected_keeps_awake:
        return policy.falls.after(timeout_s + life.linger_s)
    return policy.falls.after(timeout_s)


def accounts(life: Life, holds: Sequence[Hold], duration_s: float) -> dict[Hold, Account]:
    """Of each, all at once: who sleeps after a long time has slept after a short one."""
    found = {hold: _outside(life, hold, duration_s) for hold in holds}
    times = sorted({time_s for hold in found for time_s in hold if time_s < inf})
    for stretch in life.stretches:
        gaps = longer(stretch.gaps, stretch.ends, times)
        for hold, account in found.items():
            if woken := gaps.get(hold.until_s):
                account.add(stretch, woken, gaps.get(hold.asleep_s, NONE), hold)
    return found


def _outside(life: Life, hold: Hold, duration_s: float) -> Account:
    """Before the first use and after the last."""
    if hold.until_s == inf:
        return Account(duration_s, 0.0)
    account = Account(duration_s - life.lead_s, life.lead_s)
    if life.is_used:
        account.wakes = 1
        account.woken_at.append(life.lead_s)
        account.end(life.tail_s, hold)
    return account


def knocked(life: Life, hold_s: float, timeout_s: float, duration_s: float) -> Account:
    """Where a mere attempt to log in wakes it: moment by moment, which is for rarely used ones.

    Only rivals do so, who fall asleep in no time.
    """
    if hold_s == inf:
        return Account(duration_s, 0.0)
    account = Account(duration_s, 0.0)
    awake_until, asleep_s = 0.0, 0.0
    for at, is_query, used_until in moments(life, duration_s):
        if at > awake_until:
            asleep_s += at - awake_until
            account.sleeps += int(awake_until > 0)
            if is_query:
                account.wakes += 1
            else:
                account.knock_wakes += 1
        awake_until = max(awake_until, used_until + (hold_s if is_query else timeout_s))
    if duration_s > awake_until:
        asleep_s += duration_s - awake_until
        account.sleeps += int(awake_until > 0)
    account.asleep_s, account.awake_s = asleep_s, duration_s - asleep_s
    return account


def moments(life: Life, duration_s: float) -> list[tuple[float, bool, float]]:
    """Everything that happens, in order: when, whether it is a query, and until when that lasts."""
    found = [(at, False, at) for at in life.knocks]
    if life.is_used:
        begin = life.lead_s
        for stretch in life.stretches:
            gaps = stretch.gaps * stretch.times
            ends = stretch.ends or _spread(stretch.begin_s, gaps)
            for gap, end in zip(gaps, ends, strict=True):
                found.append((begin, True, end - gap))
                begin = end
        found.append((begin, True, duration_s - life.tail_s))
    return sorted(found)


def _spread(begin_s: float, gaps: list[float]) -> list[float]:
    """One after the other: of a dense stretch only the gaps are known."""
    ends, now = [], begin_s
    for gap in gaps:
        now += gap
        ends.append(now)
    return ends
