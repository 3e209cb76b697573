"""One life under ``idleTimeout: auto``: the very functions of `torpor_autoscaler.core` decide.

A real autoscaler may choose anew at every gap. A million databases would take a day that way, so
here one does at each of its first gaps and then whenever enough of its memory is new; and of a
dense hour it is told the last gaps only, because older ones have faded from that memory anyway.
"""

from __future__ import annotations

from typing import Final

from torpor_autoscaler.core.idle_timeout import HALF_LIFE_GAPS, Gaps, Terms, choose_timeout
from torpor_simulator.falling import TORPOR_FALLS, Falling, Hold
from torpor_simulator.latencies import TORPOR_WARM
from torpor_simulator.life import RESOLUTION_S, Life, Stretch
from torpor_simulator.policies import COMPUTE_ENDS_S
from torpor_simulator.replay import NONE, Account, longer

CHOICES_AT_FIRST: Final = 8
CHOICE_EVERY: Final = HALF_LIFE_GAPS // 2
"""Gaps between two choices after those: a third of what it remembers is new then."""

DENSE_GAPS_TOLD_MAX: Final = HALF_LIFE_GAPS
"""Of an hour; and the hours' choices are renewed for the first few, then every fourth."""

DENSE_HOURS_AT_FIRST, DENSE_CHOICE_EVERY = 4, 4


def terms_for(cu: float, waiting_price: float) -> Terms:
    """A wake costs what is paid for it here: the sleep before it, the compute that is still there
    after that, and the start."""
    return Terms(
        waiting_price=waiting_price,
        wake_wait_s=TORPOR_WARM.mean_s,
        wake_cu_s=(TORPOR_FALLS.takes_s + COMPUTE_ENDS_S + TORPOR_WARM.mean_s) * cu,
        cu=cu,
        timeout_s_min=RESOLUTION_S,
    )


def account(life: Life, terms: Terms, falls: Falling, duration_s: float) -> Account:
    """Of a database that knows nothing at the beginning."""
    found = Account(duration_s - life.lead_s, life.lead_s)
    if not life.is_used:
        return found
    found.wakes = 1
    found.woken_at.append(life.lead_s)
    memory, timeout_s = Gaps(), terms.break_even_s
    for number, stretch in enumerate(life.stretches):
        if stretch.ends is not None:
            timeout_s = _each(found, stretch, stretch.ends, memory, terms, falls)
            continue
        if number <= DENSE_HOURS_AT_FIRST or not number % DENSE_CHOICE_EVERY:
            timeout_s = choose_timeout(memory, terms).timeout_s
        _sleep(found, stretch, stretch.gaps, None, falls.after(timeout_s))
        memory.add_each(stretch.gaps[-DENSE_GAPS_TOLD_MAX:], timeout_s, terms)
    found.end(life.tail_s, falls.after(timeout_s))
    return found


def _each(
    found: Account,
    stretch: Stretch,
    ends: list[float],
    memory: Gaps,
    terms: Terms,
    falls: Falling,
) -> float:
    """From choice to choice; gives the time-out that was chosen last."""
    timeout_s, begin = choose_timeout(memory, terms).timeout_s, 0
    while begin < len(stretch.gaps):
        if begin < CHOICES_AT_FIRST:
            until = begin + 1
        else:
            until = (begin // CHOICE_EVERY + 1) * CHOICE_EVERY
        gaps = stretch.gaps[begin:until]
        _sleep(found, stretch, gaps, ends[begin:until], falls.after(timeout_s))
        memory.add_each(gaps, timeout_s, terms)
        if until <= len(stretch.gaps):
            timeout_s = choose_timeout(memory, terms).timeout_s
        begin = until
    return timeout_s


def _sleep(
    found: Account, stretch: Stretch, gaps: list[float], ends: list[float] | None, hold: Hold
) -> None:
    """In those of the gaps that are long enough."""
    long = longer(gaps, ends, hold)
    if woken := long.get(hold.until_s):
        found.add(stretch, woken, long.get(hold.asleep_s, NONE), hold)
