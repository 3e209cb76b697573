"""The real autoscaler and its real Kubernetes adapter in virtual time: late and silent watches,
histories that are forgotten, patches whose answers are lost, and kubelets that nobody hears.

Seeds as for the other storms: ``SEEDS=1000``, ``SEED=17``.
"""

from __future__ import annotations

import os
from random import Random

import pytest

from simulation.faults import stormy_on_kubernetes
from simulation.kube_town import KubeTown
from simulation.test_autoscaler_storms import Run, drains, seeds
from torpor_kube import watching


@pytest.mark.parametrize("seed", seeds())
def test_a_storm_on_kubernetes(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(seed, stormy_on_kubernetes, KubeTown)
    monkeypatch.setattr(watching, "random", run.random)
    try:
        run.run()
    except Exception as error:
        command = f"SEED={seed} .venv/bin/pytest {os.path.relpath(__file__)}"
        raise AssertionError(f"{type(error).__name__}: {error}\nagain: {command}") from error
    assert run.ledger.commits > 0


def test_evictions_in_calm_weather_are_nobodys_loss() -> None:
    towns: list[KubeTown] = []

    def town(random: Random) -> KubeTown:
        towns.append(KubeTown(random))
        return towns[0]

    run = Run(1, drains, town)
    run.run()
    assert run.drained > 50 and run.ledger.commits > 500
    assert run.overdue == 0
    assert (run.ledger.refusals, run.ledger.broken_queries) == (0, 0)
    assert towns[0].kube.pods_let_go > 50, "nothing waits for the pods of those that have ended"
