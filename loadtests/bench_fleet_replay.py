"""Two hours of a fleet in ten minutes, on real databases and in the simulator.

Everything is so many times as fast: pauses, uses and the policy's time-out, 60 s of which become 5.
What does not get faster is Torpor itself: a wake, a sleep, and samples that come once a second. So
it is simulated twice: the trace, as `torpor simulate` does it; and what clients came to do, who
wait for a wake and are late with what follows, under the time-out and the sleeps that were measured
in this very run. The second says how far the first is explained. What a wake takes in the simulator
was measured before, by `make bench NAME=resume`.
"""

from __future__ import annotations

import json
import time
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rig.client import Client
from rig.figures import Part, percentile
from rig.machine import ROOT
from rig.phases import Phases, watched, within
from rig.progress import Progress
from rig.replayer import Answered, replay
from rig.torpor import Torpor, torpor_up
from torpor_api.phases import Phase
from torpor_simulator import latencies
from torpor_simulator.fleet import Fleet, Order
from torpor_simulator.recorded import Recorded, as_recorded
from torpor_simulator.replay import Account, accounts
from torpor_simulator.trace_file import parse

NAME = "fleet-replay"
HEADLINE = "awake, all together"

TRACE = ROOT / "loadtests" / "traces" / "fleet.toml"
BEGIN_SECONDS, END_SECONDS = 10 * 3600.0, 12 * 3600.0
"""Of the trace's day, and as many databases of it as are used in that time."""
FASTER = 12.0
MINUTES = 10
DATABASES = 30
"""Some ten of them are awake at a time, on two cores."""

TIMEOUT_SECONDS = 5.0
"""`torpor-60s` of the trace's own time."""
SPEC = f"{{idleTimeout: {TIMEOUT_SECONDS:g}s}}"
WARM = 4

RESUMES = ROOT / "loadtests" / "results" / "resume.json"

FIRST_AT_A_TIME = 4
"""Databases that are made, before: the first start of each makes its volume."""
ASLEEP_SECONDS_MAX = 120.0
POLL_SECONDS = 0.1
LEAD_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Lived:
    """One database's ten minutes, as they were."""

    uses: list[tuple[float, float]]
    """As they came to be, with what they waited."""
    awake_s: float
    wakes: int
    waits_s: list[float]
    """Of uses that began while it slept or fell asleep."""
    others_s: list[float]
    late_s: list[float]
    """After the time-out, until it began to go to sleep."""
    sleeps_s: list[float]
    """From there until nothing served it any more."""


def run(progress: Progress, *, rounds: int = MINUTES) -> list[Part]:
    """``rounds``: minutes, of the ten."""
    if not 1 <= rounds <= MINUTES:
        raise SystemExit(f"fleet-replay: {rounds} minutes: allowed is 1 to {MINUTES}")
    seconds = rounds * 60.0
    databases = chosen(DATABASES, seconds)
    progress.step(f"making {DATABASES} databases")
    with (
        torpor_up(*(one.name for one in databases), warm=WARM, spec=SPEC) as running,
        watched(running.state / "run" / "cluster.sock") as phases,
    ):
        clients = _clients(running, databases)
        _until_all_sleep(databases, phases)
        progress.step(f"{rounds} minutes of {sum(len(one.uses) for one in databases)} uses")
        began = time.monotonic() + LEAD_SECONDS
        answered = replay(clients, [one.uses for one in databases], began, progress)
        time.sleep(max(began + seconds - time.monotonic(), 0.0))
        lived = [
            _lived(phases, one.name, answers, began, began + seconds)
            for one, answers in zip(databases, answered, strict=True)
        ]
        for client in clients:
            client.close()
    return compared(databases, lived, seconds)


def chosen(number: int, seconds: float) -> list[Recorded]:
    """The trace's first databases that are used in these hours, so many times as fast."""
    trace = parse(tomllib.loads(TRACE.read_text()), str(TRACE))
    fleet, at = Fleet(Order(trace, (), number)), 0
    found: list[Recorded] = []
    end_s = min(END_SECONDS, BEGIN_SECONDS + seconds * FASTER)
    while len(found) < number:
        whole = as_recorded(f"db-{at:04}", fleet.life(at), trace.duration_s)
        part = whole.excerpt(BEGIN_SECONDS, end_s, FASTER)
        found += [part] if part.uses else []
        at += 1
    return found


def _clients(running: Torpor, databases: list[Recorded]) -> list[Client]:
    def client(one: Recorded) -> Client:
        made = Client(running.target(one.name))
        made.first_row_s("SELECT pg_sleep(0)")
        return made

    with ThreadPoolExecutor(FIRST_AT_A_TIME) as pool:
        return list(pool.map(client, databases))


