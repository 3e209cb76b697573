"""One life under ``idleTimeout: auto``: the very functions of `torpor_autoscaler.core` decide.

A real autoscaler may choose anew at every gap. A million databases would take a day that way, so
here one does at each of its first gaps and then whenever enough of its memory is new; and of a
dense hour it is told the last gaps only, because older ones have faded from that memory anyway.
"""

from __future__ import annotations

from typing import Final

from torpor_autoscaler.core.idle_timeout import HALF_LIFE_GAPS, Gaps, Terms, choose_timeout
from torpor_simulator.latencies import TORPOR_WARM
from torpor_simulator.life import RESOLUTION_S, Life, Stretch
from torpor_simulator.policies import COMPUTE_ENDS_S
from torpor_simulator.replay import Account, add

CHOICES_AT_FIRST: Final = 8
CHOICE_EVERY: Final = HALF_LIFE_GAPS // 2
"""Gaps between two choices after those: a third of what it remembers is new then."""

DENSE_GAPS_TOLD_MAX: Final = HALF_LIFE_GAPS
"""Of an hour; and the hours' choices are renewed for the first few, then every fourth."""

DENSE_HOURS_AT_FIRST, DENSE_CHOICE_EVERY = 4, 4


def terms_for(cu: float, waiting_price: float) -> Terms:
    """A wake costs what is paid for it here: the start, and the compute that is still there after a
    sleep."""
    return Terms(
        waiting_price=waiting_price,
        wake_wait_s=TORPOR_WARM.mean_s,
        wake_cu_s=(COMPUTE_ENDS_S + TORPOR_WARM.mean_s) * cu,
        cu=cu,
        timeout_s_min=RESOLUTION_S,
    )


def account(life: Life, terms: Terms, duration_s: float) -> Account:
    """Of a database that knows nothing at the beginning."""
    found = Account(duration_s - life.lead_s, life.lead_s)
    if not life.is_used:
        return found
    found.wakes = 1
    found.woken_at.append(life.lead_s)
    memory, timeout_s = Gaps(), terms.break_even_s
    for number, stretch in enumerate(life.stretches):
        if stretch.ends is not None:
            timeout_s = _each(found, stretch, stretch.ends, memory, terms)
            continue
        if number <= DENSE_HOURS_AT_FIRST or not number % DENSE_CHOICE_EVERY:
            timeout_s = choose_timeout(memory, terms).timeout_s
        _hour(found, stretch, timeout_s, memory, terms)
    left_s = life.tail_s - timeout_s
    if left_s > 0:
        found.asleep_s += left_s
        found.awake_s -= left_s
        found.sleeps += 1
    return found


def _each(found: Account, stretch: Stretch, ends: list[float], memory: Gaps, terms: Terms) -> float:
    """From choice to choice; gives the time-out that was chosen last."""
    timeout_s, begin = choose_timeout(memory, terms).timeout_s, 0
    while begin < len(stretch.gaps):
        if begin < CHOICES_AT_FIRST:
            until = begin + 1
        else:
            until = (begin // CHOICE_EVERY + 1) * CHOICE_EVERY
        gaps = stretch.gaps[begin:until]
        if slept := [gap for gap in gaps if gap > timeout_s]:
            of_these = zip(gaps, ends[begin:until], strict=True)
            woken_at = [end for gap, end in of_these if gap > timeout_s]
            add(found, stretch, len(slept), woken_at, sum(slept) - len(slept) * timeout_s)
        memory.add_each(gaps, timeout_s, terms)
        if until <= len(stretch.gaps):
            timeout_s = choose_timeout(memory, terms).timeout_s
        begin = until
    return timeout_s


def _hour(found: Account, stretch: Stretch, timeout_s: float, memory: Gaps, terms: Terms) -> None:
    slept = [gap for gap in stretch.gaps if gap > timeout_s]
    if slept:
        add(found, stretch, len(slept), None, sum(slept) - len(slept) * timeout_s)
    memory.add_each(stretch.gaps[-DENSE_GAPS_TOLD_MAX:], timeout_s, terms)
