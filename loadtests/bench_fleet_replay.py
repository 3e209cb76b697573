"""Two hours of a fleet in ten minutes, on real databases and in the simulator.

Everything is so many times as fast: pauses, uses and the policy's time-out, 60 s of which become 5.
What does not get faster is Torpor itself: a wake, and falling asleep. So it is simulated twice: the
trace, as `torpor simulate` does it, by what either takes in the simulator's own figures; and what
clients came to do, who wait for a wake and are late with what follows, by what falling asleep took
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

from rig.agent_log import stopped_at
from rig.client import Client
from rig.figures import Part, percentile
from rig.machine import ROOT
from rig.phases import Phases, watched, within
from rig.progress import Progress
from rig.replayer import Answered, replay
from rig.torpor import Torpor, torpor_up
from torpor_api.phases import Phase
from torpor_simulator import latencies
from torpor_simulator.falling import TORPOR_FALLS, Falling
from torpor_simulator.fleet import Fleet, Order
from torpor_simulator.recorded import Recorded, as_recorded
from torpor_simulator.replay import Account, accounts
from torpor_simulator.trace_file import parse

NAME = "fleet-replay"
HEADLINE = "awake, all together"
EACH_AWAKE, EACH_WAKES = "awake, each database", "wakes, each database"

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
    falls: list[Falling]
    """Of each sleep after which nobody had used it since the time-out began."""
    called_off: int
    """Sleeps that began, and were called off because somebody used it in that moment."""


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
        stops = stopped_at(running.state / "logs" / "agents.log")
        lived = [
            _lived(phases, stops[one.name], one.name, answers, began, began + seconds)
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


def _lived(
    phases: Phases,
    stops: list[float],
    name: str,
    answers: list[Answered],
    began: float,
    ended: float,
) -> Lived:
    """``stops``: when its computes were told to stop, after which there is no way back."""
    waits_s: list[float] = []
    others_s: list[float] = []
    for answer in answers:
        # It woke its database: that was not up when it was asked for, or the compute was ending.
        is_served = any(
            since <= answer.asked < until for since, until in phases.spans(name, Phase.ACTIVE)
        )
        (others_s if is_served else waits_s).append(answer.waited_s)
    falling = [
        (since, until)
        for since, until in phases.spans(name, Phase.SUSPENDING)
        if began < since and until < ended
    ]
    called_off_at = {since for since, _ in phases.spans(name, Phase.ACTIVE)}
    falls = []
    for since, until in falling:
        stop = max((at for at in stops if since < at < until), default=None)
        used = [answer.ended for answer in answers if answer.ended <= (stop or since)]
        if stop is not None and used and until not in called_off_at:
            falls.append(Falling(stop - max(used) - TIMEOUT_SECONDS, until - stop))
    resumes = phases.spans(name, Phase.RESUMING)
    return Lived(
        [(answer.asked - began, answer.ended - answer.asked) for answer in answers],
        within(phases.awake(name), began, ended),
        len([since for since, _ in resumes if began < since < ended]),
        waits_s,
        others_s,
        [each for each in falls if each.late_s > 0],
        len([until for _, until in falling if until in called_off_at]),
    )


def simulated(one: Recorded, seconds: float, falls: Falling) -> Account:
    """One database, as `torpor simulate` does it."""
    hold = falls.after(TIMEOUT_SECONDS)
    return accounts(one.life(seconds), (hold,), seconds)[hold]


def compared(databases: list[Recorded], lived: list[Lived], seconds: float) -> list[Part]:
    """The real thing, the simulator, and the simulator told what a wake and a sleep take."""
    late_s = [each.late_s for one in lived for each in one.falls]
    takes_s = [each.takes_s for one in lived for each in one.falls]
    falls = Falling(*(sum(each) / max(len(each), 1) for each in (late_s, takes_s)))
    waits_s = [each for one in lived for each in one.waits_s]
    plain = [simulated(one, seconds, TORPOR_FALLS) for one in databases]
    came = [Recorded(one.name, uses=of.uses) for one, of in zip(databases, lived, strict=True)]
    told = [simulated(one, seconds, falls) for one in came]
    every_s = [*waits_s, *(each for one in lived for each in one.others_s)]
    resumes, wakes = measured_resumes(), _wakes(plain)
    # Its compute is there from the claim on, and not only from the first answer.
    plain_s = [one.awake_s + one.wakes * resumes.mean_s for one in plain]
    expected_s = [resumes.quantile((step + 0.5) / wakes) for step in range(wakes)]
    p99_s = latencies.percentile(0.99, len(every_s), ((wakes, resumes),))
    return [
        _single(HEADLINE, "s", _awake_s(lived), sum(plain_s), "±5 %"),
        _single("wakes, all together", "", _wakes(lived), wakes, "±2 %"),
        _single("awake, of what came to be", "s", _awake_s(lived), _awake_s(told), "±5 %"),
        _single("wakes, of what came to be", "", _wakes(lived), _wakes(told), "±2 %"),
        _each(EACH_AWAKE, "s", [one.awake_s for one in lived], plain_s),
        _each(EACH_WAKES, "", [one.wakes for one in lived], [one.wakes for one in plain]),
        _single("sleeps that were called off", "", sum(one.called_off for one in lived)),
        Part("waiting of a use that wakes", "ms", _ms(waits_s), _ms(expected_s), "simulator"),
        _single("waiting, p50 of all uses", "ms", percentile(every_s, 50) * 1000),
        _single("waiting, p99 of all uses", "ms", percentile(every_s, 99) * 1000, p99_s * 1000),
        _each("from the time-out to the stop", "ms", _ms(late_s), [1000 * TORPOR_FALLS.late_s]),
        _each("from there until it sleeps", "ms", _ms(takes_s), [1000 * TORPOR_FALLS.takes_s]),
    ]


def counts(parts: list[Part]) -> dict[str, object]:
    """Database by database: where real and simulated differ can be looked for."""
    awake, wakes = (
        next(part for part in parts if part.name == it) for it in (EACH_AWAKE, EACH_WAKES)
    )
    rows = zip(awake.torpor, awake.reference, wakes.torpor, wakes.reference, strict=True)
    names = ("awakeSeconds", "simulatedAwakeSeconds", "wakes", "simulatedWakes")
    return {"databases": [dict(zip(names, _rounded(row), strict=True)) for row in rows]}


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


def _each(name: str, unit: str, real: Sequence[float], simulator: Sequence[float]) -> Part:
    return Part(name, unit, tuple(real), tuple(simulator), "simulator")


def _rounded(row: Sequence[float]) -> list[float]:
    return [round(value, 1) for value in row]


def _awake_s(found: Sequence[Account | Lived]) -> float:
    return sum(each.awake_s for each in found)


def _wakes(found: Sequence[Account | Lived]) -> int:
    return sum(each.wakes for each in found)


def _ms(seconds: list[float]) -> tuple[float, ...]:
    return tuple(each * 1000 for each in seconds)
