"""Who gets which agent, and what the cluster is told."""

from __future__ import annotations

import random
import timeit
from collections.abc import Callable

import pytest

from torpor_autoscaler.lifecycle import warm_pool
from torpor_autoscaler.lifecycle.warm_pool import WarmPool
from unit.autoscaler.story import agent


def of_cluster(**pools: int) -> WarmPool:
    """So many computes of each; c1 is the oldest."""
    made, number = WarmPool(1, "default"), 0
    for name, count in pools.items():
        for _ in range(count):
            number += 1
            made.learn(agent(number, name))
    return made


def pool(agents: int, size: int = 2) -> WarmPool:
    made = WarmPool(size)
    for number in range(1, agents + 1):
        made.learn(agent(number))
    return made


def test_the_agent_that_was_warm_for_longest_is_taken() -> None:
    agents = pool(3)
    assert agents.take("a", None) == agent(1)
    assert agents.take("b", "18") == agent(2)
    assert agents.claimed == ("c1", "c2")


def test_no_agent_is_given_out_twice_even_if_its_database_lets_it_go() -> None:
    agents = pool(1)
    assert agents.take("a", None) is not None
    agents.unbind("a")
    assert agents.claimed == ()
    agents.learn(agent(1))
    assert agents.take("b", None) is None


def test_one_that_served_before_our_start_is_never_given_out() -> None:
    agents = pool(2)
    agents.spend("c1", "a")
    agents.bind("b", "c2")
    assert agents.take("a", None) is None


def test_another_postgres_does_not_serve() -> None:
    assert pool(1).take("a", "17") is None


def test_one_that_is_gone_does_not_come_back_with_late_news() -> None:
    agents = pool(1)
    agents.learn(agent(1).model_copy(update={"is_gone": True}))
    agents.learn(agent(1))
    assert agents.take("a", None) is None and agents.find("c1") is None


def test_the_dead_are_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_pool, "REMEMBERED_MAX", 3)
    agents = pool(0)
    for number in range(10):
        agents.learn(agent(number).model_copy(update={"is_gone": True}))
    agents.learn(agent(9))
    assert agents.find("c9") is None
    agents.learn(agent(0))
    assert agents.find("c0") is not None


def test_a_pool_of_none_starts_one_when_somebody_waits() -> None:
    agents = pool(0, size=0)
    assert agents.size_wanted == 0
    before = agents.revision
    assert agents.take("a", None) is None and agents.take("b", None) is None
    assert (agents.size_wanted, agents.waiting) == (1, ("a", "b"))
    assert agents.revision > before
    agents.learn(agent(1))
    assert agents.take("a", None) is not None
    assert (agents.size_wanted, agents.waiting) == (1, ("b",))
    agents.stop_waiting("b")
    assert agents.size_wanted == 0


def test_a_larger_pool_is_as_large_as_it_is_told() -> None:
    agents = pool(0, size=5)
    agents.take("a", None)
    assert agents.size_wanted == 5


def test_whom_a_compute_serves() -> None:
    agents = pool(2)
    agents.take("a", None)
    assert agents.database_of("c1") == "a" and agents.database_of("c2") is None


def test_asking_again_and_again_is_no_news_to_the_cluster() -> None:
    agents = pool(0)
    agents.take("a", None)
    revision = agents.revision
    agents.take("a", None)
    agents.unbind("a")
    assert agents.revision == revision


def test_what_is_reserved_is_warm_but_no_others() -> None:
    agents = pool(2)
    assert agents.reserve("a", None) == agents.reserve("a", None) == agent(1)
    assert (agents.claimed, agents.size_wanted, agents.database_of("c1")) == ((), 3, None)
    assert agents.take("b", None) == agent(2)
    assert agents.take("c", None) is None


def test_what_was_reserved_is_taken_first() -> None:
    agents = pool(2)
    agents.reserve("a", None)
    agents.take("b", None)
    assert agents.take("a", None) == agent(1)
    assert (agents.claimed, agents.size_wanted) == (("c1", "c2"), 2)


