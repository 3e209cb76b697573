"""Carries a scenario out: both sides one after the other, under the same load, in one run."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from load import fleet_file, given, herd, judge, sides
from load.fleet_file import Target
from load.judge import Side
from load.result import Result, Watched
from load.samples import Sample, parsed
from load.scenario import Part, Scenario
from load.sides import Torpor
from load.watcher import Watcher
from rig import machine
from rig.holder import raise_file_limit
from rig.progress import Progress
from torpor_api.transition import Transition
from torpor_cli.local.sockets import Address
from torpor_cli.place import Place

LOCUSTFILE = Path(__file__).with_name("locustfile.py")

SPAWNED_PER_SECOND = 50
"""Clients that take their seats: each logs in, and most of them wake a database."""

STOP_SECONDS_MAX = 75
"""For answers that are still due when the load is over: a proxy gives up after a minute."""

LOCUST_SECONDS_MAX = 300.0
"""Beyond the load itself: for seats, the last answers and locust's own end."""

SEATED_LEAD_SECONDS = 1.0
"""From the herd's last session to its beginning."""

WORKERS_MAX = 32

OPEN_FILES_SPARE = 4000
"""Beside one for each client: of a proxy, which inherits the limit, for connections to computes."""

CU_EACH = 1.0
"""That an always-on compute has: what each of Torpor's starts with."""


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for."""

    scenario: Scenario
    """In the size that was asked for."""
    factor: float
    out: Path
    """Where the samples go."""
    seed: int = 1
    workers: int = 0
    uris: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    """Of databases of ``place``. Neither these nor ``uris``: some are made on this machine."""
    via: Address | None = None
    """Where the endpoint of ``names`` is reached; None: where the place says."""
    always_on: tuple[str, ...] = ()
    """None: a Postgres is started on this machine."""
    place: Place | None = None
    """Whom to ask about databases that are there already."""

    @property
    def is_elsewhere(self) -> bool:
        """Its databases are there already, and stay."""
        return bool(self.uris or self.names)


def run(order: Order, progress: Progress) -> Result:
    """Raises RuntimeError, and what psycopg raises, where there is no load to judge."""
    scenario = order.scenario
    order.out.mkdir(parents=True, exist_ok=True)
    raise_file_limit(scenario.clients + OPEN_FILES_SPARE)
    about = machine.description()
    with _torpor(order, progress) as torpor:
        with _always_on(order, torpor, progress) as targets:
            progress.step(f"{scenario.seconds:.0f} s of load on a Postgres that is always on")
            theirs, _ = _loaded(order, "always-on", targets)
            lost = _unbalanced(scenario, targets, theirs)
        always_on = judge.side(
            "always on",
            theirs,
            scenario,
            cu_seconds=len(torpor.targets) * CU_EACH * scenario.seconds,
            unbalanced=lost,
        )
        torpor.until_asleep()
        progress.step(f"{scenario.seconds:.0f} s of load on Torpor")
        ours, watched = _watched(order, torpor)
        lost = _unbalanced(scenario, torpor.targets, ours)
    names = [target.name for target in torpor.targets]
    side = _side(scenario, names, ours, watched, lost)
    return Result(scenario, side, always_on, watched, about, _where(order))


def _side(
    scenario: Scenario,
    names: Sequence[str],
    samples: Sequence[Sample],
    watched: Watched,
    lost: int | None,
) -> Side:
    """``names``: of its databases, in the order of its seats."""
    asked = watched.is_asked
    return judge.side(
        "Torpor",
        samples,
        scenario,
        scanned=scenario.scanned(names),
        cu_seconds=watched.cu_seconds if asked else None,
        unbalanced=lost,
        wakes=Counter(one.database for one in watched.wakes) if asked else None,
    )


@contextlib.contextmanager
def _torpor(order: Order, progress: Progress) -> Iterator[Torpor]:
    if not order.is_elsewhere:
        with sides.torpor_here(order.scenario, progress) as torpor:
            yield torpor
        return
    torpor = Torpor(_fit(order), order.place)
    progress.step(f"making tables in {len(torpor.targets)} databases")
    sides.prepare(torpor.targets)
    try:
        torpor.until_asleep()
        yield torpor
    finally:
        sides.clean(torpor.targets)


def refuse_unfit(orders: Iterable[Order]) -> None:
    """Before any of them is carried out. Raises InvalidRequest, and the Failures of the place."""
    for order in orders:
        if order.is_elsewhere:
            _fit(order)


def _fit(order: Order) -> list[Target]:
    """The databases that are there. Raises InvalidRequest, and the Failures of the place."""
    if order.names and order.place is not None:
        targets = given.by_name(order.names, order.place, order.via)
    else:
        targets = given.by_uri(order.uris, order.place)
    given.refuse_unfit(order.scenario, [target.name for target in targets], order.place)
    return targets


@contextlib.contextmanager
def _always_on(order: Order, torpor: Torpor, progress: Progress) -> Iterator[list[Target]]:
    if order.always_on:
        targets = given.by_uri(order.always_on, None)
        sides.prepare(targets)
        try:
            yield targets
        finally:
            sides.clean(targets)
        return
    progress.step("starting a Postgres that is always on")
    names = [target.name for target in torpor.targets]
    with sides.always_on_here(torpor, names, order.scenario.clients) as targets:
        yield targets


def _watched(order: Order, torpor: Torpor) -> tuple[list[Sample], Watched]:
    watcher = Watcher(torpor.place, frozenset(target.name for target in torpor.targets))
    with watcher.watching():
        samples, begin_at = _loaded(order, "torpor", torpor.targets)
    end_at = begin_at + order.scenario.seconds
    rows = [row for row in watcher.rows if begin_at < row.at <= end_at]
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(begin_at))
    transitions = [
        Transition.model_validate(one) for one in watcher.transitions if one["at"] >= since
    ]
    return samples, Watched(begin_at, rows, transitions, torpor.place is not None)


def _loaded(order: Order, side: str, targets: list[Target]) -> tuple[list[Sample], float]:
    """What clients saw, and when the load began."""
    fleet, samples = order.out / f"fleet-{side}.json", order.out / f"samples-{side}.jsonl"
    fleet_file.write(fleet, targets)
    try:
        if order.scenario.driver == "asyncpg":
            _by_asyncpg(order, fleet, samples, is_always_on=side == "always-on")
        else:
            _by_locust(order, fleet, samples)
    finally:
        fleet.unlink()  # It has passwords.
    lines = samples.read_text().splitlines()
    begins = [json.loads(line)["begin"] for line in lines if line.startswith('{"begin"')]
    if not begins:
        raise RuntimeError(f"not every client was let in: see {samples}")
    return parsed(line for line in lines if not line.startswith('{"begin"')), begins[0]


def _by_asyncpg(order: Order, fleet: Path, samples: Path, *, is_always_on: bool) -> None:
    count = order.scenario.clients
    if is_always_on and not order.always_on:
        count = min(count, sides.ALWAYS_ON_CLIENTS_MAX)
    seconds = order.scenario.seconds
    told = herd.Order(
        order.scenario.name, order.factor, seconds, order.seed, str(fleet), 0, count, str(samples)
    )
    sessions = herd.Herd(told)
    try:
        sessions.seat()
        sessions.run(time.time() + SEATED_LEAD_SECONDS)
    finally:
        sessions.end()


def _by_locust(order: Order, fleet: Path, samples: Path) -> None:
    scenario = order.scenario
    options = [
        *("-f", str(LOCUSTFILE), "--headless", "--only-summary", "--loglevel", "WARNING"),
        *("--scenario", scenario.name, "--factor", str(order.factor)),
        *("--seconds", str(scenario.seconds), "--seed", str(order.seed)),
        *("--fleet", str(fleet), "--samples", str(samples)),
        *("--spawn-rate", str(SPAWNED_PER_SECOND), "--stop-timeout", str(STOP_SECONDS_MAX)),
        *("--exit-code-on-error", "0", "--html", str(samples.with_suffix(".locust.html"))),
    ]
    with contextlib.ExitStack() as ending, samples.with_suffix(".locust.log").open("w") as log:
        if order.workers:
            port = str(_free_port())
            options += ["--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
            options += ["--expect-workers", str(order.workers), "--parts", str(order.workers)]
            for _ in range(order.workers):
                joins = ["-f", str(LOCUSTFILE), "--worker", "--master-port", port]
                ending.enter_context(_process(joins, log))
        master = ending.enter_context(_process(options, log))
        if master.wait(scenario.seconds + LOCUST_SECONDS_MAX) != 0:
            raise RuntimeError(f"locust ended with {master.returncode}: see {log.name}")


@contextlib.contextmanager
def _process(options: list[str], log: Any) -> Iterator[subprocess.Popen[bytes]]:
    """A locust, which is not there any more afterwards."""
    command = [sys.executable, "-m", "locust", *options]
    process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _unbalanced(
    scenario: Scenario, targets: Sequence[Target], samples: Sequence[Sample]
) -> int | None:
    if not any(crowd.part is Part.TPCB for crowd in scenario.crowds):
        return None
    ours = [sample for sample in samples if sample.part == Part.TPCB]
    acknowledged = Counter(sample.database for sample in ours if not sample.error)
    return sides.unbalanced(targets, acknowledged, sum(bool(sample.error) for sample in ours))


def _where(order: Order) -> str:
    """Without a password, nor a host of somebody's own."""
    if order.is_elsewhere:
        count = len(order.uris) or len(order.names)
        return f"{count} databases that were there already"
    return "`torpor up` on this machine, and the always-on Postgres beside it"


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
