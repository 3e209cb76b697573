"""How many agents to start and which to end."""

from __future__ import annotations

from functools import partial

from hypothesis import given
from hypothesis import strategies as st

from torpor_cli.local.pool import AgentFacts, PoolPlan, refill_delay_s
from torpor_cli.local.pool import plan_pool as plan_within

plan_pool = partial(plan_within, cores=100)

READY = AgentFacts(is_ready=True)
STARTING = AgentFacts()
USED = AgentFacts(was_claimed=True, is_ready=True)


def test_it_fills_up() -> None:
    assert plan_pool({}, (), 2) == PoolPlan(start=2)
    assert plan_pool({"a": READY}, (), 2) == PoolPlan(start=1)
    assert plan_pool({"a": READY, "b": STARTING}, (), 2) == PoolPlan()


def test_no_more_are_started_at_once_than_there_are_cores() -> None:
    assert plan_within({}, (), 5, cores=2).start == 2
    assert plan_within({"a": READY, "b": STARTING}, (), 5, cores=2).start == 1
    assert plan_within({"a": STARTING, "b": STARTING}, (), 5, cores=1).start == 0


def test_a_claimed_agent_is_replaced_and_left_alone() -> None:
    assert plan_pool({"a": USED, "b": READY}, {"a"}, 2) == PoolPlan(start=1)


def test_an_agent_that_nobody_claims_any_more_is_ended_and_never_warm_again() -> None:
    assert plan_pool({"a": USED}, (), 1) == PoolPlan(start=1, end=("a",))


def test_of_too_many_those_go_that_are_least_ready_and_youngest() -> None:
    agents = {"old": READY, "starting": STARTING, "young": READY}
    assert plan_pool(agents, (), 1).end == ("young", "starting")
    assert plan_pool(agents, (), 2).end == ("starting",)


@given(
    agents=st.dictionaries(
        st.sampled_from("abcdefgh"), st.builds(AgentFacts, st.booleans(), st.booleans())
    ),
    claimed=st.frozensets(st.sampled_from("abcdefghxyz")),
    size=st.integers(0, 10),
)
def test_one_step_reaches_the_size_and_no_claimed_agent_is_ended(
    agents: dict[str, AgentFacts], claimed: frozenset[str], size: int
) -> None:
    plan = plan_pool(agents, claimed, size)
    assert not claimed & set(plan.end)
    left = {a for a, f in agents.items() if a not in claimed and not f.was_claimed}
    assert len(left - set(plan.end)) + plan.start == size


def test_the_last_one_is_replaced_sooner() -> None:
    assert refill_delay_s(warm=0) < refill_delay_s(warm=1) == refill_delay_s(warm=9)
