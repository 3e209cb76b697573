"""The load as locust runs it: `locust -f loadtests/load/locustfile.py --scenario burst`.

`make load` starts it so, without locust's web page and, with WORKERS=N, as a master with N workers.
All clients take their seats first; the load begins when the last one has, in all processes in the
same moment. What each saw goes to the file of --samples by way of locust's own reports.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from random import Random
from typing import Any

import gevent
from gevent.event import Event
from locust import User, events, task
from locust.env import Environment
from locust.exception import StopUser
from locust.runners import MasterRunner, WorkerRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from load import fleet_file
from load.course import uses
from load.fleet_file import Target
from load.parts import PARTS, Client, Listener, used
from load.samples import Sample
from load.scenario import Scenario, Seat
from load.scenarios import SCENARIOS

SETTLE_SECONDS = 3.0
"""Beyond the idle timeout, from the last client's beginning until the load begins: all sleep."""

LINGER_SECONDS = 3.0
"""For which listeners go on at the end, when nobody speaks any more."""

SEATED, BEGIN = "load-seated", "load-begin"
"""Messages among the processes."""

REPORTED = "load_samples"
"""The part of a worker's report that is ours."""


class Run:
    """What the clients of one process share."""

    def __init__(self) -> None:
        self.scenario: Scenario | None = None
        self.seats: list[Seat] = []
        self.targets: list[Target] = []
        self.taken = 0
        self.begin_at = 0.0
        """In seconds since 1970, because processes share no other clock."""
        self.has_begun = Event()
        self.expected = 0
        self.seated = 0
        self.unsent: list[str] = []

    def prepare(self, options: argparse.Namespace) -> None:
        """Once; a worker gets its options from the master, with its first client."""
        if self.scenario is None:
            self.scenario = SCENARIOS[options.scenario].sized(options.factor, options.seconds)
            self.seats = self.scenario.seats()
            self.targets = fleet_file.read(Path(options.fleet))

    def take(self, first: int, step: int) -> Seat:
        """The next one of this process's. Locust may ask for more clients than there are seats."""
        number = (first + step * self.taken) % len(self.seats)
        self.taken += 1
        return self.seats[number]

    def target(self, seat: Seat) -> Target:
        """Where there are fewer databases than in the scenario, they are shared."""
        return self.targets[seat.database % len(self.targets)]

    @property
    def seconds(self) -> float:
        """Of the load."""
        assert self.scenario is not None
        return self.scenario.seconds

    def now(self) -> float:
        """Seconds since the load began."""
        return time.time() - self.begin_at


run = Run()


def _add_options(parser: Any, **_: Any) -> None:
    group = parser.add_argument_group("Torpor's load")
    group.add_argument("--scenario", choices=[*SCENARIOS], default="burst", help="what happens")
    group.add_argument("--fleet", default="fleet.json", help="a list of {name, uri}, as JSON")
    group.add_argument("--factor", type=float, default=1.0, help="more databases, or clients")
    group.add_argument(
        "--seconds", type=float, default=None, help="how long, after all have a seat"
    )
    group.add_argument("--samples", default="", help="a line of JSON for each question goes here")
    group.add_argument("--seed", type=int, default=1, help="of all that is random")
    group.add_argument("--parts", type=int, default=1, help="how many workers share the clients")


def _prepare(environment: Environment, **_: Any) -> None:
    runner, options = environment.runner, environment.parsed_options
    assert runner is not None and options is not None
    if not isinstance(runner, WorkerRunner):
        run.prepare(options)
        options.num_users = run.expected = options.num_users or len(run.seats)
        Path(options.samples or "/dev/null").write_text("")
        runner.register_message(SEATED, _seated)
    if not isinstance(runner, MasterRunner):
        runner.register_message(BEGIN, _begins)


