"""The size that follows from what a compute and the proxies tell, second by second."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from torpor_api import messages as m
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus
from torpor_autoscaler.core.size import SAMPLE_AGE_S_MAX, STABLE_S
from torpor_autoscaler.lifecycle import facts, sizes
from unit.autoscaler.sized import GIB, QUIET_S, Compute, in_use, of_size
from unit.autoscaler.story import Story, running


def test_a_crowd_is_followed_within_seconds_and_in_place() -> None:
    compute = in_use(maxCU=8).seconds(10)
    compute.seconds(3, active=6, cpu=1.0)
    assert compute.asked and compute.cu > 1
    compute.seconds(6, active=6, cpu=6.0)
    assert compute.cu == Decimal("6.75")
    assert [one.cu for one in compute.story.all(m.FollowSize)][-1] == Decimal("6.75")
    assert compute.story.record.status.current_cu == Decimal("6.75")
    assert not compute.story.all(m.CloseGate) and not compute.story.all(m.StopCompute)
    grown = [one.decision.line for one in compute.story.database.decisions][-2]
    assert grown.startswith("grows from ") and "to 6.75 CU: load 6 CPU over 6s" in grown


def test_backends_that_wait_are_no_load() -> None:
    compute = in_use(maxCU=8).seconds(20, active=9, waiting={"Lock": 7, "IO": 2})
    assert compute.cu == 1


def test_it_shrinks_slowly_and_to_what_takes_no_restart() -> None:
    compute = in_use(maxCU=4).seconds(10, active=4)
    assert compute.cu == 4
    compute.seconds(45)
    assert compute.cu == 4
    compute.seconds(QUIET_S)
    assert compute.cu == Decimal("0.5")  # An eighth of maxCU: below, Postgres starts anew.
    assert not compute.story.all(m.StopCompute)
    assert "at 0.5 CU" in compute.line


def test_it_never_shrinks_below_what_is_in_memory() -> None:
    compute = in_use(maxCU=4).seconds(10, active=4).seconds(QUIET_S, memory=3 * GIB)
    assert compute.cu == Decimal("1.25")
    compute.seconds(QUIET_S, working_set=5 * GIB)
    assert compute.cu > Decimal("1.25")


def test_page_tables_are_memory_too() -> None:
    """Of so many backends that each has mapped all of the shared buffers."""
    compute = in_use(maxCU=4)
    compute.seconds(3, memory=2 * GIB)
    assert compute.cu == 1
    compute.second(memory=2 * GIB, kernel=3 * GIB // 2)
    assert compute.line == "grows from 1 to 1.25 CU: memory 3.5 GiB, above 3 GiB"


def test_nobody_is_moved_for_a_smaller_size_that_the_machine_refuses() -> None:
    compute = in_use(minCU=1, maxCU=4).seconds(10, active=4)
    compute.refusal, compute.refused_at, compute.is_full = "memory is in use", "4", False
    compute.seconds(3 * QUIET_S)
    assert compute.cu == 1 and compute.story.record.status.current_cu == 4
    assert not compute.story.all(m.CloseGate) and compute.story.database.switching is None


def test_each_wake_begins_with_one_unit() -> None:
    compute = in_use(maxCU=4).seconds(10, active=4)
    assert compute.cu == 4
    compute.story.at(compute.story.world.now + 12).sample(busy=0, idle_s=12.0).rest()
    compute.story.let_time_pass(lambda: compute.story.phase() is Phase.SUSPENDED)
    compute.story.asked.clear()
    compute.story.world.pool.learn(of_size(3, 1))
    compute.story.wake()
    assert compute.story.until(m.StartCompute).cu == 1


def test_a_figure_that_no_number_can_be_is_none() -> None:
    compute = in_use(maxCU=4)
    for _ in range(3):
        assert not compute.tell(memory=10**400, working_set=10**400, active=10**400)
    assert compute.cu == 1


def test_a_queue_in_the_proxies_counts_as_load() -> None:
    compute = in_use(maxCU=8).seconds(10)
    compute.seconds(6, active=1, proxy={"waiting": 3})
    assert compute.cu > 4


def test_a_target_latency_is_followed_where_there_is_load() -> None:
    compute = in_use(maxCU=4, targetLatency="10ms")
    for second in range(1, 90):
        took = m.Latencies(count=100 * second, sum_s=2.0 * second)
        compute.second(cpu=0.7, proxy={"latencies": took})
    assert compute.cu == 2
    assert compute.asked == [Decimal(2)]


# --- who chooses ---------------------------------------------------------------------------------


def test_what_a_person_has_chosen_stands_and_is_said() -> None:
    compute = in_use(maxCU=8).seconds(3)
    compute.story.fact(facts.choose_size, 1, Decimal(2)).rest()
    compute.seconds(30, active=8, cpu=2.0)
    assert compute.cu == 2 and "keeps 2 CU until it sleeps" in compute.line
    compute.story.at(compute.story.world.now + 12).sample(busy=0, idle_s=12.0).rest()
    compute.story.let_time_pass(lambda: compute.story.phase() is Phase.SUSPENDED)
    assert compute.story.database.watched is None
    compute.story.asked.clear()
    compute.story.world.pool.learn(of_size(3, 1))
    compute.story.wake()
    assert compute.story.until(m.StartCompute).cu == 1


def test_the_spec_s_bounds_hold_at_once() -> None:
    compute = in_use(maxCU=8).seconds(10, active=6)
    assert compute.cu == Decimal("6.75")
    compute.story.change(maxCU=2).rest()
    assert compute.cu == 2


@pytest.mark.parametrize(
    ("spec", "is_watched"),
    [
        ({"maxCU": 1}, True),
        ({"minCU": 2, "maxCU": 2}, False),
        ({"minCU": 0, "maxCU": 0.25}, False),
        ({"minCU": 1, "maxCU": 8}, True),
    ],
)
def test_only_who_may_have_another_size_is_watched(spec: dict[str, Any], is_watched: bool) -> None:
    compute = in_use(**spec)
    now = compute.story.world.now
    assert sizes.is_to_be_watched(compute.story.database, now) is is_watched
    compute.seconds(1)
    assert not sizes.is_to_be_watched(compute.story.database, compute.story.world.now)


def test_one_that_sleeps_is_not_watched() -> None:
    assert not sizes.is_to_be_watched(Story(maxCU=8).database, 100.0)


# --- what can't be believed ----------------------------------------------------------------------


def test_silence_changes_nothing_and_is_said() -> None:
    compute = in_use(maxCU=8).seconds(10, active=6)
    story = compute.story
    for _ in range(100):
        story.at(story.world.now + 36.0).sample(busy=1).rest()
        sizes.choose(story.database, story.world.now)
    assert compute.cu == Decimal("6.75")
    assert "time without a sample" in compute.line
    assert sizes.is_to_be_watched(story.database, story.world.now)


def test_a_process_that_was_ended_for_want_of_memory_makes_it_grow_at_once_and_for_a_while() -> (
    None
):
    """However little the others have in use."""
    compute = in_use(maxCU=8).seconds(10, oom_kills=3)
    assert compute.cu == 1
    compute.second(oom_kills=4)
    assert compute.cu == Decimal("1.5")
    assert compute.line == (
        "grows from 1 to 1.5 CU: memory when a process was ended for want of it 4 GiB, above 3 GiB"
    )
    compute.seconds(int(STABLE_S) - 1, oom_kills=4)
    assert compute.cu == Decimal("1.5")
    compute.seconds(QUIET_S, oom_kills=4)
    assert compute.cu == 1


def test_it_grows_with_each_of_them_and_also_behind_a_new_start_of_postgres() -> None:
    compute = in_use(maxCU=8).seconds(10, oom_kills=0)
    compute.second(oom_kills=1)
    compute.story.world.now += 20.0
    compute.second(oom_kills=2, elapsed_s=21.0)
    assert compute.cu == Decimal(2)


@pytest.mark.parametrize("totals", [(None, 9), (9, None), (9, 0), (0, 1 << 60), (2, 2)], ids=str)
def test_what_says_nothing_of_such_an_end_changes_nothing(
    totals: tuple[int | None, int | None],
) -> None:
    compute = in_use(maxCU=8)
    for total in totals:
        compute.second(oom_kills=total)
    assert compute.cu == 1


def test_a_compute_that_ended_for_want_of_memory_has_a_larger_successor() -> None:
    compute = in_use(minCU=1, maxCU=8).seconds(10, active=3)
    story, before = compute.story, compute.cu
    sizes.ran_out_of_memory(story.database, None)
    story.asked.clear()
    story.fact(facts.agent_gone, "c1", story.world.now)
    start = story.until(m.StartCompute)
    assert (start.cu or 0) > before
    assert "ended for want of it" in compute.line


@pytest.mark.parametrize(("had", "then"), [("0.5", "4"), ("1", "4"), ("4", "5.5"), ("6", "8")])
def test_what_it_had_counts_and_not_what_it_was_to_have(had: str, then: str) -> None:
    """A node may be without room for more, and a kubelet may refuse less."""
    compute = in_use(minCU=1, maxCU=8)
    compute.story.database.measured_cu = Decimal(4)
    sizes.ran_out_of_memory(compute.story.database, of_size(1, had).size)
    assert compute.cu == Decimal(then)


def test_but_none_that_is_larger_than_it_may_be_or_than_somebody_has_chosen() -> None:
    compute = in_use(minCU=1, maxCU=8)
    compute.story.fact(facts.choose_size, 9, Decimal(2)).rest()
    sizes.ran_out_of_memory(compute.story.database, None)
    assert compute.cu == 2
    compute = in_use(maxCU=1)
    sizes.ran_out_of_memory(compute.story.database, None)
    assert compute.cu == 1


@pytest.mark.parametrize(
    "figures",
    [
        {"epoch": 7},
        {"postgres": None},
        {"working_set": None},
        {"working_set_bytes": {10: 1, 300: 1}},
        {"waiting": {"Lock": 3}},
        {"cpu": -1.0},
        {"elapsed_s": 0.0},
        {"elapsed_s": -3600.0},
        {"elapsed_s": 3600.0},
        {"cpu": 1e9},
        {"memory": 1 << 60},
        {"memory": -GIB},
        {"kernel": -1},
        {"proxy": {"latencies": None}},
    ],
    ids=str,
)
def test_what_can_t_be_never_shrinks(figures: dict[str, Any]) -> None:
    compute = in_use(maxCU=8, targetLatency="1m").seconds(10, active=6)
    before = compute.cu
    compute.seconds(QUIET_S, **figures)
    assert compute.cu >= before
    compute.seconds(QUIET_S)
    assert compute.cu == 1 or figures == {"memory": 1 << 60}


DAMAGES: list[dict[str, Any]] = [
    {"epoch": 7},
    {"postgres": None},
    {"working_set": None},
    {"waiting": {"Lock": 9}},
    {"cpu": -50.0},
    {"elapsed_s": 7200.0},
    {"elapsed_s": -7200.0},
    {"memory": 1 << 60},
    {"kernel": -GIB},
]


@pytest.mark.parametrize("seed", range(5))
def test_whatever_is_told_it_stays_in_bounds_and_shrinks_after_a_minute_of_truth(seed: int) -> None:
    random, compute = Random(seed), in_use(minCU=0.5, maxCU=4)
    damaged_s, damage, before = 0, DAMAGES[0], compute.cu
    true_since = compute.story.world.now
    for _ in range(600):
        is_damaged = random.random() < (0.8 if damaged_s else 0.02)
        damage = damage if damaged_s else random.choice(DAMAGES)
        damaged_s = damaged_s + 1 if is_damaged else 0
        load = random.choice([0.0, 0.0, 0.0, random.uniform(0.0, 6.0)])
        compute.second(**{"cpu": load, "active": int(load), **(damage if damaged_s else {})})
        now = compute.story.world.now
        if damaged_s > SAMPLE_AGE_S_MAX:
            true_since = now
        assert Decimal("0.5") <= compute.cu <= 4
        assert compute.cu >= before or now - true_since >= STABLE_S - SAMPLE_AGE_S_MAX
        before = compute.cu
    assert not compute.story.all(m.StopCompute)


def test_a_proxy_that_does_not_report_holds_up_a_shrink() -> None:
    compute = in_use(maxCU=8).seconds(10, active=6)
    story = compute.story
    story.sample("p2", busy=1).rest()
    compute.seconds(QUIET_S)
    assert compute.cu == Decimal("6.75")
    assert "queue" in compute.line


def test_what_comes_in_a_heap_says_nothing_of_now() -> None:
    """As after a network that was away, or a stop of ours."""
    compute = in_use(maxCU=8).seconds(10)
    story = compute.story
    for _ in range(100):
        story.at(story.world.now + 0.001)
        assert not compute.tell(active=8)
    assert compute.cu == 1


def test_an_autoscaler_that_has_just_begun_leaves_it_as_large_as_it_is() -> None:
    """Its machine has given it more than the record says."""
    found = DatabaseStatus(
        phase=Phase.ACTIVE, epoch=1, compute="c1", observed_generation=1, current_cu=Decimal(1)
    )
    story = Story(found, agents=0, maxCU=8)
    story.world.pool.learn(of_size(1, 4))
    story.states["c1"] = running("c1", 1)
    story.fact(lambda database: setattr(database, "doubt", None)).rest()
    compute = Compute(story)
    compute.seconds(30)
    assert compute.cu == 4 and not compute.asked
    compute.seconds(QUIET_S)
    assert compute.cu == 1


# --- where the machine has no room ---------------------------------------------------------------


def test_for_want_of_processors_nobody_is_interrupted() -> None:
    compute = in_use(maxCU=8)
    compute.refusal = "Infeasible: Node didn't have enough capacity: cpu"
    compute.story.world.pool.learn(of_size(3, 1, node="n2"))
    compute.seconds(100, active=6, cpu=1.0)
    assert compute.cu > 1 and not compute.story.all(m.CloseGate)
    (condition,) = [one for one in compute.story.record.status.conditions if one.type == "Sized"]
    assert condition.reason == "NoRoom"


def test_for_want_of_memory_it_moves_to_a_machine_with_room() -> None:
    compute = in_use(maxCU=8)
    compute.refusal = "Infeasible: Node didn't have enough capacity: memory"
    compute.story.world.pool.learn(of_size(3, 1, node="n2"))
    compute.seconds(3, memory=4 * GIB)
    assert compute.story.record.status.compute == "c3"
    assert compute.story.all(m.StartCompute)[-1].cu == Decimal("1.5")
    assert compute.story.all(m.ResizeCompute)[-1] == m.ResizeCompute(
        compute="c3", cu=Decimal("1.5")
    )


def test_moves_for_the_sake_of_sizes_are_bounded_whichever_they_are() -> None:
    compute = in_use(maxCU=64)
    story = compute.story
    for gib in range(4, 40, 4):
        compute.refusal = "Infeasible: Node didn't have enough capacity: memory"
        story.world.pool.learn(of_size(100 + gib, 1, node=f"n{gib}"))
        number = int(str(story.record.status.compute)[1:])
        compute.number, compute.epoch = number, story.record.status.epoch
        compute.seconds(90, memory=gib * GIB)
    starts = len(story.all(m.StartCompute))
    assert starts == 1 + story.world.limits.resize_moves_max
