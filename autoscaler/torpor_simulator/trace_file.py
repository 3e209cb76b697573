"""A trace as its parameters: kinds of databases, each with how often and how it is used.

The file is TOML, and says where its figures are from. Every refusal names the field, what stands
there and what may.
"""

from __future__ import annotations

from itertools import pairwise
from math import inf, isfinite
from typing import Annotated, Any, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from torpor_api.failures import InvalidRequest

HOURS_A_DAY: Final = 24
DAYS_MAX: Final = 31
"""A month: the seconds of all wakes are counted, which takes 11 MB a month and policy."""

VISITS_PER_DAY_MAX: Final = 1e9

BURST_VISITS_PER_DAY_MAX: Final = 1e5
"""Those of bursts are made one by one, some 10 MB of them at a time; so are attempts to log in."""

PERIOD_S_MIN: Final = 1.0
"""What comes more often is one use; and these are made one by one, too."""

Points = list[tuple[float, float]]


def _growing(points: Points) -> Points:
    if len(points) < 2 or points[0][0] != 0 or points[-1][0] != 1:
        raise ValueError(f"{points}: quantiles begin with share 0 and end with share 1")
    for (low, less), (high, more) in pairwise(points):
        if not (low < high and 0 < less <= more <= VISITS_PER_DAY_MAX):
            raise ValueError(
                f"{points}: shares have to grow, and visits too, from above 0 to at most "
                f"{VISITS_PER_DAY_MAX:g} a day"
            )
    return points


def _shares(chances: Points) -> Points:
    if not chances or any(not (share > 0 and seconds >= 0) for share, seconds in chances):
        raise ValueError(f"{chances}: write [share, seconds], both from 0 on, shares above it")
    if abs(sum(share for share, _ in chances) - 1) > 1e-6:
        raise ValueError(f"{chances}: shares have to be 1 together")
    return chances


def _periods(chances: Points) -> Points:
    longest_s = DAYS_MAX * 86400.0
    if any(not PERIOD_S_MIN <= seconds <= longest_s for _, seconds in chances):
        raise ValueError(f"{chances}: a period has {PERIOD_S_MIN:g} to {longest_s:.0f} seconds")
    return chances


def _hours(factors: list[float]) -> list[float]:
    if len(factors) != HOURS_A_DAY or not sum(factors) > 0:
        raise ValueError(f"{len(factors)} factors: one for each of the {HOURS_A_DAY} hours")
    if any(not (factor >= 0 and isfinite(factor)) for factor in factors):
        raise ValueError(f"{factors}: factors are numbers from 0 on")
    return factors


Quantiles = Annotated[Points, AfterValidator(_growing)]
Chances = Annotated[Points, AfterValidator(_shares)]
Periods = Annotated[Chances, AfterValidator(_periods)]
Hours = Annotated[list[float], AfterValidator(_hours)]

Positive = Annotated[float, Field(gt=0, lt=inf)]
NotNegative = Annotated[float, Field(ge=0, lt=inf)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kind(Part):
    """Databases that are used alike. A **visit** is what one request of an application, or one
    step of a person, does: some queries shortly after each other."""

    name: str
    share: Positive
    """Of all databases of the trace; shares of all kinds are 1 together."""
    visits_per_day: Quantiles | None = None
    """Quantiles over the databases of this kind, straight in the logarithm between them."""
    periods: Periods | None = None
    """Instead: visits at fixed periods, as [share, seconds], in phase with the full hour."""
    jitter_s: NotNegative = 1.0
    """How late a periodic visit may be: cron starts within a second, and what it runs later."""
    cv: Positive = 1.0
    """Standard deviation of the time between visits (or bursts) over its mean; 1: independent."""
    visits_per_burst: Annotated[float, Field(ge=1, lt=1e6)] = 1.0
    """In the mean (geometric): what a person does in a sitting, or a crawler in a site."""
    think_s: Positive = 20.0
    """Between visits of a burst, in the mean (log-normal, cv 1.5)."""
    hours: Hours = [1.0] * HOURS_A_DAY
    """How busy each hour of the day is, in proportion."""
    weekend: NotNegative = 1.0
    """What is left of it on days 6 and 7."""
    queries_per_visit: Annotated[float, Field(ge=1, lt=1e6)] = 8.0
    visit_s: Positive = 0.3
    """From a visit's first query to its last answer."""
    query_s: Positive = 0.005
    """CPU time of a query."""
    sessions: Annotated[int, Field(ge=1, le=10_000)] = 5
    """Clients that are connected at once."""
    linger: Chances = [(1.0, inf)]
    """For how long they stay connected after a visit, as [share of databases, seconds]; inf: an
    application's pool, which stays connected for ever."""
    knocks_per_day: Annotated[float, Field(ge=0, le=BURST_VISITS_PER_DAY_MAX)] = 0.0
    """Attempts to log in that come to nothing: scanners, wrong passwords, pools that only look."""

    @model_validator(mode="after")
    def _is_either(self) -> Self:
        if (self.visits_per_day is None) == (self.periods is None):
            raise ValueError(f"kind {self.name}: write either visits_per_day or periods")
        most = self.visits_per_day[-1][1] if self.visits_per_day else 0.0
        if self.visits_per_burst > 1 and most > BURST_VISITS_PER_DAY_MAX:
            raise ValueError(
                f"kind {self.name}: {most:g} visits a day: with visits_per_burst above 1 at most "
                f"{BURST_VISITS_PER_DAY_MAX:g}"
            )
        return self


class Trace(Part):
    """All kinds, and over which time."""

    name: str
    days: Annotated[int, Field(ge=1, le=DAYS_MAX)] = 1
    kind: Annotated[list[Kind], Field(min_length=1)]

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        shares = sum(kind.share for kind in self.kind)
        if abs(shares - 1) > 1e-6:
            raise ValueError(f"shares of all kinds are {shares:g} together: they have to be 1")
        return self

    @property
    def duration_s(self) -> float:
        return self.days * 86400.0


def parse(document: dict[str, Any], where: str) -> Trace:
    """Raises InvalidRequest with all that is wrong."""
    try:
        return Trace.model_validate(document)
    except ValidationError as error:
        faults = [
            f"{where}: {'.'.join(map(str, fault['loc'])) or 'trace'}: "
            f"{fault['msg'].removeprefix('Value error, ')}"
            for fault in error.errors()
        ]
        raise InvalidRequest("\n".join(faults)) from None
