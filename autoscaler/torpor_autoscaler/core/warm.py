"""How many agents wait warm, so that a wake finds one.

**The rule.** Who claims a member has it replaced at once; while that lasts it is missing. Wakes
that come independently of each other, at a rate, find so many members missing as came within one
replacement: a Poisson number, whatever the spread of that time (Palm's theorem; a warehouse calls
it a base stock). The pool is the smallest for which the stated share of wakes finds a member left.

**The rate** is the largest of what was seen of late and of what this time of the hour or of the day
has brought before, looked up ``ahead_s`` in advance. Wakes that don't come independently, a hundred
at :00, are no matter of rates: of each minute it is also known how many came within one
replacement, and so many wait.

**No flapping.** A pool grows at once, and shrinks when for ``STEADY_S`` nothing has asked for as
many: what one second wants and the next does not is neither made nor ended.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from enum import Enum
from math import ceil, exp, lgamma, log
from typing import Final

from torpor_api.values import WARM_MAX
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.core.wakes import RECENT_S, Wakes

WINDOWS_S: Final = (60.0, 600.0)
"""Over which the recent rate is taken, the larger one counts: the first sees a rise within seconds,
the second keeps a fall from being one minute's chance."""

FOUND_SHARE: Final = 0.999
"""Of the wakes, where nobody says otherwise: then a cold start is rarer than most fleets see any
other hitch, and one more member for it costs a twentieth of a CU."""

STEADY_S: Final = 60.0
"""For so long a size stands though fewer would do: over the shorter of the windows a wake counts,
so its end alone must not have a compute ended that the next wake has made again."""

REPLACE_SHARE: Final = 0.2
REPLACE_OUTLIER: Final = 4.0
"""Of each measured replacement in the mean, and as how many times the mean it counts at most: one
that waited for room on a full node says little of the next, five in a row change the mean."""

REPLACE_S_MIN: Final = 0.1
"""Nothing starts in less, whatever two clocks say of it."""


@dataclass(frozen=True, slots=True)
class PoolTerms:
    """What a pool may cost, and what it has to give."""

    replace_s: float
    """From a claim until another member is warm: the mean of those measured."""
    probability: float = FOUND_SHARE
    """Of the wakes, that find a member warm; 0: nothing is asked for but the least."""
    least: int = 2
    """Wait at all times. With one, of the rare wakes of a quiet night more than one in a thousand
    would come right behind another."""
    most: int = 100
    """Never more, whatever is foreseen: what one pool may cost."""
    ahead_s: float = 60.0
    """So long before they are needed members are started: a hundred at once take longer than one,
    and not every clock is right."""
    member_cu: float = 0.05
    """What a waiting member takes, in CU: an agent that does nothing, some 200 MiB of 4 GiB."""

    def __post_init__(self) -> None:
        if not 0 < self.replace_s <= RECENT_S:
            raise ValueError(f"replace_s {self.replace_s}: allowed is up to {RECENT_S} s, above 0")
        if not 0 <= self.probability < 1:
            raise ValueError(f"probability {self.probability}: allowed is from 0 on, below 1")
        if not 0 <= self.least <= self.most <= WARM_MAX:
            bounds = f"least {self.least}, most {self.most}"
            raise ValueError(f"{bounds}: allowed is 0 <= least <= most <= {WARM_MAX}")
        if not 0 <= self.ahead_s <= RECENT_S:
            raise ValueError(f"ahead_s {self.ahead_s}: allowed is 0 to {RECENT_S} s")
        if not 0 <= self.member_cu < float("inf"):
            raise ValueError(f"member_cu {self.member_cu}: allowed is a number from 0 on")


class Demand(Enum):
    """What has asked for so many."""

    LEAST = "the least"
    RECENT = "wakes of late"
    FORESEEN = "what this time of the hour or day has brought"
    AT_ONCE = "as many came at once at this time before"
    STEADY = "what was wanted until just now"


@dataclass(frozen=True, slots=True)
class PoolChoice:
    """How many shall wait."""

    size: int
    wanted: int
    """Without the upper bound."""
    demand: Demand
    missing: float
    """Members that a wake finds missing on average, by the rate."""
    terms: PoolTerms

    @property
    def miss_probability(self) -> float:
        """Of a wake, by the rate."""
        return 1.0 - poisson_cdf(self.size - 1, self.missing)

    @property
    def cost_cu(self) -> float:
        """That waiting members take together, at every moment."""
        return self.size * self.terms.member_cu

    @property
    def decision(self) -> Decision:
        wants = f" of {self.wanted} wanted" if self.wanted > self.size else ""
        follows = f"{self.size}{wants} wait warm for {self.cost_cu:.3g} CU, by {self.demand.value}"
        if self.demand is Demand.AT_ONCE:
            metric = "wakes within one replacement"
            wanted, size = float(self.wanted), float(self.size)
            return Decision(Loop.WARM_POOL, metric, wanted, size, "", self.terms.replace_s, follows)
        metric, allowed = "share of wakes that find none", 1 - self.terms.probability
        found = self.miss_probability
        return Decision(Loop.WARM_POOL, metric, found, allowed, "", self.terms.replace_s, follows)