def _seated(environment: Environment, **_: Any) -> None:
    """One more client; with the last one a time is set."""
    run.seated += 1
    if run.seated != run.expected:
        return
    runner, scenario = environment.runner, run.scenario
    assert runner is not None and scenario is not None
    lead_s = scenario.idle_timeout_s + SETTLE_SECONDS
    run.begin_at = time.time() + lead_s
    _write(environment, [f'{{"begin": {run.begin_at}}}'])
    runner.send_message(BEGIN, {"at": run.begin_at})
    gevent.spawn_later(lead_s + scenario.seconds + LINGER_SECONDS, runner.quit)


def _begins(environment: Environment, msg: Any, **_: Any) -> None:
    run.begin_at = msg.data["at"]
    run.has_begun.set()


def _report(client_id: str, data: dict[str, Any], **_: Any) -> None:
    data[REPORTED], run.unsent = run.unsent, []


def _hear_workers(environment: Environment, **_: Any) -> None:
    def reported(client_id: str, data: dict[str, Any], **_: Any) -> None:
        _write(environment, data.get(REPORTED, []))

    environment.events.worker_report.add_listener(reported)


def _write(environment: Environment, lines: list[str]) -> None:
    options = environment.parsed_options
    if options is not None and options.samples and lines:
        with Path(options.samples).open("a") as file:
            file.write("\n".join(lines) + "\n")


events.init_command_line_parser.add_listener(_add_options)
events.init.add_listener(_prepare)
events.init.add_listener(_hear_workers)
events.report_to_master.add_listener(_report)


class Crowd(User):
    """Each is one client, and what it does is what its seat says."""

    def on_start(self) -> None:
        options, runner = self.environment.parsed_options, self.environment.runner
        assert options is not None and runner is not None
        run.prepare(options)
        is_worker = isinstance(runner, WorkerRunner)
        first = runner.worker_index if isinstance(runner, WorkerRunner) else 0
        self.seat = run.take(first, options.parts if is_worker else 1)
        self.random = Random(f"{options.seed} {self.seat.number}")
        target = run.target(self.seat)
        self.database = target.name
        self.client: Client = PARTS[self.seat.part](self.seat, target.uri, self.random)
        try:
            self.client.begin()
        except Exception as error:
            self._tell(self._sample(0.0, error=f"at the beginning: {error}"))
        runner.send_message(SEATED, {})

    @task
    def lives(self) -> None:
        run.has_begun.wait()
        gevent.sleep(max(0.0, -run.now()))
        if isinstance(self.client, Listener):
            self._listens(self.client, run.seconds + LINGER_SECONDS)
        else:
            self._asks()
            gevent.sleep(max(0.0, run.seconds - run.now()))  # What is held is held to the end.
        self.client.end()
        raise StopUser

    def _asks(self) -> None:
        busy_until = 0.0
        for due in uses(self.seat.course, self.random, shift_s=self.seat.shift_s):
            if run.now() > run.seconds:
                return  # Nobody waits for what is behind: it counts as not answered.
            gevent.sleep(max(0.0, due - run.now()))
            try:
                sample = used(self.client, self.database, due, busy_until, run.now)
            except gevent.GreenletExit:
                self._tell(self._sample(due, error="no answer when the load was over"))
                raise
            busy_until = run.now()
            self._tell(sample)

    def _listens(self, listener: Listener, seconds: float) -> None:
        try:
            listener.hears(seconds, lambda answer: self._tell(self._sample(run.now(), answer.note)))
        except Exception as error:
            self._tell(self._sample(run.now(), error=f"while listening: {error}"))

    def _sample(self, at: float, note: str = "", error: str = "") -> Sample:
        return Sample(
            at=at,
            database=self.database,
            part=self.seat.part,
            waited_s=max(0.0, run.now() - at) if run.begin_at else 0.0,
            client=self.seat.number,
            error=error,
            note=note,
        )

    def _tell(self, sample: Sample) -> None:
        """To locust's own statistics, and to ours."""
        self.environment.events.request.fire(
            request_type=sample.part,
            name=sample.database,
            response_time=sample.waited_s * 1000,
            response_length=0,
            exception=RuntimeError(sample.error) if sample.error else None,
            context={},
        )
        if isinstance(self.environment.runner, WorkerRunner):
            run.unsent.append(sample.line())
        else:
            _write(self.environment, [sample.line()])
