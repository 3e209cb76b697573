"""To a fresh compute under load: in order, or back to where it was with nothing changed."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.chain import Step
from torpor_api.failures import (
    Busy,
    Conflict,
    Failure,
    NoWarmCompute,
    StaleEpoch,
    Unavailable,
)
from torpor_api.phases import Phase
from torpor_autoscaler.lifecycle import endpoints, facts, why
from torpor_autoscaler.lifecycle.actions import Wait
from unit.autoscaler.moving import PATIENCE_S, ask, begun
from unit.autoscaler.story import FACTS, address, agent, awake

FAILURES = list(Failure.by_kind.values())

LOST_RACES = (Conflict, StaleEpoch, Unavailable)

BEFORE_THE_STOP: list[tuple[type[Any], dict[str, Any]]] = [
    (m.WriteStatus, {"phase": Phase.SUSPENDING}),
    (m.Checkpoint, {}),
    (m.CloseGate, {}),
    (m.StopListening, {}),
]


def test_one_switchover_in_order() -> None:
    story = begun()
    story.rest()
    assert story.names() == [
        "WriteStatus",
        "Checkpoint",
        "CloseGate",
        "StopListening",
        "StopCompute",
        "WriteStatus",
        "StartCompute",
        "WriteStatus",
        "StoreLoginFacts",
    ]
    assert [s.phase for s in story.written] == [Phase.SUSPENDING, Phase.RESUMING, Phase.ACTIVE]
    assert [(s.epoch, s.compute) for s in story.written] == [(1, "c1"), (2, "c2"), (2, "c2")]
    assert story.world.pool.claimed == ("c2",) and story.database.facts == FACTS
    info = endpoints.info(story.database)
    assert (info.phase, info.epoch, info.address) == (Phase.ACTIVE, 2, address("c2"))


def test_it_waits_where_a_proxy_may_not_have_registered_again() -> None:
    story = awake()
    story.at(103.0).sample(busy=1).rest()
    story.world.blind_until = 105.0
    ask(story).rest()
    assert not story.all(m.CloseGate) and not story.moves()
    story.at(105.0).rest()
    assert story.all(m.StopCompute) and isinstance(story.moves()[0], m.SwitchedOver)


def test_gates_hold_for_as_long_as_sessions_are_given_and_what_follows() -> None:
    story = begun()
    gate = story.until(m.CloseGate)
    assert (gate.epoch, gate.patience_s) == (1, PATIENCE_S)
    assert gate.hold_s == PATIENCE_S + story.world.limits.switchover_hold_s


def test_the_pause_is_from_the_first_gate_to_the_open_endpoint_step_by_step() -> None:
    story = begun()
    story.until(m.CloseGate)
    story.until(m.StopListening)
    story.world.now = 104.0
    story.answer()
    story.world.now = 104.5
    shutdown = Step(name="shutdown of postgres", where="postgres", ms=400.0)
    story.answer(m.Stopped(steps=(shutdown,), facts=FACTS))
    story.until(m.StartCompute)
    story.world.now = 105.0
    start = Step(name="start", where="postgres", ms=450.0)
    story.answer(
        m.Started(address=address("c2"), steps=(start,), facts=FACTS, max_connections=100)
    ).rest()
    (moved,) = story.moves()
    assert isinstance(moved, m.SwitchedOver)
    assert (moved.epoch, moved.compute, moved.pause_ms) == (2, "c2", 2000.0)
    assert [(step.name, step.where, step.ms) for step in moved.steps] == [
        ("park every session", "proxy", 1000.0),
        ("shutdown of postgres", "postgres", 400.0),
        ("tell the agent", "autoscaler", 100.0),
        ("start", "postgres", 450.0),
        ("tell the agent", "autoscaler", 50.0),
    ]
    last = story.record.status.last_switchover
    assert last is not None
    assert (last.epoch, last.pause_ms, last.steps) == (2, 2000.0, moved.steps)
    assert story.record.status.last_resume is not None  # That of the wake, as before.


def test_the_fresh_compute_starts_with_the_spec_as_it_is() -> None:
    story = begun()
    story.change(maxCU=4)
    start = story.until(m.StartCompute)
    assert (start.generation, start.verifiers, start.spec.max_cu) == (2, {"app": "v1"}, Decimal(4))


def test_a_spec_that_could_not_be_applied_awake_is_applied_by_the_start() -> None:
    story = awake()
    story.change(maxCU=4)
    story.until(m.ApplySpec)
    story.fail(Unavailable("it needs a restart"))
    ask(story)
    start = story.until(m.StartCompute)
    assert (start.generation, start.verifiers, start.spec.max_cu) == (2, {"app": "v1"}, Decimal(4))


def test_until_a_compute_is_warm_the_gates_stay_open() -> None:
    story = awake(agents=1)
    story.at(103.0).sample(busy=1).rest()
    story.asked.clear()
    ask(story)
    assert isinstance(story.action, Wait) and not story.asked
    assert story.world.pool.size_wanted == 1 and story.world.pool.waiting == ("shop",)
    refusal = why.unmoved(story.database, 70.0)
    assert isinstance(refusal, NoWarmCompute) and "70 s" in refusal.message
    story.world.pool.learn(agent(2))
    story.fact(lambda database: None)
    story.until(m.CloseGate)
    assert story.world.pool.find("c2") is not None and story.world.pool.claimed == ("c1",)


def test_what_is_reserved_is_no_others_and_free_again_afterwards() -> None:
    story = begun()
    story.until(m.CloseGate)
    pool = story.world.pool
    assert pool.take("other", None) is None and pool.size_wanted == 3
    story.fail(Busy("session 3: a transaction is open")).rest()
    assert pool.size_wanted == 2 and pool.collect_returned()
    taken = pool.take("other", None)
    assert taken is not None and taken.compute == "c2"


@pytest.mark.parametrize(
    ("step", "fields", "kind"),
    [
        (step, fields, kind)
        for step, fields in BEFORE_THE_STOP
        for kind in FAILURES
        if step is not m.WriteStatus or not issubclass(kind, LOST_RACES)
    ],
)
def test_every_failure_before_the_stop_leaves_it_as_it_was(
    step: type[Any], fields: dict[str, Any], kind: type[Failure]
) -> None:
    story = begun()
    story.until(step, **fields)
    story.fail(kind("session 3 of app holds advisory lock 42"))
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert (story.record.status.epoch, story.record.status.compute) == (1, "c1")
    assert endpoints.info(story.database).address == address("c1")
    assert not story.all(m.StopCompute) and not story.all(m.ConfirmGone)
    assert bool(story.all(m.OpenGate)) == (step in (m.CloseGate, m.StopListening))
    (refusal,) = story.moves()
    assert isinstance(refusal, Busy) and "session 3 of app holds advisory lock 42" in str(refusal)
    assert "nothing was changed" in refusal.hint
    assert story.database.switching is None and story.record.status.last_switchover is None


def test_a_client_that_is_no_proxys_calls_it_off_at_the_last_moment() -> None:
    story = begun()
    story.until(m.StopCompute)
    story.fail(Busy("1 clients are still connected: psql")).until(m.OpenGate)
    story.rest()
    assert story.phase() is Phase.ACTIVE and "psql" in str(story.moves()[0])


def test_a_crash_before_the_stop_calls_it_off() -> None:
    story = begun()
    story.until(m.Checkpoint)
    lost = m.PostgresLost(database="shop", epoch=1, restarting=True, reason="signal 9")
    story.fact(facts.postgres_lost, lost, 103.0)
    story.rest()
    assert isinstance(story.moves()[0], Busy) and not story.all(m.CloseGate)
