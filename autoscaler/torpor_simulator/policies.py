"""The policies that are compared: each a few facts, with where they are from.

What every one of them is given: the same databases, sizes and price of a CU. Where a rival's page
leaves a range, the figure taken is the one that is better for the rival.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Final

from torpor_api.failures import InvalidRequest
from torpor_api.quantities import parse_duration_s
from torpor_simulator.falling import INSTANT, TORPOR_FALLS, Falling
from torpor_simulator.latencies import TORPOR_COLD, TORPOR_WARM, Latency, constant
from torpor_simulator.life import RESOLUTION_S


@dataclass(frozen=True, slots=True)
class Policy:
    """When it sleeps, what keeps it awake and what a wake is like."""

    name: str
    timeout_s: float | None
    """How long nobody may have used it; infinite: it never sleeps; None: each database learns its
    own (``idleTimeout: auto``)."""
    warm: Latency
    """What the client waits whose query wakes it."""
    cold: Latency | None = None
    """Where no compute waits warm; None: their pools are not ours to simulate, and never empty."""
    connected_keeps_awake: bool = False
    """Whether the timer starts only when the last client has gone."""
    kills_sessions: bool = False
    """Whether clients that are connected when it sleeps lose their connection."""
    knock_wakes: bool = False
    """Whether an attempt to log in is enough to wake it, whatever comes of it."""
    is_scheduled: bool = False
    """Whether databases that are used by a clock have that in their ``spec.schedules``."""
    falls: Falling = INSTANT
    """What it takes from the end of its time-out until it is asleep."""
    paid_after_s: float = 0.0
    """For how long a compute is there, and paid, after that."""
    source: str = ""

    @property
    def is_ours(self) -> bool:
        return self.cold is not None


COMPUTE_ENDS_S: Final = 5.0
"""A pod goes 5 s after its Postgres has stopped (`compute/torpor_compute/lifetime.py`)."""


def torpor(name: str, timeout_s: float | None) -> Policy:
    """Sleeps by use alone: sessions are held, and who may not enter wakes nothing."""
    warm, cold, falls = TORPOR_WARM, TORPOR_COLD, TORPOR_FALLS
    return Policy(name, timeout_s, warm, cold, falls=falls, paid_after_s=COMPUTE_ENDS_S)


ALWAYS_ON: Final = Policy("always-on", inf, constant(0.001), source="the reference")

NEON: Final = Policy(
    "neon",
    300.0,
    constant(0.3),
    kills_sessions=True,
    source=(
        "https://neon.com/docs/introduction/compute-lifecycle: 5 minutes without an active query, "
        "inactive connections are closed, activation takes a few hundred milliseconds"
    ),
)

AURORA: Final = Policy(
    "aurora",
    300.0,
    constant(15.0),
    connected_keeps_awake=True,
    knock_wakes=True,
    source=(
        "https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/"
        "aurora-serverless-v2-auto-pause.html: 300 s at least without a user's connection, "
        "resumed by a connection request in approximately 15 s"
    ),
)

COCKROACH: Final = Policy(
    "cockroach",
    300.0,
    constant(0.65),
    connected_keeps_awake=True,
    knock_wakes=True,
    source=(
        "CockroachDB RFC 20220129 (SQL proxy connection migration), footnote 1: the last SQL pod "
        "goes only if it has no connection; 0.65 s from `CockroachDB Serverless: Sub-second "
        "Scaling from Zero`, SIGMOD 2025; the time without one is not published: Aurora's 300 s"
    ),
)

AZURE: Final = Policy(
    "azure-sql",
    3600.0,
    constant(60.0),
    connected_keeps_awake=True,
    knock_wakes=True,
    paid_after_s=60.0,
    source=(
        "https://learn.microsoft.com/azure/azure-sql/database/serverless-tier-auto-pause-resume: "
        "no session for 60 minutes by default (15 at least, see azure-sql-15m), 1 to 10 minutes "
        "to pause, about one minute to resume, a login resumes"
    ),
)

AZURE_LEAST: Final = Policy(
    "azure-sql-15m",
    900.0,
    constant(60.0),
    connected_keeps_awake=True,
    knock_wakes=True,
    paid_after_s=60.0,
    source="the same, with the shortest delay that may be set",
)

POLICIES: Final = (
    ALWAYS_ON,
    NEON,
    AURORA,
    COCKROACH,
    AZURE,
    AZURE_LEAST,
    torpor("torpor-1s", 1.0),
    torpor("torpor-5s", 5.0),
    torpor("torpor-60s", 60.0),
    torpor("torpor-300s", 300.0),
    torpor("torpor-auto", None),
)

BY_NAME: Final = {policy.name: policy for policy in POLICIES}

PREFIX: Final = "torpor-"
SCHEDULED: Final = "+schedules"
TIMEOUT_S_MAX: Final = 7 * 86400.0


def named(name: str) -> Policy:
    """One of those above, or Torpor's with any time-out: ``torpor-90s``, or with one and what
    comes by a clock in its schedules: ``torpor-5s+schedules``.

    Raises InvalidRequest that says which there are.
    """
    if name in BY_NAME:
        return BY_NAME[name]
    if name.startswith(PREFIX) and name.endswith(SCHEDULED):
        policy = named(name.removesuffix(SCHEDULED))
        if policy.timeout_s is None:
            raise InvalidRequest(f"policy {name}: with schedules a time-out is a duration")
        return replace(policy, name=name, is_scheduled=True)
    if name.startswith(PREFIX):
        try:
            timeout_s = parse_duration_s(name.removeprefix(PREFIX))
        except ValueError as error:
            raise InvalidRequest(f"policy {name}: {error}") from None
        if RESOLUTION_S <= timeout_s <= TIMEOUT_S_MAX:
            return torpor(name, timeout_s)
        raise InvalidRequest(f"policy {name}: a time-out is from 1s to 7d")
    allowed = ", ".join(BY_NAME)
    raise InvalidRequest(
        f"there is no policy {name}: write one of {allowed}, "
        f"torpor-DURATION, or torpor-DURATION{SCHEDULED}"
    )
