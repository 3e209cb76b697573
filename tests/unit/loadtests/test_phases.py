"""Phases as they were told become spans of time."""

from __future__ import annotations

from math import inf

from rig.phases import Phases, within
from torpor_api.phases import Phase


def told(*changes: tuple[float, Phase]) -> Phases:
    phases = Phases()
    for at, phase in changes:
        phases.told("shop", phase, at)
    return phases


LIFE = told(
    (0.0, Phase.SUSPENDED),
    (10.0, Phase.RESUMING),
    (11.0, Phase.ACTIVE),
    (12.0, Phase.ACTIVE),
    (20.0, Phase.SUSPENDING),
    (21.0, Phase.SUSPENDED),
    (50.0, Phase.RESUMING),
)


def test_awake_is_from_the_claim_until_nothing_serves_it() -> None:
    assert LIFE.awake("shop") == [(10.0, 21.0), (50.0, inf)]
    assert LIFE.spans("shop", Phase.SUSPENDING) == [(20.0, 21.0)]
    assert LIFE.now("shop") is Phase.RESUMING


def test_of_an_unknown_database_nothing_is_known() -> None:
    assert LIFE.awake("blog") == [] and LIFE.now("blog") is None


def test_only_what_is_within_counts() -> None:
    assert within(LIFE.awake("shop"), 0.0, 60.0) == 11.0 + 10.0
    assert within(LIFE.awake("shop"), 15.0, 55.0) == 6.0 + 5.0
    assert within(LIFE.awake("shop"), 22.0, 49.0) == 0.0
