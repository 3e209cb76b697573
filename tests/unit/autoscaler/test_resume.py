"""From a wish to a ready Postgres, and everything that may go wrong on the way."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.chain import Step
from torpor_api.failures import (
    BoundElsewhere,
    Conflict,
    DataDamaged,
    Failure,
    NotFenced,
    NoWarmCompute,
    StartFailed,
    StorageFull,
    Unavailable,
)
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.lifecycle import endpoints, facts, why
from torpor_autoscaler.lifecycle.actions import AnswerWakes, AskAgent, Wait
from torpor_autoscaler.lifecycle.limits import Limits
from unit.autoscaler.story import FACTS, Story, address, agent, awake

STEPS: list[tuple[type[Any], dict[str, Any]]] = [
    (m.LocateStorage, {}),
    (m.WriteStatus, {"phase": Phase.RESUMING}),
    (m.StartCompute, {}),
    (m.WriteStatus, {"phase": Phase.ACTIVE}),
]

KINDS = list(Failure.by_kind.values())
FAILURES = [kind for kind in KINDS if kind is not BoundElsewhere]  # Which proves an end.


def test_one_wake_in_order() -> None:
    story = Story()
    story.rest()
    story.asked.clear()
    story.wake()
    story.until(m.WriteStatus, phase=Phase.ACTIVE)
    assert story.names() == ["LocateStorage", "WriteStatus", "StartCompute", "WriteStatus"]
    (claim, _) = story.all(m.WriteStatus)
    assert (claim.status.phase, claim.status.epoch) == (Phase.RESUMING, 1)
    assert claim.status.compute == "c1"
    (start,) = story.all(m.StartCompute)
    assert (start.epoch, start.fenced, start.verifiers) == (1, (), {})


def test_the_answer_comes_before_the_phase_is_written() -> None:
    story = Story()
    story.wake()
    story.until(m.WriteStatus, phase=Phase.ACTIVE)
    (answer,) = story.answers()
    assert isinstance(answer, m.Awake)
    assert answer.endpoint.address == address("c1") and answer.endpoint.epoch == 1
    assert story.record.status.phase is Phase.RESUMING


def test_all_who_ask_share_one_resume() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    ids = (1, story.wake(), story.wake())
    story.rest()
    (effect,) = [e for e in story.effects if isinstance(e, AnswerWakes)]
    assert effect.waiters == ids
    assert len(story.all(m.StartCompute)) == 1


def test_a_wake_of_an_awake_database_is_answered_at_once() -> None:
    story = awake()
    story.effects.clear()
    asked = len(story.asked)
    story.wake()
    assert [type(answer) for answer in story.answers()] == [m.Awake]
    assert len(story.asked) == asked


def test_too_many_waiters_are_refused() -> None:
    story = Story(limits=Limits(waiters_max=2))
    story.wake()
    story.wake()
    story.wake()
    (answer,) = story.answers()
    assert isinstance(answer, Unavailable) and "2 wakes wait" in answer.message


def test_a_newer_spec_is_started_with_its_verifiers() -> None:
    story = Story(DatabaseStatus(observed_generation=0))
    story.wake()
    start = story.until(m.StartCompute)
    assert start.verifiers == {"app": "v1"}
    assert "FetchVerifiers" in story.names()
    story.rest()
    assert story.record.status.observed_generation == 1
    assert not story.all(m.ApplySpec)


def test_where_the_volume_is_is_asked_again_only_after_a_failed_start() -> None:
    story = awake()
    story.fact(facts.agent_gone, "c1", 101.0).rest()
    story.wake()
    story.until(m.StartCompute)
    assert len(story.all(m.LocateStorage)) == 1
    story.fail(DataDamaged("the folder is not there")).rest()
    assert story.database.trouble is not None
    story.at(story.database.trouble.retry_at).world.pool.learn(agent(3))
    story.wake()
    story.rest()
    assert len(story.all(m.LocateStorage)) == 2 and story.phase() is Phase.ACTIVE


def test_only_the_first_start_may_make_the_volume() -> None:
    story = Story()
    story.wake()
    story.until(m.LocateStorage)
    place = m.StoragePlace(directory="/volumes/shop", may_create=True)
    story.answer((place,)).rest()
    story.fact(facts.agent_gone, "c1", 101.0).rest()
    story.wake()
    story.rest()
    assert [asked.storage.may_create for asked in story.all(m.StartCompute)] == [True, False]
    assert len(story.all(m.LocateStorage)) == 1


def test_facts_of_the_start_are_told_and_stored() -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.answer(m.Started(address=address("c1"), steps=(), facts=FACTS, max_connections=7))
    assert endpoints.info(story.database).facts == FACTS
    story.rest()
    (stored,) = story.all(m.StoreLoginFacts)
    assert (stored.epoch, stored.facts) == (1, FACTS)


def test_the_chain_is_what_the_first_waiter_saw() -> None:
    story = Story()
    story.rest()
    story.wake()
    story.at(100.002).until(m.WriteStatus)
    story.at(100.005).answer()
    story.at(100.035)
    steps = (Step(name="start", where="postgres", ms=25.0),)
    story.answer(m.Started(address=address("c1"), steps=steps, max_connections=7))
    (answer,) = story.answers()
    assert isinstance(answer, m.Awake)
    assert [(step.name, step.where) for step in answer.steps] == [
        ("locate storage", "autoscaler"),
        ("claim", "autoscaler"),
        ("start", "postgres"),
        ("tell the agent", "autoscaler"),
    ]
    assert sum(step.ms for step in answer.steps) == pytest.approx(35.0)


def test_what_is_known_of_the_chain_is_written_with_the_phase() -> None:
    """Whoever woke it by hand sends no rest of it, and looks at once."""
    story = Story()
    story.wake()
    written = story.until(m.WriteStatus, phase=Phase.ACTIVE)
    chain = written.status.last_resume
    assert chain is not None and chain.cause == "session 1"


def test_without_a_warm_agent_it_waits_for_the_next() -> None:
    story = Story(agents=0)
    story.wake()
    assert isinstance(story.rest(), Wait)
    assert story.world.pool.size_wanted == 1
    assert not story.all(m.WriteStatus)
    failure = why.unanswered(story.database, 60.0)
    assert isinstance(failure, NoWarmCompute) and "did not wake within 60 s" in failure.message
    story.world.pool.learn(agent(9))
    story.fact(lambda database: None)
    assert story.until(m.StartCompute)
    assert story.world.pool.size_wanted == 0


def test_who_hangs_up_while_it_waits_for_an_agent_leaves_nothing_behind() -> None:
    story = Story(agents=0)
    id = story.wake()
    story.rest()
    story.fact(facts.leave, id)
    story.rest()
    assert story.world.pool.size_wanted == 0 and not story.all(m.WriteStatus)
    assert story.record.status.phase is Phase.SUSPENDED


def test_a_record_that_was_touched_in_between_is_claimed_all_the_same() -> None:
    story = Story()
    story.wake()
    story.until(m.WriteStatus)
    story.touch()
    story.rest()
    assert story.names().count("GetResource") == 1
    assert story.record.status.epoch == 1 and story.record.status.phase is Phase.ACTIVE


def test_a_claim_whose_answer_was_lost_is_found_in_the_record() -> None:
    story = Story()
    story.wake()
    story.until(m.WriteStatus)
    story.do_and_fail(Unavailable("lost"))
    story.rest()
    assert [start.epoch for start in story.all(m.StartCompute)] == [1]
    assert story.record.status.phase is Phase.ACTIVE


def test_a_claim_that_somebody_else_won_is_not_taken_from_him() -> None:
    story = Story()
    story.wake()
    story.until(m.WriteStatus)
    theirs = DatabaseStatus(phase=Phase.ACTIVE, epoch=1, compute="theirs", observed_generation=1)
    story.record = story.record.model_copy(update={"status": theirs})
    story.touch().rest()
    assert not story.all(m.StartCompute)
    assert story.database.run is None and story.record.status == theirs


def test_after_a_lost_claim_what_the_winner_does_is_looked_into() -> None:
    story = Story(DatabaseStatus(phase=Phase.ACTIVE, epoch=4, compute="c1"))
    state = story.until(m.AskAgentState)
    assert isinstance(story.action, AskAgent) and state == m.AskAgentState()


@pytest.mark.parametrize("kind", [StartFailed, StorageFull, Unavailable, Conflict])
def test_a_failed_start_is_tried_again_with_another_compute(kind: type[Failure]) -> None:
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.fail(kind("no"))
    gone = story.until(m.ConfirmGone)
    assert gone.compute == "c1"
    wait = story.rest()
    assert wait.until is not None and not story.answers()
    story.at(wait.until).rest()
    first, second = story.all(m.StartCompute)
    assert (first.epoch, second.epoch) == (1, 2)
    assert second.fenced == ("c1",)
    assert story.record.status.compute == "c2"
    assert [type(answer) for answer in story.answers()] == [m.Awake]


@pytest.mark.parametrize("kind", [StartFailed, StorageFull, Unavailable])
def test_after_several_failed_starts_the_database_has_failed(kind: type[Failure]) -> None:
    story = Story(agents=9)
    story.wake()
    for _ in range(3):
        story.until(m.StartCompute)
        story.fail(kind("initdb has gone fishing"))
        wait = story.rest()
        if wait.until is not None:
            story.at(wait.until)
    assert story.record.status.phase is Phase.FAILED
    (answer,) = story.answers()
    assert isinstance(answer, kind) and answer.message == "initdb has gone fishing"
    ready = story.record.status.conditions[0]
    assert (ready.type, ready.status, ready.reason) == ("Ready", "False", kind.kind)
    info = endpoints.info(story.database)
    assert (info.phase, info.reason) == (Phase.FAILED, "initdb has gone fishing")


@pytest.mark.parametrize("step", [m.LocateStorage, m.StartCompute])
def test_damaged_data_fails_at_once_and_is_tried_again_after_a_rest(step: type[Any]) -> None:
    story = Story()
    story.wake()
    story.until(step)
    story.fail(DataDamaged("no PG_VERSION"))
    story.rest()
    assert story.phase() is Phase.FAILED
    assert [type(answer) for answer in story.answers()] == [DataDamaged]
    story.effects.clear()
    story.wake()
    assert [type(answer) for answer in story.answers()] == [DataDamaged]
    assert why.lines(story.database, 101.0) == ("DataDamaged: no PG_VERSION",)
    assert story.database.trouble is not None
    story.at(story.database.trouble.retry_at).wake()
    story.rest()
    assert {condition.status for condition in story.record.status.conditions} == {"True"}


def test_it_has_failed_also_where_its_compute_was_confirmed_gone_late() -> None:
    """Later than it rests: the record says why it did not start, all the same."""
    story = Story()
    story.wake()
    story.until(m.StartCompute)
    story.fail(DataDamaged("no PG_VERSION"))
    story.until(m.ConfirmGone)
    story.at(story.world.now + 60.0).rest()
    assert story.phase() is Phase.FAILED
    (ready,) = story.record.status.conditions
    assert (ready.status, ready.reason) == ("False", "DataDamaged")


def test_a_fencer_that_says_no_is_asked_for_as_long_as_somebody_waits() -> None:
    story = Story(DatabaseStatus(epoch=3, compute="lost", observed_generation=1))
    id = story.wake()
    for _ in range(10):
        story.until(m.ConfirmGone)
        story.fail(NotFenced("node n1 is unreachable"))
        wait = story.rest()
        assert wait.until is not None and not story.answers()
        story.at(wait.until)
    assert isinstance(why.unanswered(story.database, 60.0), NotFenced)
    story.until(m.StartCompute)
    assert story.all(m.StartCompute)[-1].fenced == ("lost",)
    story.fact(facts.leave, id)


def test_not_fenced_by_the_agent_leads_to_the_fencer_and_to_another_claim() -> None:
    story = Story(DatabaseStatus(epoch=3, observed_generation=1))
    story.wake()
    story.until(m.StartCompute)
    story.fail(NotFenced("epoch 3 is held"))
    wait = story.rest()
    assert wait.until is not None
    story.at(wait.until).rest()
    assert [gone.compute for gone in story.all(m.ConfirmGone)] == ["c1"]
    assert [(s.epoch, s.fenced) for s in story.all(m.StartCompute)] == [(4, ()), (5, ("c1",))]
    assert story.database.trouble is None


@pytest.mark.parametrize("kind", FAILURES)
@pytest.mark.parametrize(("step", "fields"), STEPS)
@pytest.mark.parametrize("was_done", [False, True])
def test_every_failure_at_every_step_ends_in_an_answer(
    step: type[Any], fields: dict[str, Any], kind: type[Failure], was_done: bool
) -> None:
    """Once; then the world is well again."""
    story = Story(agents=4)
    story.wake()
    story.until(step, **fields)
    fail = story.do_and_fail if was_done else story.fail
    fail(kind("once"))
    story.let_time_pass(lambda: story.answers() and story.phase() in (Phase.ACTIVE, Phase.FAILED))
    assert story.answers()
    if story.database.trouble is not None:
        story.at(story.database.trouble.retry_at).wake()
        story.rest()
    assert story.database.run is not None and story.record.status.phase is Phase.ACTIVE
    _every_claim_was_safe(story)


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("is_held", [False, True])
@pytest.mark.parametrize("is_wanted", [False, True])
def test_every_phase_leads_to_a_truth(phase: Phase, is_held: bool, is_wanted: bool) -> None:
    """As after a restart of the autoscaler when the compute is not there any more."""
    compute = "lost" if is_held else None
    story = Story(DatabaseStatus(phase=phase, epoch=3, compute=compute, observed_generation=1))
    if is_wanted:
        story.wake()
    story.let_time_pass(lambda: story.phase() is Phase.ACTIVE)
    status = story.record.status
    if is_wanted:
        assert status.phase is Phase.ACTIVE and status.epoch == 4
    elif phase is Phase.FAILED:
        assert status.phase is Phase.FAILED
    else:
        assert status.phase is Phase.SUSPENDED and status.compute == compute
    assert status.epoch >= 3
    _every_claim_was_safe(story)


def _every_claim_was_safe(story: Story) -> None:
    """Each claim's predecessor was confirmed gone before the next start, and none served twice.

    A start may be asked for again, where its answer was not heard: then it is the very same.
    """
    asked = [(i, r) for i, r in enumerate(story.asked) if isinstance(r, m.StartCompute)]
    starts = [next(same) for _, same in itertools.groupby(asked, key=lambda start: start[1].epoch)]
    assert all(request in [first for _, first in starts] for _, request in asked)
    epochs = [request.epoch for _, request in starts]
    assert epochs == sorted(set(epochs))
    owners: dict[int, str | None] = {}
    for status in story.written:
        assert owners.setdefault(status.epoch, status.compute) in (status.compute, None)
    served = [compute for compute in owners.values() if compute is not None]
    assert len(served) == len(set(served))
    for (before, _), (after, request) in itertools.pairwise(starts):
        between = story.asked[before:after]
        gone = [asked.compute for asked in between if isinstance(asked, m.ConfirmGone)]
        assert gone and gone[-1] in request.fenced