@pytest.mark.parametrize("give_back", [WarmPool.release, WarmPool.unbind])
def test_what_was_reserved_may_be_given_back(give_back: Callable[[WarmPool, str], None]) -> None:
    agents = pool(1)
    agents.reserve("a", None)
    assert agents.take("b", None) is None and not agents.collect_returned()
    give_back(agents, "a")
    assert agents.collect_returned() and not agents.collect_returned()
    assert agents.take("b", None) == agent(1)


def test_what_was_reserved_and_dies_is_replaced() -> None:
    agents = pool(2)
    agents.reserve("a", None)
    agents.learn(agent(1).model_copy(update={"is_gone": True}))
    assert agents.size_wanted == 2
    assert agents.reserve("a", None) == agent(2)
    agents.forget("c2")
    assert agents.take("a", None) is None and agents.waiting == ("a",)


def test_another_postgres_than_was_reserved_may_be_needed() -> None:
    agents = pool(1)
    agents.reserve("a", "18")
    assert agents.take("a", "17") is None
    assert agents.take("b", "18") == agent(1)


def test_a_compute_of_another_pool_has_not_the_volume() -> None:
    agents = of_cluster(default=1, fast=2)
    assert agents.has_free(None, pool="fast", not_on="n9")
    assert agents.take("a", None, pool="fast") == agent(2, "fast")
    assert agents.reserve("b", None, pool="fast") == agent(3, "fast")
    assert agents.take("c", None, pool="fast") is None
    assert not agents.has_free(None, pool="fast", not_on="n9")
    assert agents.take("c", None, pool="default") == agent(1, "default")


def test_each_pool_is_told_of_those_who_wait_in_it() -> None:
    agents = of_cluster(default=0)
    for name in ("a", "b", "c"):
        agents.take(name, None, pool="fast")
    assert set(agents.pools) == {"default", "fast"}
    assert (agents.need("fast").size, agents.need("default").size) == (3, 1)
    agents.learn(agent(1, "fast"))
    agents.take("a", None, pool="fast")
    assert (agents.need("fast").size, agents.need("default").size) == (2, 1)
    assert agents.need("fast").claimed == ()  # The records say so.


def test_no_more_are_wanted_than_a_pool_may_have() -> None:
    agents = of_cluster(default=1)
    assert agents.reserve("other", None, pool="default") is not None
    for number in range(1100):
        agents.take(f"d{number}", None, pool="default")
    assert agents.need("default").size == 1000


def test_one_that_somebody_has_is_not_warm_though_no_record_says_so() -> None:
    """Records that can't be seen, and data that is erased: the pod's label says it."""
    agents = pool(2)
    agents.reserve("a", None)
    agents.learn(agent(1).model_copy(update={"is_taken": True}))
    assert agents.reserve("a", None) == agent(2)
    assert agents.take("b", None) is None


def test_what_is_missing_is_right_whatever_has_happened() -> None:
    """Of a pool whose members come, serve, are given back and go, in any order."""
    dice, agents = random.Random(7), of_cluster(default=0)
    there, taken = set[int](), dict[str, int]()
    for number in range(400):
        match dice.choice(("comes", "comes", "serves", "returns", "ends")):
            case "comes":
                agents.learn(agent(number, "default"))
                there.add(number)
            case "serves" if there - set(taken.values()):
                found = agents.take(f"d{number}", None, pool="default")
                assert found is not None
                taken[f"d{number}"] = int(found.compute[1:])
            case "returns" if taken:
                name = dice.choice(sorted(taken))
                agents.give_back(name, f"c{taken.pop(name)}")
            case "ends" if there:
                gone = dice.choice(sorted(there))
                agents.learn(agent(gone, "default").model_copy(update={"is_gone": True}))
                there.discard(gone)
                taken = {name: one for name, one in taken.items() if one != gone}
        assert agents.missing("default") == 1 - len(there - set(taken.values()))


def test_a_claim_costs_as_much_where_thousands_are_awake() -> None:
    def seconds(awake: int) -> float:
        agents = of_cluster(default=awake)
        for number in range(1, awake + 1):
            agents.bind(f"d{number}", f"c{number}")
        agents.learn(agent(awake + 1, "default"))

        def claim() -> None:
            agents.reserve("a", None, pool="default")
            agents.release("a")
            agents.missing("default")

        return min(timeit.repeat(claim, number=1, repeat=30))

    assert seconds(3000) < 20 * seconds(1)