def choose_warm(wakes: Wakes, terms: PoolTerms, now_s: float) -> PoolChoice:
    """``now_s``: seconds since 1970, since patterns go by the clock."""
    wakes.advance(now_s)
    recent = max(wakes.rate(window_s) for window_s in WINDOWS_S) * terms.replace_s
    foreseen = wakes.foresee(terms.replace_s + terms.ahead_s)
    learned = foreseen.rate * terms.replace_s
    demands = [(terms.least, Demand.LEAST)]
    if terms.probability:
        demands += [
            (base_stock(recent, terms.probability), Demand.RECENT),
            (base_stock(learned, terms.probability), Demand.FORESEEN),
            (ceil(foreseen.peak), Demand.AT_ONCE),
        ]
    wanted, demand = max(demands, key=lambda pair: pair[0])
    return PoolChoice(min(wanted, terms.most), wanted, demand, max(recent, learned), terms)


def base_stock(missing: float, probability: float) -> int:
    """The least stock of which a wake finds one left, where so many are missing on average.

    Nothing where no wake comes; ``WARM_MAX`` where more would be needed than any pool may have.
    """
    if missing <= 0:
        return 0
    if missing >= WARM_MAX:
        return WARM_MAX
    found = 0.0
    for stock in range(1, WARM_MAX):
        found += _poisson(stock - 1, missing)
        if found >= probability:
            return stock
    return WARM_MAX


def poisson_cdf(most: int, mean: float) -> float:
    """How likely it is that no more than so many came."""
    return min(1.0, sum(_poisson(number, mean) for number in range(most + 1)))


def _poisson(number: int, mean: float) -> float:
    if mean <= 0:
        return float(number == 0)
    return exp(number * log(mean) - mean - lgamma(number + 1))


class Steady:
    """The largest size that was chosen within ``STEADY_S``."""

    __slots__ = ("_chosen", "_found")

    def __init__(self) -> None:
        self._chosen: deque[tuple[float, int]] = deque()
        """Until when sizes stand; each is smaller than the one before it, and stands for longer."""
        self._found = (0.0, 0)

    def begin(self, until: float, size: int) -> None:
        """So many wait already: they are not ended because little is known as yet."""
        self._found = (until, size)

    def of(self, choice: PoolChoice, now: float) -> PoolChoice:
        """``now``: in seconds, of a clock that does not jump."""
        chosen = self._chosen
        while chosen and chosen[0][0] <= now:
            chosen.popleft()
        while chosen and chosen[-1][1] <= choice.size:
            chosen.pop()
        chosen.append((now + STEADY_S, choice.size))
        until, found = self._found
        size = min(max(chosen[0][1], found if now < until else 0), choice.terms.most)
        if size == choice.size:
            return choice
        return replace(choice, size=size, wanted=max(size, choice.wanted), demand=Demand.STEADY)


def mean_replace_s(known_s: float, took_s: float) -> float:
    """How long a replacement takes on average, after one more was measured."""
    counted_s = min(took_s, known_s * REPLACE_OUTLIER)
    mean_s = known_s + REPLACE_SHARE * (counted_s - known_s)
    return min(max(mean_s, REPLACE_S_MIN), float(RECENT_S))


class MissReason(Enum):
    """Why a wake found no member warm."""

    BOUND = "bound"
    BURST = "burst"
    SLOW = "slow"
    OWN_VOLUME = "own_volume"


@dataclass(frozen=True, slots=True)
class Miss:
    """A cold start, explained."""

    reason: MissReason
    line: str
    came: int = 1
    """Wakes within one replacement, this one among them."""
    size: int = 0
    """So many waited, or should have."""
    replace_s: float = 0.0

    @property
    def decision(self) -> Decision:
        follows = f"starts cold ({self.reason.value}): {self.line}"
        came, size = float(self.came), float(self.size)
        metric = "wakes within one replacement"
        return Decision(Loop.WARM_POOL, metric, came, size, "", self.replace_s, follows)


OWN_VOLUME: Final = Miss(
    MissReason.OWN_VOLUME, "its volume is its own, so its compute is made when it wakes"
)


def explain_miss(wakes: Wakes, choice: PoolChoice) -> Miss:
    """Of a wake that was added just now and found none, under the choice that stood."""
    terms, size = choice.terms, choice.size
    came = wakes.within(terms.replace_s)
    within = f"{came} {'wake' if came == 1 else 'wakes'} within {terms.replace_s:.3g} s"
    reason, words = MissReason.SLOW, f"{within}, {size} should have waited"
    words += "; new ones take longer than that, or fail"
    if came > size:
        reason, words = MissReason.BURST, f"{within}, and {size} waited"
        if choice.wanted > size:
            wanted = f"{choice.wanted} were wanted, and the upper bound is {terms.most}"
            reason, words = MissReason.BOUND, f"{within}, {size} waited; {wanted}"
    return Miss(reason, f"no member was warm: {words}", came, size, terms.replace_s)
