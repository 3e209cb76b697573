"""Two autoscalers, of which the one that leads is killed, or stands still for longer than its Lease
lasts and goes on in the middle of something: all that must hold does.

Seeds as for the other storms.
"""

from __future__ import annotations

import os
from dataclasses import replace
from random import Random

import pytest

from simulation.faults import CALM, Weather
from simulation.processes import Machine
from simulation.standby_town import STARTS_S, StandbyTown
from simulation.test_autoscaler_storms import Run, seeds
from torpor_autoscaler.adapters.kubernetes.leadership import TERMS
from torpor_kube import watching


class StandbyRun(Run):
    loop = Machine


def blows(_: Random) -> Weather:
    return replace(CALM, restart_autoscaler_s=3.0)


def blows_and_late_answers(_: Random) -> Weather:
    """What was asked may be done long after its asker has been followed by another."""
    return replace(
        CALM, restart_autoscaler_s=3.0, stall=0.03, late_answer=0.1, late_watch=0.1, conflict_s=2.0
    )


def run(
    seed: int, weather: object, monkeypatch: pytest.MonkeyPatch, **how: bool
) -> tuple[Run, StandbyTown]:
    towns: list[StandbyTown] = []

    def town(random: Random) -> StandbyTown:
        towns.append(StandbyTown(random, **how))
        return towns[0]

    made = StandbyRun(seed, weather, town)  # type: ignore[arg-type]
    monkeypatch.setattr(watching, "random", made.random)
    try:
        made.run()
    except Exception as error:
        command = f"SEED={seed} .venv/bin/pytest {os.path.relpath(__file__)}"
        raise AssertionError(f"{type(error).__name__}: {error}\nagain: {command}") from error
    return made, towns[0]


@pytest.mark.parametrize("seed", seeds()[:2])
def test_who_leads_is_followed_in_time_and_asks_nobody_anything_any_more(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, town = run(seed, blows, monkeypatch)
    assert town.taken_over >= 2 and town.acts_of_former == 0
    # The other one may just have been started anew itself.
    assert 0 < town.longest_without_s < TERMS.retry_s + TERMS.duration_s + STARTS_S
    assert made.ledger.commits > 300


@pytest.mark.parametrize("seed", seeds()[:2])
def test_what_a_former_leader_asked_and_comes_late_loses(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, town = run(seed, blows_and_late_answers, monkeypatch)
    assert town.taken_over >= 2 and town.stale.writes > 0
    assert town.acts_of_former == 0
    assert made.ledger.commits > 300
