"""The size of a compute: in place, by a reload, by a switchover where only that helps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.failures import Busy, Failure, InvalidRequest, Refused, Unavailable
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_api.sizes import cpu_milli, memory_bytes
from torpor_autoscaler.lifecycle import facts, outcomes, why
from torpor_autoscaler.lifecycle.actions import Wait
from unit.autoscaler.story import Story, agent, awake, running

RESTART = ("shared_buffers is 128MB, not 256MB",)


def of_size(number: int, cu: str, refusal: str = "", **more: Any) -> m.AgentInfo:
    """A compute as its machine limits it."""
    units, node = Decimal(cu), more.pop("node", "n1")
    size = m.AgentSize(
        cpu_milli=cpu_milli(units), memory_bytes=memory_bytes(units), refusal=refusal, **more
    )
    return agent(number).model_copy(update={"size": size, "node": node})


def says(story: Story, info: m.AgentInfo) -> Story:
    """The machine tells of the compute."""
    story.world.pool.learn(info)
    return story.fact(lambda database: None)


def in_use(**spec: Any) -> Story:
    """Awake since 100 on a compute of one unit that a machine limits; a session is busy."""
    story = Story(agents=0, **spec)
    for number in (1, 2):
        story.world.pool.learn(of_size(number, "1"))
    story.wake()
    story.rest()
    story.at(103.0).sample(busy=1).rest()
    return story


def choose(story: Story, cu: str, asker: int = 1) -> Story:
    story.asked.clear()
    return story.fact(facts.choose_size, asker, Decimal(cu))


def condition(story: Story) -> str:
    """Why it does not have the size that it shall have; empty: it has."""
    conditions = story.record.status.conditions
    found = [one.reason for one in conditions if (one.type, one.status) == ("Sized", "False")]
    return found[0] if found else ""


def test_a_compute_that_has_its_size_is_asked_for_nothing() -> None:
    story = in_use()
    assert not story.all(m.ResizeCompute) and not story.all(m.FollowSize)
    (start,) = story.all(m.StartCompute)
    assert start.cu == 1 and story.record.status.current_cu == 1
    assert len(story.written) == 2  # The claim, and that it is awake.


def test_a_warm_compute_grows_behind_the_first_answer() -> None:
    story = Story(agents=0, minCU=4, maxCU=4)
    story.world.pool.learn(of_size(1, "1"))
    story.wake()
    asked = story.until(m.ResizeCompute)
    assert story.answers() and (asked.compute, asked.cu) == ("c1", Decimal(4))
    assert story.all(m.StartCompute)[0].cu == 4
    story.rest()
    assert story.record.status.current_cu == 1
    says(story, of_size(1, "4")).rest()
    assert story.record.status.current_cu == 4
    assert not story.all(m.FollowSize)  # It was started for that size.


def test_a_chosen_size_is_asked_for_and_followed_when_it_is_there() -> None:
    story = choose(in_use(maxCU=4), "2")
    assert story.until(m.ResizeCompute).cu == 2
    story.rest()
    assert not story.all(m.FollowSize) and not story.resizes()
    says(story, of_size(1, "2"))
    follow = story.until(m.FollowSize)
    assert (follow.epoch, follow.cu, follow.max_cu) == (1, Decimal(2), Decimal(4))
    story.rest()
    assert story.resizes() == [m.Resized(cu=Decimal(2))]
    status = story.record.status
    assert (status.chosen_cu, status.current_cu) == (Decimal(2), Decimal(2))
    assert not story.all(m.StopCompute)


def test_a_smaller_one_is_followed_first_and_each_time_that_the_machine_is_asked() -> None:
    """What the kernel keeps of its files is in the way, and comes back while sessions go on."""
    story = choose(in_use(minCU=0, maxCU=4), "0.5")
    follow = story.until(m.FollowSize)
    assert follow.cu == Decimal("0.5") and not story.all(m.ResizeCompute)
    assert story.until(m.ResizeCompute).cu == Decimal("0.5")
    story.rest()
    story.let_time_pass(lambda: len(story.all(m.ResizeCompute)) == 2)
    assert [name for name in story.names() if name in ("FollowSize", "ResizeCompute")] == [
        "FollowSize",
        "ResizeCompute",
    ] * 2
    says(story, of_size(1, "0.5")).rest()
    assert len(story.all(m.FollowSize)) == 2
    assert story.record.status.current_cu == Decimal("0.5") and condition(story) == ""


def test_where_nobody_limits_computes_the_settings_follow_at_once() -> None:
    story = awake(maxCU=4)
    assert story.record.status.current_cu == 1
    choose(story, "0.5").rest()
    assert "FollowSize" in story.names() and not story.all(m.ResizeCompute)
    assert story.resizes() == [m.Resized(cu=Decimal("0.5"))]
    assert story.record.status.current_cu == Decimal("0.5")


def test_a_choice_ends_with_the_next_sleep() -> None:
    story = awake(maxCU=4)
    choose(story, "2").rest()
    story.let_time_pass(lambda: story.phase() is Phase.SUSPENDED)
    status = story.record.status
    assert (status.chosen_cu, status.current_cu, status.phase) == (None, None, Phase.SUSPENDED)
    story.asked.clear()
    story.wake()
    assert story.until(m.StartCompute).cu == 1


def test_a_choice_outlives_a_switchover_a_loss_and_a_restart_of_the_autoscaler() -> None:
    story = choose(awake(maxCU=4), "2")
    story.rest()
    story.at(103.0).sample(busy=1).rest()
    story.asked.clear()
    story.fact(facts.ask_switchover, 9, 5.0)
    assert story.until(m.StartCompute).cu == 2
    story.rest()
    later = Story(story.record.status, maxCU=4)
    later.states["c2"] = running("c2", 2)
    later.world.pool.learn(agent(2))
    assert later.database.chosen_cu == later.database.size.cu == 2
    later.until(m.FollowSize)
    later.rest()
    assert later.record.status.current_cu == 2


def test_a_person_who_chooses_again_is_answered_and_the_first_hears_of_it() -> None:
    story = choose(in_use(maxCU=4), "2", 1)
    choose(story, "3", 2).rest()
    says(story, of_size(1, "3")).rest()
    first, second = story.resizes()
    assert isinstance(first, Busy) and second == m.Resized(cu=Decimal(3))


@pytest.mark.parametrize(
    ("cu", "failure", "words"),
    [
        ("0.75", Refused, "1 to 4 CU"),
        ("4.25", Refused, "1 to 4 CU"),
        ("1.1", InvalidRequest, "multiple of 0.25"),
    ],
)
def test_a_size_that_can_t_be_is_refused(cu: str, failure: type[Failure], words: str) -> None:
    story = choose(in_use(minCU=1, maxCU=4), cu)
    (refusal,) = story.resizes()
    assert isinstance(refusal, failure) and words in refusal.message
    assert story.database.chosen_cu is None


def test_one_that_sleeps_has_no_size() -> None:
    story = choose(Story(maxCU=4), "2")
    (refusal,) = story.resizes()
    assert isinstance(refusal, Refused) and "Suspended" in refusal.message


def test_the_spec_s_bounds_hold_for_what_was_chosen() -> None:
    story = choose(awake(maxCU=4), "4")
    story.rest()
    story.change(maxCU=2).rest()
    assert story.all(m.FollowSize)[-1].cu == story.all(m.FollowSize)[-1].max_cu == 2
    assert story.record.status.current_cu == 2


# --- what needs another compute ------------------------------------------------------------------


def test_what_needs_a_restart_comes_by_a_switchover() -> None:
    story = in_use()
    story.needs_restart = RESTART
    story.change(maxCU=2)
    story.until(m.StopCompute)
    story.needs_restart = ()
    start = story.until(m.StartCompute)
    assert (start.cu, start.spec.max_cu) == (Decimal(1), Decimal(2))
    story.rest()
    assert (story.record.status.epoch, story.record.status.compute) == (2, "c2")
    assert condition(story) == ""


def test_who_asked_for_it_hears_of_the_pause() -> None:
    story = in_use(maxCU=8)
    choose(story, "2").rest()
    story.needs_restart = RESTART
    says(story, of_size(1, "2")).rest()
    assert story.record.status.epoch == 2
    says(story, of_size(2, "2")).rest()
    (resized,) = story.resizes()
    assert isinstance(resized, m.Resized) and resized.pause_ms is not None


def test_a_session_that_can_t_be_moved_keeps_its_compute_and_the_reason_is_said() -> None:
    story = in_use(maxCU=8)
    choose(story, "2").rest()
    story.needs_restart = RESTART
    says(story, of_size(1, "2"))
    story.until(m.CloseGate)
    story.fail(Busy("session 3 is pinned"))
    story.rest()
    assert story.resizes() == [m.Resized(cu=Decimal(2), needs_restart=RESTART)]
    assert condition(story) == "NeedsSwitchover" and story.record.status.epoch == 1
    assert any("shared_buffers" in line for line in why.lines(story.database, story.world.now))


def test_moves_for_the_sake_of_a_size_are_bounded() -> None:
    story = in_use(maxCU=8)
    story.needs_restart = RESTART
    choose(story, "2").rest()
    says(story, of_size(1, "2"))
    for now in range(104, 400):
        while not isinstance(story.action, Wait):
            if story.asks(m.CloseGate):
                story.fail(Busy("session 3 is pinned"))
            else:
                story.answer()
        story.at(float(now)).sample(busy=1)
    assert len(story.all(m.CloseGate)) == story.world.limits.resize_moves_max


def test_one_that_falls_asleep_needs_no_switchover() -> None:
    story = awake(maxCU=8)
    story.needs_restart = RESTART
    story.at(110.0).sample(idle_s=10.0)
    choose(story, "2").rest()
    assert story.phase() is Phase.SUSPENDED and story.record.status.epoch == 1
    (answer,) = story.resizes()
    assert isinstance(answer, Busy) and "sleep" in answer.message
    assert not story.world.pool.waiting


def test_without_a_warm_compute_nobody_waits_behind_closed_gates() -> None:
    story = Story(agents=0, maxCU=8)
    story.world.pool.learn(of_size(1, "1"))
    story.wake()
    story.rest()
    story.at(103.0).sample(busy=1).rest()
    story.needs_restart = RESTART
    choose(story, "2").rest()
    says(story, of_size(1, "2")).rest()
    assert not story.all(m.CloseGate) and story.world.pool.waiting == ("shop",)
    says(story, of_size(2, "1"))
    story.until(m.CloseGate)


def test_a_machine_without_room_is_named_and_left_for_another() -> None:
    story = in_use(maxCU=64)
    choose(story, "64").rest()
    refusal = "Infeasible: Node didn't have enough capacity: cpu"
    says(story, of_size(1, "1", refusal, is_for_want_of_room=True)).rest()
    assert not story.all(m.CloseGate)  # The other one is on the same machine.
    (answer,) = story.resizes()
    assert isinstance(answer, Unavailable) and refusal in answer.message
    assert condition(story) == "NoRoom" and story.record.status.current_cu == 1
    says(story, of_size(3, "1", node="n2"))
    story.until(m.StopCompute)
    story.rest()
    assert story.record.status.compute == "c3"
    assert story.all(m.ResizeCompute)[-1].compute == "c3"


def test_a_server_that_knows_that_the_node_has_no_room_says_the_same() -> None:
    story = choose(in_use(maxCU=64), "32")
    story.until(m.ResizeCompute)
    story.fail(Refused("forbidden: node didn't have enough allocatable cpu")).rest()
    (answer,) = story.resizes()
    assert isinstance(answer, Unavailable) and "allocatable cpu" in answer.message
    assert condition(story) == "NoRoom" and not story.all(m.CloseGate)
    says(story, of_size(3, "1", node="n2"))
    assert story.until(m.StartCompute).cu == 32
    story.rest()
    assert story.record.status.compute == "c3"


def test_memory_that_is_in_use_is_left_behind_on_the_old_compute() -> None:
    story = in_use(maxCU=1)
    choose(story, "0.25").rest()
    says(story, of_size(1, "1", "Error: memory is in use")).rest()
    assert story.record.status.compute == "c1"  # It may have looked before that was gone.
    story.let_time_pass(lambda: story.record.status.compute == "c2")
    assert [asked.compute for asked in story.all(m.ResizeCompute)] == ["c1", "c1", "c2"]


def test_a_question_that_failed_is_asked_again_and_said() -> None:
    story = choose(in_use(maxCU=4), "2")
    story.until(m.ResizeCompute)
    story.fail(InvalidRequest("the pod can't be resized"))
    story.rest()
    (answer,) = story.resizes()
    assert isinstance(answer, InvalidRequest) and condition(story) == "NotResized"
    story.asked.clear()
    story.at(103.0 + story.world.limits.resize_backoff_s_min)
    story.until(m.ResizeCompute)
    story.rest()
    says(story, of_size(1, "2")).rest()
    assert condition(story) == ""


def test_a_kubelet_that_does_nothing_and_says_nothing_is_named_after_a_while() -> None:
    story = choose(in_use(maxCU=4), "2")
    story.rest()
    assert condition(story) == ""
    story.at(103.0 + story.world.limits.resize_again_s).sample(busy=1).rest()
    assert condition(story) == "NotYet"
    says(story, of_size(1, "2")).rest()
    assert condition(story) == ""


def test_a_size_that_somebody_took_away_is_asked_for_again() -> None:
    story = in_use(maxCU=4)
    says(story, of_size(1, "4")).rest()
    says(story, of_size(1, "2")).rest()
    story.asked.clear()
    story.at(103.0 + story.world.limits.resize_again_s).sample(busy=1)
    story.until(m.ResizeCompute)


def test_after_a_crash_of_postgres_nothing_needs_a_restart() -> None:
    story = in_use(maxCU=8)
    story.needs_restart = RESTART
    choose(story, "2").rest()
    says(story, of_size(1, "2"))
    story.until(m.CloseGate)
    story.fail(Busy("session 3 is pinned")).rest()
    story.needs_restart = ()
    lost = m.PostgresLost(database="shop", epoch=1, restarting=True, reason="signal 9")
    story.fact(facts.postgres_lost, lost, story.world.now)
    started = m.Started(address=m.ComputeAddress(), steps=(), max_connections=100)
    story.fact(facts.postgres_back, m.PostgresBack(database="shop", epoch=1, started=started))
    story.until(m.FollowSize)
    story.rest()
    assert condition(story) == ""


def test_who_asked_need_not_ask_again_after_a_loss() -> None:
    story = choose(in_use(maxCU=4), "2")
    story.rest()
    story.fact(facts.agent_gone, "c1", story.world.now)
    assert story.until(m.StartCompute).cu == 2
    story.rest()
    says(story, of_size(2, "2")).rest()
    assert [type(answer) for answer in story.resizes()] == [m.Resized]


def test_a_record_of_an_older_release_has_no_choice() -> None:
    story = Story(DatabaseStatus(observed_generation=1), maxCU=4)
    assert story.database.chosen_cu is None and story.database.size.cu == 1
    outcomes.answer_resizes(story.database, Busy("nobody asked"))
    assert not story.resizes()


def test_where_a_size_is_no_limit_the_record_says_so() -> None:
    found = [one for one in awake().record.status.conditions if one.type == "Sized"]
    assert [(one.status, one.reason) for one in found] == [("True", "Unlimited")]
    assert "nothing limits" in found[0].message
    assert not [one for one in in_use().record.status.conditions if one.type == "Sized"]


def test_and_why_where_the_machine_knows_it() -> None:
    story = Story(agents=0)
    story.world.pool.learn(agent(1).model_copy(update={"why_unlimited": "it may not"}))
    story.wake()
    story.rest()
    (found,) = [one for one in story.record.status.conditions if one.type == "Sized"]
    assert found.message.endswith("nothing limits its CPU and memory here: it may not")
