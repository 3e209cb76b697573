"""A compute is lost, or may be; the autoscaler restarts."""

from __future__ import annotations

from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import NotFenced, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import endpoints, facts, why
from torpor_autoscaler.lifecycle.actions import Replaced, Wait
from torpor_autoscaler.lifecycle.limits import Limits
from unit.autoscaler.story import FACTS, Story, address, awake, running

NOBODY = m.AgentState(compute="c1", state="stopped", database="shop", epoch=1)


def lost(restarting: bool, epoch: int = 1) -> m.PostgresLost:
    return m.PostgresLost(database="shop", epoch=epoch, restarting=restarting, reason="signal 9")


def found(phase: Phase, state: m.AgentState | None, **spec: Any) -> Story:
    """As after a restart: the record names compute c1 under epoch 5."""
    status = DatabaseStatus(phase=phase, epoch=5, compute="c1", observed_generation=1)
    story = Story(status, **spec)
    story.world.pool.bind("shop", "c1")
    if state is not None:
        story.states["c1"] = state
    return story


def unreachable(story: Story) -> None:
    """For a proxy, which is not there to wait for what comes of it, and for us."""
    waiter = story.wake(lost_epoch=1)
    story.fail(Unavailable("no route"))
    story.fact(facts.leave, waiter)


# --- loss ----------------------------------------------------------------------------------------


def test_a_lost_compute_with_sessions_is_replaced_at_once() -> None:
    story = awake().sample(attached=1)
    story.asked.clear()
    story.fact(facts.agent_gone, "c1", 101.0)
    start = story.until(m.StartCompute)
    assert (start.epoch, start.fenced) == (2, ("c1",))
    (claim,) = story.all(m.WriteStatus)
    assert (claim.status.phase, claim.status.compute) == (Phase.RESUMING, "c2")
    assert claim.status.why_awake == ()
    assert not story.all(m.ConfirmGone)


def test_a_lost_compute_without_sessions_is_laid_down_and_fenced_at_the_next_start() -> None:
    story = awake()
    story.fact(facts.agent_gone, "c1", 101.0)
    story.rest()
    status = story.record.status
    assert (status.phase, status.epoch, status.compute) == (Phase.SUSPENDED, 1, "c1")
    story.wake()
    assert story.until(m.StartCompute).fenced == ("c1",)


def test_one_that_is_kept_awake_returns_by_itself() -> None:
    story = Story(keepAwake=True)
    story.rest()
    assert story.phase() is Phase.ACTIVE
    story.fact(facts.agent_gone, "c1", 101.0)
    story.rest()
    assert story.record.status.epoch == 2 and story.phase() is Phase.ACTIVE


def test_a_lost_connection_alone_changes_nothing() -> None:
    story = awake()
    story.asked.clear()
    story.fact(facts.agent_unheard, "c1")
    assert story.names() == ["AskAgentState"]
    story.rest()
    assert story.database.run is not None and not story.all(m.ConfirmGone)


@pytest.mark.parametrize(
    "outcome",
    [
        Replaced("at c1.sock is c9, not c1"),
        NOBODY,
        running("c1", 7),
        running("c1", 1, database="other"),
        NOBODY.model_copy(update={"state": "failed"}),
    ],
)
def test_an_agent_that_does_not_serve_is_fenced(outcome: object) -> None:
    story = awake().sample()
    story.fact(facts.agent_unheard, "c1").answer(outcome)
    assert story.until(m.ConfirmGone).compute == "c1"
    assert endpoints.info(story.database).address is None
    story.rest()
    assert story.record.status.compute == "c2" and story.record.status.epoch == 2


def test_a_compute_of_which_nobody_knows_whether_it_is_gone_is_not_replaced() -> None:
    story = awake().sample()
    unreachable(story)
    for _ in range(20):
        story.until(m.ConfirmGone)
        story.fail(NotFenced("node n1 is unreachable"))
        wait = story.rest()
        assert wait.until is not None
        story.at(wait.until)
    assert story.all(m.StartCompute)[1:] == []
    assert why.lines(story.database, 200.0)[0] == "NotFenced: node n1 is unreachable"
    story.rest()
    assert story.record.status.epoch == 2


