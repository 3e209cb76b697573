"""What the autoscaler reads is older than what it has heard, written, or others have: nobody's
loss. What it writes because of that is refused, and decided again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest

from simulation.faults import CALM, Weather
from simulation.kube_town import KubeTown
from simulation.test_autoscaler_storms import Run, seeds
from torpor_kube import watching


def stale(_: Random) -> Weather:
    return replace(CALM, late_answer=0.3, late_watch=0.3, conflict_s=0.5, switchover_s=5.0)


def stale_from_the_start(_: Random) -> Weather:
    """Each life begins with lists that others have outdated."""
    return replace(CALM, late_answer=0.3, late_watch=0.1, old_cache=1.0, restart_autoscaler_s=10.0)


@pytest.mark.parametrize("seed", seeds()[:3])
def test_stale_reads_are_nobodys_loss(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run, town = _run(seed, stale, monkeypatch)
    assert town.stale.answers > 30 and town.stale.writes > 10
    assert run.switchovers > 0 and run.ledger.commits > 300
    assert (run.ledger.refusals, run.ledger.broken_queries) == (0, 0)


def test_lives_that_begin_with_old_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    """They serve on, and all that must hold does. How many lists are old is chance: it is all seeds
    together that have to have had some."""
    old_lists = 0
    for seed in seeds()[:3]:
        run, town = _run(seed, stale_from_the_start, monkeypatch)
        assert town.lives > 5 and run.ledger.commits > 300
        old_lists += town.stale.lists
    assert old_lists > 15


def _run(
    seed: int, weather: Callable[[Random], Weather], monkeypatch: pytest.MonkeyPatch
) -> tuple[Run, KubeTown]:
    towns: list[KubeTown] = []

    def town(random: Random) -> KubeTown:
        towns.append(KubeTown(random))
        return towns[0]

    run = Run(seed, weather, town)
    monkeypatch.setattr(watching, "random", run.random)
    run.run()
    return run, towns[0]
