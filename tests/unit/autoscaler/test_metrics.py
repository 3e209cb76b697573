"""What the autoscaler tells of transitions and databases: few series, however many there are."""

from __future__ import annotations

import ast
import inspect

import pytest

from torpor_api.chain import Chain, Step
from torpor_api.facts import LoginFacts
from torpor_api.failures import BoundElsewhere, NotFenced, StartFailed
from torpor_api.resource import Endpoint
from torpor_api.transition import Transition, TransitionKind
from torpor_autoscaler.adapters.metrics import STEPS, AutoscalerMetrics
from torpor_autoscaler.core.decision import Decision, Loop
from torpor_autoscaler.lifecycle import resume
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.known import Trouble
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.world import World
from torpor_channel.metrics import Metrics
from unit.autoscaler.story import resource

MANY = 10_000

SERIES_MAX = 600
"""Of one autoscaler in the text format, that of its process included."""


class Told:
    """Metrics of databases that nothing has happened to."""

    def __init__(self, databases: int = 1) -> None:
        self.world = World(Limits(), warm=1, endpoint=Endpoint(host="x", port=5432), now=0.0)
        record = resource()
        made = (Database(record, LoginFacts(), self.world) for _ in range(databases))
        self.databases = {f"d{number}": database for number, database in enumerate(made)}
        self.metrics = Metrics("autoscaler")
        self.told = AutoscalerMetrics(self.metrics, lambda: self.databases, self.world)

    @property
    def values(self) -> dict[str, float]:
        lines = self.metrics.text().decode().splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}


def transition(kind: TransitionKind, ms: float, failure: str = "") -> Transition:
    at = "2027-01-01T00:00:00Z"
    return Transition(database="d", kind=kind, at=at, epoch=1, total_ms=ms, failure=failure)


def test_ten_thousand_databases_have_no_more_series_than_one() -> None:
    few, many = Told().values, Told(MANY).values
    assert few.keys() == many.keys() and len(many) < SERIES_MAX
    assert many['torpor_databases{phase="Suspended"}'] == MANY


def test_every_step_of_a_resume_is_known_by_name() -> None:
    """The laps of its plan; those of agents and proxies a real wake shows (tests/observe)."""
    laps = {
        node.args[0].value
        for node in ast.walk(ast.parse(inspect.getsource(resume)))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr == "lap"
        and isinstance(node.args[0], ast.Constant)
    }
    assert laps and laps <= {*STEPS}
    assert resume.WAITED_FOR in STEPS


def test_steps_add_up_to_the_whole_and_unknown_ones_are_others() -> None:
    told = Told()
    names = ("wait for a warm compute: burst", "claim", "tea", "claim")
    steps = tuple(Step(name=name, where="agent", ms=100.0) for name in names)
    told.told.resumed(Chain().then(*steps))
    values = told.values
    assert values["torpor_resume_seconds_sum"] == pytest.approx(0.4)
    sums = {step: values[f'torpor_resume_step_seconds_sum{{step="{step}"}}'] for step in STEPS}
    found = {step: round(seconds, 6) for step, seconds in sums.items() if seconds}
    assert found == {"wait for a warm compute": 0.1, "claim": 0.2, "other": 0.1}


def test_a_transition_is_counted_and_timed_only_where_it_came_to_a_good_end() -> None:
    told = Told()
    told.told.went(transition(TransitionKind.SUSPEND, 20.0))
    told.told.went(transition(TransitionKind.SUSPEND, 5000.0, "somebody was busy"))
    values = told.values
    assert values['torpor_transitions_total{kind="suspend",outcome="done"}'] == 1
    assert values['torpor_transitions_total{kind="suspend",outcome="failed"}'] == 1
    assert values['torpor_transitions_total{kind="failover",outcome="done"}'] == 0
    assert values['torpor_transition_seconds_sum{kind="suspend"}'] == pytest.approx(0.02)


def test_who_can_not_go_on_is_told_by_the_kind_of_the_reason() -> None:
    class OfItsOwn(BoundElsewhere):
        """Only the autoscaler knows it."""

    told = Told(4)
    first, second, third, _ = told.databases.values()
    first.blocked_by = NotFenced("its node is away")
    second.trouble = Trouble(StartFailed("bad settings"), 5, 100.0, True)
    third.blocked_by = OfItsOwn("taken")
    blocked = {name: value for name, value in told.values.items() if "_blocked{" in name and value}
    assert blocked == {
        'torpor_databases_blocked{reason="NotFenced"}': 1,
        'torpor_databases_blocked{reason="StartFailed"}': 1,
        'torpor_databases_blocked{reason="BoundElsewhere"}': 1,
    }


def test_a_decision_that_repeats_itself_is_one() -> None:
    told = Told()
    (database,) = told.databases.values()
    for follows in ("stays awake", "stays awake", "goes to sleep"):
        database.decisions.add(Decision(Loop.AWAKE, "use", 1, 0, "", 0.0, follows), 0.0)
    assert told.values['torpor_decisions_total{policy="awake"}'] == 2
    assert told.values['torpor_decisions_total{policy="size"}'] == 0