def test_the_record_says_once_what_is_missing_and_no_longer_than_it_is() -> None:
    story = awake().sample()
    story.written.clear()
    unreachable(story)
    for _ in range(5):
        story.until(m.ConfirmGone)
        wait = story.fail(NotFenced("nobody says that c1 has ended", "taint n1")).rest()
        assert wait.until is not None
        story.at(wait.until)
    (said,) = story.written
    assert (said.phase, said.epoch, said.compute) == (Phase.ACTIVE, 1, "c1")
    (ready,) = said.conditions
    assert (ready.type, ready.status, ready.reason) == ("Ready", "False", "NotFenced")
    assert ready.message == "nobody says that c1 has ended; taint n1"
    story.rest()
    assert [status.phase for status in story.written[1:]] == [Phase.RESUMING, Phase.ACTIVE]
    assert {one.status for one in story.written[-1].conditions} == {"True"}


def test_a_record_that_can_not_be_written_does_not_keep_the_fencer_from_being_asked() -> None:
    story = awake().sample()
    unreachable(story)
    story.until(m.ConfirmGone)
    story.fail(NotFenced("nobody says that c1 has ended")).until(m.WriteStatus)
    story.fail(Unavailable("the API server is away")).until(m.GetResource)
    story.fail(Unavailable("the API server is away"))
    story.let_time_pass(lambda: story.record.status.epoch == 2)
    assert story.record.status.compute == "c2"


def test_a_proxy_that_can_not_reach_a_sound_compute_is_told_so() -> None:
    story = awake()
    story.effects.clear()
    story.wake(lost_epoch=1)
    assert isinstance(story.request, m.AskAgentState) and not story.answers()
    story.rest()
    (answer,) = story.answers()
    assert isinstance(answer, m.Awake) and answer.endpoint.epoch == 1


def test_a_proxy_that_found_the_compute_dead_gets_another() -> None:
    story = awake()
    story.effects.clear()
    story.wake(lost_epoch=1)
    story.fail(Unavailable("connection refused"))
    story.rest()
    (answer,) = story.answers()
    assert isinstance(answer, m.Awake) and answer.endpoint.epoch == 2


def test_a_proxy_that_is_behind_is_answered_with_the_present() -> None:
    story = awake()
    story.effects.clear()
    story.wake(lost_epoch=99)
    assert len(story.answers()) == 1 and isinstance(story.action, Wait)


def test_facts_about_another_compute_change_nothing() -> None:
    story = awake()
    story.fact(facts.agent_gone, "c7", 101.0)
    story.fact(facts.agent_unheard, "c7")
    story.fact(facts.postgres_lost, lost(restarting=False, epoch=0), 101.0)
    story.fact(facts.facts_changed, 0, FACTS)
    assert story.database.run is not None and isinstance(story.action, Wait)
    assert story.database.facts != FACTS


# --- a crash of Postgres alone -------------------------------------------------------------------


def test_while_its_agent_restarts_postgres_the_gate_is_closed() -> None:
    story = awake()
    story.effects.clear()
    story.fact(facts.postgres_lost, lost(restarting=True), 101.0)
    info = endpoints.info(story.database)
    assert (info.phase, info.address) == (Phase.ACTIVE, None)
    assert "being started again" in why.lines(story.database, 101.0)[0]
    story.wake()
    assert not story.answers()
    started = m.Started(address=address("c1"), steps=(), facts=FACTS, max_connections=100)
    back = m.PostgresBack(database="shop", epoch=1, started=started)
    story.fact(facts.postgres_back, back)
    assert endpoints.info(story.database).address == address("c1")
    assert [type(answer) for answer in story.answers()] == [m.Awake]
    assert story.record.status.epoch == 1


