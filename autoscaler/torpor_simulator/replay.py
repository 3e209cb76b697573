"""One life under policies that wait for a fixed time: when it was awake, and whom it cost what.

The rule is the core's (`torpor_autoscaler/core/sleep.py`): it sleeps once nobody has used it for as
long as the time-out, whoever is connected. Rivals start that clock when the last client has gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf

from torpor_simulator.life import RESOLUTION_S, Life, Stretch
from torpor_simulator.policies import Policy


@dataclass(slots=True)
class Account:
    """What became of one database under one policy. ``awake_s + asleep_s`` is the whole time."""

    awake_s: float
    asleep_s: float
    wakes: int = 0
    """By a query, which waits."""
    knock_wakes: int = 0
    """By who then has asked nothing."""
    sleeps: int = 0
    woken_at: list[float] = field(default_factory=list)
    """When wakes were whose moment is known."""
    woken_in: list[tuple[float, int]] = field(default_factory=list)
    """Of the others: so many in the stretch that begins then."""


def hold_s(policy: Policy, life: Life, timeout_s: float) -> float:
    """How long after a use it stays awake."""
    if policy.connected_keeps_awake:
        return timeout_s + life.linger_s
    return timeout_s


def accounts(life: Life, holds: Sequence[float], duration_s: float) -> dict[float, Account]:
    """Of each time that it is held awake for, all at once: who sleeps after a long time has slept
    after a short one."""
    found = {hold: Account(duration_s, 0.0) for hold in holds}
    ascending = [hold for hold in sorted(found) if hold < inf]
    for hold in ascending:
        found[hold] = _outside(life, hold, duration_s)
    for stretch in life.stretches:
        gaps, ends = stretch.gaps, stretch.ends
        for hold in ascending:
            if hold > RESOLUTION_S:
                if ends is not None:
                    ends = [end for end, gap in zip(ends, gaps, strict=True) if gap > hold]
                gaps = [gap for gap in gaps if gap > hold]
            if not gaps:
                break
            add(found[hold], stretch, len(gaps), ends, sum(gaps) - len(gaps) * hold)
    return found


def _outside(life: Life, hold: float, duration_s: float) -> Account:
    """Before the first use and after the last."""
    account = Account(duration_s, 0.0)
    before_s, after_s = life.lead_s, max(life.tail_s - hold, 0.0)
    account.asleep_s = before_s + after_s
    account.awake_s = duration_s - account.asleep_s
    if life.is_used:
        account.wakes = 1
        account.woken_at.append(life.lead_s)
        account.sleeps = int(after_s > 0)
    return account


def add(
    account: Account, stretch: Stretch, number: int, ends: list[float] | None, asleep_s: float
) -> None:
    """Of a stretch: in how many of its gaps it slept, when they ended, and for how long in all."""
    account.asleep_s += asleep_s * stretch.times
    account.awake_s -= asleep_s * stretch.times
    account.wakes += number * stretch.times
    account.sleeps += number * stretch.times
    if ends is None:
        account.woken_in.append((stretch.begin_s, number * stretch.times))
    else:
        account.woken_at += ends


def knocked(life: Life, hold: float, timeout_s: float, duration_s: float) -> Account:
    """Where a mere attempt to log in wakes it: moment by moment, which is for rarely used ones."""
    if hold == inf:
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
        awake_until = max(awake_until, used_until + (hold if is_query else timeout_s))
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
