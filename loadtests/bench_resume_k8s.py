"""How long a client on a node waits for a sleeping database of a cluster, against Postgres's start.

Needs KUBECONFIG, a Torpor that is installed by its chart, and a machine that is a node of it. The
reference is an exec of `postgres` to its first answered query, in a pod like a compute's: the same
image, limits and settings, on a copy of the same data. Both take turns in one run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench_resume import QUERY
from rig import kube_bare, kube_release
from rig.client import Client
from rig.figures import Part
from rig.kube_bare import BareInPod, bare_in_pod
from rig.kube_pods import seconds_to_run
from rig.kube_release import Release
from rig.progress import Progress

NAME = "resume-k8s"
POSTGRES = "17"
"""Of the compute's image, on both sides."""

HEADLINE = "held session, warm pool"

DATABASE = "bench"

ROUNDS = 40
"""Each takes a compute of the pool, and waits until the next one is warm: some seconds."""

COLD_SHARE = 4
"""Of so many rounds one is repeated without a warm pool, and one pod is made by itself."""

GOAL = "p50 ≤ 5×, p99 ≤ 15×"

Times = list[float]


@dataclass(frozen=True, slots=True)
class Bench:
    """The two sides, and what was seen of ours."""

    torpor: Release
    bare: BareInPod
    steps: dict[tuple[str, str], Times] = field(default_factory=dict)
    """Milliseconds by a step's name and place, over the wakes from the warm pool."""

    def held(self) -> float:
        client = Client(self.torpor.target)
        client.first_row_s(QUERY)
        self.torpor.suspend()
        self._rest()
        seconds = client.first_row_s(QUERY)
        client.close()
        self._note_steps()
        return seconds

    def fresh(self) -> float:
        """Login included."""
        self.torpor.suspend()
        self._rest()
        return self._first_row_of_a_new_client_s()

    def cold(self) -> float:
        """Nobody waits warm: a pod is made first."""
        self.torpor.suspend()
        kube_release.until(lambda: not kube_release.warm_computes(), "no compute is warm")
        return self._first_row_of_a_new_client_s()

    def bare_start(self) -> float:
        self._rest()
        return self.bare.first_answer_s(QUERY)

    def _first_row_of_a_new_client_s(self) -> float:
        began = time.perf_counter()
        client = Client(self.torpor.target)
        client.first_row_s(QUERY)
        seconds = time.perf_counter() - began
        client.close()
        return seconds

    def _rest(self) -> None:
        """The last compute is gone and its successor is there: neither is a part of the next wake,
        nor takes the processor from the bare Postgres, which has no such thing."""
        kube_release.until(kube_release.is_pool_at_rest, "the pool is at rest")

    def _note_steps(self) -> None:
        for step in self.torpor.steps():
            self.steps.setdefault((step.name, str(step.where)), []).append(step.ms)


def run(progress: Progress, *, rounds: int = ROUNDS) -> list[Part]:
    """Warm, cold, and what both are made of."""
    progress.step("filling a database on the cluster")
    few = max(1, rounds // COLD_SHARE)
    with kube_release.pool_as_before(), kube_release.release(DATABASE) as torpor:
        kube_release.keep_warm(1)
        progress.step("copying it for a bare Postgres")
        with bare_in_pod(f"{torpor.status()['storage']['directory']}/data") as bare:
            bench = Bench(torpor, bare)
            parts = [
                _part(HEADLINE, bench.held, bench.bare_start, rounds, progress),
                _part("fresh, warm pool", bench.fresh, bench.bare_start, rounds, progress),
            ]
            try:
                spec = kube_bare.compute_spec()
                kube_release.keep_warm(0)
                cold = _part("no warm pod", bench.cold, bench.bare_start, few, progress, goal="")
            finally:
                kube_release.keep_warm(1)
            pod = kube_bare.sleeping_pod("torpor-bench-pod", spec)
            made = [seconds_to_run(pod) * 1000 for _ in range(few)]
    alone = Part("a pod by itself", "ms", tuple(made), (), "until its container runs")
    return [*parts, cold, alone, *_shares(bench.steps)]


def _part(
    name: str,
    torpor: Callable[[], float],
    reference: Callable[[], float],
    rounds: int,
    progress: Progress,
    *,
    goal: str = GOAL,
) -> Part:
    ours: Times = []
    theirs: Times = []
    for number in range(rounds):
        turns = [(torpor, ours), (reference, theirs)]
        for measure, samples in turns if number % 2 else reversed(turns):
            samples.append(measure() * 1000)
        progress.count(name, number + 1, rounds)
    return Part(name, "ms", tuple(ours), tuple(theirs), "bare postgres, same image", goal)


def _shares(steps: dict[tuple[str, str], Times]) -> list[Part]:
    """Of the wakes of held sessions: what each step took."""
    return [
        Part(f"step: {name}", "ms", tuple(times), (), f"in the {where}")
        for (name, where), times in steps.items()
    ]
