"""How a compute follows the load of its database, on the cluster of KUBECONFIG.

Needs a Torpor that is installed by its chart, and a machine that is a node of it. The load is
``pgbench --select-only``: a step from one client to 32, and a slow ramp up to as many. Torpor's
compute is one that has just woken; the reference is the same database at its largest size from the
beginning, by `torpor resize`, under the same load. What the first answers less is what following
costs. Both take turns in one run.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from rig import kube_release
from rig.client import Target
from rig.figures import Part
from rig.kube_release import Release
from rig.pgbench_run import Load, load
from rig.progress import Progress
from rig.sizes_seen import SizesSeen

NAME = "autoscale"
POSTGRES = "17"
"""Of the compute's image, on both sides."""

HEADLINE = "step: queries answered"

DATABASE = "bench"

MOST_CU = 2
"""Of a node with two processors, which clients and proxy share with Postgres: so it may have less
load than it has clients, and grow by the minute's mean and not in panic. A wake begins with 1."""

STEP_CLIENTS = 32
STEP_SECONDS = 30
"""The size follows within some; the rest is its use."""

RAMP_CLIENTS = (1, 2, 4, 8, 16, 32)
RAMP_SECONDS = 10
"""For each of these."""

BEFORE_SECONDS = 5
"""With one client, before any of it."""

ROUNDS = 5

SHRINK_SECONDS_MAX = 300.0
"""A stable window of a minute without load, twice, with time to spare."""

FAILED = "failed statements"

WorkT = TypeVar("WorkT")


@dataclass
class Bench:
    """One database, and what was seen of it."""

    torpor: Release
    follows_s: list[float] = field(default_factory=list)
    """From the step until the compute had its size."""
    resizes: list[int] = field(default_factory=list)
    """In each round."""
    switchovers: list[int] = field(default_factory=list)
    failed: int = 0

    def step(self) -> float:
        self._begins()
        with SizesSeen(self.torpor) as seen:
            answered = self._step()
        self.follows_s.append(seen.settled_s)
        self._note(seen)
        return answered

    def step_at_the_largest(self) -> float:
        self._begins(MOST_CU)
        return self._step()

    def ramp(self) -> float:
        self._begins()
        with SizesSeen(self.torpor) as seen:
            answered = self._ramp()
        self._note(seen)
        return answered

    def ramp_at_the_largest(self) -> float:
        self._begins(MOST_CU)
        return self._ramp()

    def shrinks_s(self) -> float:
        """From the last query of a step until the compute is smaller again."""
        self.step()
        with SizesSeen(self.torpor) as seen:
            kube_release.until(lambda: seen.has_shrunk, "it shrinks", SHRINK_SECONDS_MAX)
        self._note(seen)
        return seen.settled_s

    def _begins(self, chosen_cu: int | None = None) -> None:
        """With a wake; a person's choice ends with a sleep."""
        self.torpor.suspend()
        self._counted(load(self._target, 1, BEFORE_SECONDS))
        if chosen_cu is not None:
            self.torpor.resize(chosen_cu)

    def _step(self) -> float:
        return self._counted(load(self._target, STEP_CLIENTS, STEP_SECONDS))

    def _ramp(self) -> float:
        return sum(
            self._counted(load(self._target, clients, RAMP_SECONDS)) for clients in RAMP_CLIENTS
        )

    @property
    def _target(self) -> Target:
        """The pgbench that is installed with Torpor has no TLS."""
        return dataclasses.replace(self.torpor.target, tls=False)

    def _note(self, seen: SizesSeen) -> None:
        self.resizes.append(seen.resizes)
        self.switchovers.append(seen.switchovers)

    def _counted(self, done: Load) -> float:
        self.failed += done.failed
        return done.answered


def run(progress: Progress, *, rounds: int = ROUNDS) -> list[Part]:
    """The step, the ramp, and what following them took."""
    progress.step("filling a database on the cluster")
    with (
        kube_release.pool_as_before(),
        kube_release.release(DATABASE, maxCU=MOST_CU) as torpor,
    ):
        kube_release.keep_warm(1)
        bench = Bench(torpor)
        step = _part("step", bench.step, bench.step_at_the_largest, rounds, progress)
        ramp = _part("ramp", bench.ramp, bench.ramp_at_the_largest, rounds, progress)
        progress.step("it shrinks again")
        shrinks_s = (bench.shrinks_s(),)
    return [
        step,
        ramp,
        Part("step: until its size is there", "s", tuple(bench.follows_s), (), ""),
        Part("without load: until it shrinks", "s", shrinks_s, (), ""),
        Part("in-place resizes, a round", "", tuple(map(float, bench.resizes)), (), ""),
        Part("switchovers, a round", "", tuple(map(float, bench.switchovers)), (), "", "0"),
        Part(FAILED, "", (float(bench.failed),), (), "", "0"),
    ]


def counts(parts: Sequence[Part]) -> dict[str, int]:
    """What stands by itself in the document."""
    (failed,) = (part.torpor[0] for part in parts if part.name == FAILED)
    return {"failed_statements": int(failed)}


def _part(
    name: str,
    torpor: Callable[[], float],
    reference: Callable[[], float],
    rounds: int,
    progress: Progress,
) -> Part:
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(rounds):
        turns = [(torpor, ours), (reference, theirs)]
        for measure, samples in turns if number % 2 else reversed(turns):
            samples.append(measure())
        progress.count(name, number + 1, rounds)
    answered = f"{name}: queries answered"
    return Part(answered, "", tuple(ours), tuple(theirs), f"{MOST_CU} CU all the time", "≥ 0.9×")