def _until_all_sleep(databases: list[Recorded], phases: Phases) -> None:
    deadline = time.monotonic() + ASLEEP_SECONDS_MAX
    while awake := [one.name for one in databases if phases.now(one.name) is not Phase.SUSPENDED]:
        if time.monotonic() > deadline:
            raise RuntimeError(f"still awake after {ASLEEP_SECONDS_MAX:g} s: {awake}")
        time.sleep(POLL_SECONDS)


def _lived(phases: Phases, name: str, answers: list[Answered], began: float, ended: float) -> Lived:
    falling = [
        (since, until)
        for since, until in phases.spans(name, Phase.SUSPENDING)
        if began < since and until < ended
    ]
    waits_s: list[float] = []
    others_s: list[float] = []
    for answer in answers:
        # It woke its database: that was not up when it was asked for, or the compute was ending.
        is_served = any(
            since <= answer.asked < until for since, until in phases.spans(name, Phase.ACTIVE)
        )
        (others_s if is_served else waits_s).append(answer.waited_s)
    late_s = []
    for since, _ in falling:
        used = [answer.ended for answer in answers if answer.ended <= since]
        late_s += [since - max(used) - TIMEOUT_SECONDS] if used else []
    resumes = phases.spans(name, Phase.RESUMING)
    return Lived(
        [(answer.asked - began, answer.ended - answer.asked) for answer in answers],
        within(phases.awake(name), began, ended),
        len([since for since, _ in resumes if began < since < ended]),
        waits_s,
        others_s,
        late_s,
        [until - since for since, until in falling],
    )


def simulated(one: Recorded, seconds: float, hold_s: float) -> Account:
    """``hold_s``: for how long it stays awake after a use."""
    return accounts(one.life(seconds), (hold_s,), seconds)[hold_s]


def compared(databases: list[Recorded], lived: list[Lived], seconds: float) -> list[Part]:
    """The real thing, the simulator, and the simulator told what a wake and a sleep take."""
    late_s = [each for one in lived for each in one.late_s]
    sleeps_s = [each for one in lived for each in one.sleeps_s]
    waits_s = [each for one in lived for each in one.waits_s]
    late, sleep = (sum(each) / max(len(each), 1) for each in (late_s, sleeps_s))
    plain = [simulated(one, seconds, TIMEOUT_SECONDS) for one in databases]
    came = [Recorded(one.name, uses=of.uses) for one, of in zip(databases, lived, strict=True)]
    slept = [simulated(one, seconds, TIMEOUT_SECONDS + late) for one in came]
    # Until a sleep is over its compute is there.
    ended = [simulated(one, seconds, TIMEOUT_SECONDS + late + sleep) for one in came]
    every_s = [*waits_s, *(each for one in lived for each in one.others_s)]
    resumes, wakes = measured_resumes(), _wakes(plain)
    expected_s = [resumes.quantile((step + 0.5) / wakes) for step in range(wakes)]
    p99_s = latencies.percentile(0.99, len(every_s), ((wakes, resumes),))
    return [
        _single(HEADLINE, "s", _awake_s(lived), _awake_s(plain), "±5 %"),
        _single("wakes, all together", "", _wakes(lived), wakes, "±2 %"),
        _single("awake, of what came to be", "s", _awake_s(lived), _awake_s(ended), "±5 %"),
        _single("wakes, of what came to be", "", _wakes(lived), _wakes(slept), "±2 %"),
        Part(
            "awake, each database",
            "s",
            tuple(one.awake_s for one in lived),
            tuple(one.awake_s for one in plain),
            "simulator",
        ),
        Part("waiting of a use that wakes", "ms", _ms(waits_s), _ms(expected_s), "simulator"),
        _single("waiting, p50 of all uses", "ms", percentile(every_s, 50) * 1000),
        _single("waiting, p99 of all uses", "ms", percentile(every_s, 99) * 1000, p99_s * 1000),
        Part("going to sleep, after the time-out", "ms", _ms(late_s), (), ""),
        Part("a sleep takes", "ms", _ms(sleeps_s), (), ""),
    ]


def measured_resumes() -> latencies.Latency:
    """Of held sessions on one machine."""
    found = json.loads(RESUMES.read_text())["torpor"]
    shares = ((0.0, "min"), (0.5, "p50"), (0.9, "p90"), (0.99, "p99"), (1.0, "max"))
    points = tuple((share, found[name] / 1000) for share, name in shares)
    return latencies.measured(points, found["mean"] / 1000)


def _single(
    name: str, unit: str, real: float, simulator: float | None = None, goal: str = ""
) -> Part:
    reference = () if simulator is None else (simulator,)
    return Part(name, unit, (real,), reference, "simulator" if reference else "", goal)


def _awake_s(found: Sequence[Account | Lived]) -> float:
    return sum(each.awake_s for each in found)


def _wakes(found: Sequence[Account | Lived]) -> int:
    return sum(each.wakes for each in found)


def _ms(seconds: list[float]) -> tuple[float, ...]:
    return tuple(each * 1000 for each in seconds)