def test_a_postgres_that_is_given_up_is_fenced() -> None:
    story = awake().sample()
    story.fact(facts.postgres_lost, lost(restarting=False), 101.0)
    story.until(m.ConfirmGone)
    story.rest()
    assert story.record.status.epoch == 2


def test_news_of_the_restart_that_was_missed_is_asked_for() -> None:
    story = awake()
    story.fact(facts.postgres_lost, lost(restarting=True), 101.0)
    story.fact(facts.agent_unheard, "c1")
    story.rest()
    assert story.database.run is not None and story.database.run.is_up


# --- a restart of the autoscaler -----------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.RESUMING, Phase.ACTIVE, Phase.SUSPENDING])
def test_a_compute_that_serves_is_left_alone(phase: Phase) -> None:
    story = found(phase, running("c1", 5))
    story.rest()
    assert story.phase() is Phase.ACTIVE and story.record.status.epoch == 5
    assert not {"StartCompute", "StopCompute", "ConfirmGone"} & set(story.names())
    assert endpoints.info(story.database).address == address("c1")


@pytest.mark.parametrize("phase", [Phase.RESUMING, Phase.ACTIVE, Phase.SUSPENDING])
@pytest.mark.parametrize(
    "state",
    [
        None,
        m.AgentState(compute="c1", state="stopped", database="shop", epoch=5),
        running("c1", 4),
        running("c9", 5),
    ],
)
def test_a_compute_that_does_not_serve_is_fenced_and_laid_down(
    phase: Phase, state: m.AgentState | None
) -> None:
    story = found(phase, state)
    story.rest()
    assert [gone.compute for gone in story.all(m.ConfirmGone)] == ["c1"]
    status = story.record.status
    assert (status.phase, status.epoch, status.compute) == (Phase.SUSPENDED, 5, "c1")


def test_one_that_was_found_starting_is_waited_for() -> None:
    starting = running("c1", 5).model_copy(update={"state": "starting"})
    story = found(Phase.RESUMING, starting)
    for _ in range(5):
        wait = story.rest()
        assert wait.until is not None
        story.at(wait.until)
    assert not story.all(m.ConfirmGone)
    story.states["c1"] = running("c1", 5)
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    assert story.record.status.epoch == 5


def test_one_that_starts_for_ever_is_not() -> None:
    starting = running("c1", 5).model_copy(update={"state": "starting"})
    story = found(Phase.RESUMING, starting, limits=Limits(start_s_max=2.0))
    story.let_time_pass(lambda: story.phase() is Phase.SUSPENDED)
    assert [gone.compute for gone in story.all(m.ConfirmGone)] == ["c1"]


def test_a_wake_at_the_restart_is_answered_by_the_compute_that_serves() -> None:
    story = found(Phase.ACTIVE, running("c1", 5))
    story.wake()
    story.rest()
    (answer,) = story.answers()
    assert isinstance(answer, m.Awake) and answer.endpoint.epoch == 5


def test_nothing_is_suspended_before_every_proxy_may_have_come_back() -> None:
    limits = Limits(start_grace_s=105.0)
    story = Story(limits=limits, idleTimeout="1s")
    story.wake()
    story.rest()
    story.at(104.0)
    assert story.rest().until == 105.0 and not story.all(m.StopCompute)
    story.at(105.0).rest()
    assert story.phase() is Phase.SUSPENDED


def test_a_database_that_somebody_else_claimed_is_let_go() -> None:
    story = awake()
    theirs = DatabaseStatus(phase=Phase.ACTIVE, epoch=2, compute="theirs", observed_generation=1)
    story.record = story.record.model_copy(update={"status": theirs})
    story.touch().fact(facts.observe, story.record)
    assert story.database.run is None
    assert not story.all(m.StopCompute)


def test_an_older_record_changes_nothing() -> None:
    story = awake()
    old = story.record.model_copy(
        update={
            "status": DatabaseStatus(),
            "metadata": story.record.metadata.model_copy(update={"resource_version": "1"}),
        }
    )
    story.fact(facts.observe, old)
    assert story.database.run is not None and story.database.status.phase is Phase.ACTIVE
