"""What really happened is set against the simulator, with and without what Torpor itself takes."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

import bench_fleet_replay as bench
from rig.agent_log import stopped_at
from rig.figures import Part
from rig.phases import Phases
from rig.replayer import Answered
from torpor_api.phases import Phase
from torpor_simulator.falling import TORPOR_FALLS, Falling
from torpor_simulator.recorded import Recorded

SECONDS = 60.0
SHOP = Recorded("shop", uses=[(10.0, 2.0), (40.0, 1.0)])

FALLS, WAIT = Falling(late_s=0.75, takes_s=0.25), 0.1


def real() -> bench.Lived:
    """As it would be where each wake and each sleep takes the same."""
    phases = Phases()
    phases.told("shop", Phase.SUSPENDED, 0.0)
    answers, stops = [], []
    for at, took_s in SHOP.uses:
        begin = 100.0 + at
        ended = begin + WAIT + took_s
        answers.append(Answered(begin, begin, WAIT, ended))
        phases.told("shop", Phase.RESUMING, begin + 0.001)
        phases.told("shop", Phase.ACTIVE, begin + WAIT)
        stop = ended + bench.TIMEOUT_SECONDS + FALLS.late_s
        phases.told("shop", Phase.SUSPENDING, stop - 0.2)
        phases.told("shop", Phase.SUSPENDED, stop + FALLS.takes_s)
        stops.append(stop)
    return bench._lived(phases, stops, "shop", answers, 100.0, 100.0 + SECONDS)


def parts() -> dict[str, Part]:
    return {part.name: part for part in bench.compared([SHOP], [real()], SECONDS)}


def test_what_the_simulator_leaves_out_is_measured() -> None:
    lived = real()
    assert lived.wakes == 2 and lived.waits_s == [WAIT, WAIT] and lived.others_s == []
    assert [each.late_s for each in lived.falls] == pytest.approx([FALLS.late_s] * 2)
    assert [each.takes_s for each in lived.falls] == pytest.approx([FALLS.takes_s] * 2)
    assert lived.called_off == 0
    assert lived.awake_s == pytest.approx(
        3 + 2 * (5 + FALLS.late_s + FALLS.takes_s + WAIT), abs=0.01
    )


def test_told_of_that_the_simulator_comes_to_the_same() -> None:
    found = parts()
    each_s = 5 + TORPOR_FALLS.late_s + TORPOR_FALLS.takes_s + bench.measured_resumes().mean_s
    assert found[bench.HEADLINE].reference == pytest.approx((3 + 2 * each_s,))
    told = found["awake, of what came to be"]
    assert told.torpor == pytest.approx(told.reference, abs=0.01)
    wakes = (found["wakes, all together"].torpor, found["wakes, of what came to be"].reference)
    assert wakes == ((2,), (2,))


def test_a_sleep_that_is_called_off_is_none() -> None:
    phases = Phases()
    for at, phase in (
        (10.0, Phase.RESUMING),
        (11.0, Phase.ACTIVE),
        (18.0, Phase.SUSPENDING),
        (18.1, Phase.ACTIVE),
        (23.5, Phase.SUSPENDING),
        (24.0, Phase.SUSPENDED),
    ):
        phases.told("shop", phase, at)
    answers = [Answered(10.0, 10.0, 1.0, 12.0), Answered(18.05, 18.05, 0.0, 18.1)]
    lived = bench._lived(phases, [18.08, 23.75], "shop", answers, 0.0, SECONDS)
    assert (lived.wakes, lived.called_off) == (1, 1)
    assert [each.takes_s for each in lived.falls] == [0.25]
    assert [each.late_s for each in lived.falls] == pytest.approx([23.75 - 18.1 - 5.0])


def test_each_database_can_be_looked_at() -> None:
    found = bench.counts(bench.compared([SHOP], [real()], SECONDS))
    assert found == {
        "databases": [
            {
                "awakeSeconds": pytest.approx(15.2, abs=0.1),
                "simulatedAwakeSeconds": pytest.approx(
                    parts()[bench.HEADLINE].reference[0], abs=0.1
                ),
                "wakes": 2,
                "simulatedWakes": 2,
            }
        ]
    }


def test_agents_write_when_they_stop(tmp_path: Path) -> None:
    log = tmp_path / "agents.log"
    now = datetime.now(UTC)
    line = {"at": f"{now:%Y-%m-%dT%H:%M:%S}.500Z", "level": "info", "event": "agent_state"}
    states = [line | {"state": state, "database": "shop"} for state in ("running", "stopping")]
    log.write_text("\n".join(["LOG:  a word of Postgres's own", *map(json.dumps, states)]))
    (at,) = stopped_at(log)["shop"]
    assert abs(at - time.monotonic()) < 2.0


def test_waiting_is_set_against_what_was_measured_before() -> None:
    waiting = parts()["waiting of a use that wakes"]
    assert len(waiting.reference) == 2
    resumes = bench.measured_resumes()
    assert all(0 < 1000 * resumes.points[0][1] <= each for each in waiting.reference)


def test_the_same_databases_are_chosen_each_time_and_each_is_used() -> None:
    first, again = bench.chosen(5, 60.0), bench.chosen(5, 60.0)
    assert first == again and all(one.uses for one in first)
    assert all(at >= 0 and at + took <= 60.0 + 1e-9 for one in first for at, took in one.uses)
