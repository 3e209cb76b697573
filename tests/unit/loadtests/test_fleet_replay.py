"""What really happened is set against the simulator, with and without what Torpor itself takes."""

from __future__ import annotations

import pytest

import bench_fleet_replay as bench
from rig.figures import Part
from rig.phases import Phases
from rig.replayer import Answered
from torpor_api.phases import Phase
from torpor_simulator.recorded import Recorded

SECONDS = 60.0
SHOP = Recorded("shop", uses=[(10.0, 2.0), (40.0, 1.0)])

LATE, SLEEP, WAIT = 0.75, 0.25, 0.1


def real() -> bench.Lived:
    """As it would be where each wake and each sleep takes the same."""
    phases = Phases()
    phases.told("shop", Phase.SUSPENDED, 0.0)
    answers = []
    for at, took_s in SHOP.uses:
        begin = 100.0 + at
        ended = begin + WAIT + took_s
        answers.append(Answered(begin, begin, WAIT, ended))
        phases.told("shop", Phase.RESUMING, begin + 0.001)
        phases.told("shop", Phase.ACTIVE, begin + WAIT)
        phases.told("shop", Phase.SUSPENDING, ended + bench.TIMEOUT_SECONDS + LATE)
        phases.told("shop", Phase.SUSPENDED, ended + bench.TIMEOUT_SECONDS + LATE + SLEEP)
    return bench._lived(phases, "shop", answers, 100.0, 100.0 + SECONDS)


def parts() -> dict[str, Part]:
    return {part.name: part for part in bench.compared([SHOP], [real()], SECONDS)}


def test_what_the_simulator_leaves_out_is_measured() -> None:
    lived = real()
    assert lived.wakes == 2 and lived.waits_s == [WAIT, WAIT] and lived.others_s == []
    assert lived.late_s == pytest.approx([LATE, LATE])
    assert lived.sleeps_s == pytest.approx([SLEEP, SLEEP])
    assert lived.awake_s == pytest.approx(3 + 2 * (5 + LATE + SLEEP + WAIT), abs=0.01)


def test_told_of_that_the_simulator_comes_to_the_same() -> None:
    found = parts()
    assert found[bench.HEADLINE].reference == pytest.approx((3 + 2 * 5,))
    told = found["awake, of what came to be"]
    assert told.torpor == pytest.approx(told.reference, abs=0.01)
    wakes = (found["wakes, all together"].torpor, found["wakes, of what came to be"].reference)
    assert wakes == ((2,), (2,))


def test_waiting_is_set_against_what_was_measured_before() -> None:
    waiting = parts()["waiting of a use that wakes"]
    assert len(waiting.reference) == 2
    resumes = bench.measured_resumes()
    assert all(0 < 1000 * resumes.points[0][1] <= each for each in waiting.reference)


def test_the_same_databases_are_chosen_each_time_and_each_is_used() -> None:
    first, again = bench.chosen(5, 60.0), bench.chosen(5, 60.0)
    assert first == again and all(one.uses for one in first)
    assert all(at >= 0 and at + took <= 60.0 + 1e-9 for one in first for at, took in one.uses)
