"""How many computes are started, which are ended, and which pods are let go."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torpor_kube.kinds import POD
from torpor_kube.names import ENDED_POD_KEPT_S
from torpor_operator.core.actions import Delete, Patch
from torpor_operator.core.naming import Key
from torpor_operator.core.pool import (
    BURST_MAX,
    ENDED_MAX,
    FAILED_KEPT_S,
    PAUSE_S_MIN,
    USED_S_MAX,
    YOUNG_S,
    PoolFacts,
    PoolPlan,
    may_be_let_go,
    plan_pool,
)
from torpor_operator.core.seen_pods import SeenPod, see_pod

NOW = 1_000_000.0
SHOP = Key("default", "shop")


def pool(wanted: int = 0, low: int = 0, high: int = 10, **metadata: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "default", "namespace": "system", "uid": "u", **metadata},
        "spec": {"size": {"min": low, "max": high}},
        "status": {"wanted": wanted},
    }


def pod(name: str, **changes: Any) -> SeenPod:
    """Ready, warm, and of the pool's present template."""
    warm = SeenPod(
        name=name,
        version="7",
        pool="default",
        template="t1",
        created_at=NOW - 100,
        is_ready=True,
        finalizers=("torpor.dev/fence",),
    )
    return replace(warm, **changes)


def plan(*pods: SeenPod, wanted: int = 0, named: tuple[str, ...] = (), **facts: Any) -> PoolPlan:
    document = facts.pop("document", None) or pool(wanted)
    now = facts.pop("now", NOW)
    seen = PoolFacts(document=document, template="t1", pods=pods, named=named, **facts)
    return plan_pool(seen, now, "system")


def deleted(found: PoolPlan) -> list[str]:
    return [action.key.name for action in found.actions if isinstance(action, Delete)]


def let_go(found: PoolPlan) -> list[str]:
    return [action.key.name for action in found.actions if isinstance(action, Patch)]


def test_it_fills_up_to_what_the_autoscaler_wants_within_its_bounds() -> None:
    assert plan(wanted=3).start == 3
    assert plan(pod("a"), wanted=3).start == 2
    assert plan(document=pool(wanted=0, low=2)).start == 2
    assert plan(document=pool(wanted=99, high=4)).start == 4
    assert plan(document=pool(wanted=1000, high=1000)).start == BURST_MAX


def test_a_claimed_compute_is_replaced_and_left_alone() -> None:
    found = plan(pod("a", database=SHOP), pod("b"), wanted=2, named=("a",))
    assert (found.start, found.actions, found.warm, found.claimed) == (1, (), 1, 1)
    # The database's word counts, also where the label is not there yet.
    found = plan(pod("a"), wanted=0, named=("a",))
    assert found.actions == ()


def test_of_too_many_those_go_that_are_least_ready_and_youngest() -> None:
    old, young = pod("old"), pod("young", created_at=NOW - YOUNG_S)
    starting = pod("starting", is_ready=False, created_at=NOW - 50)
    assert deleted(plan(old, young, starting, wanted=1)) == ["young", "starting"]
    assert deleted(plan(old, young, starting, wanted=2)) == ["starting"]


def test_one_that_was_just_made_is_not_ended_because_fewer_are_wanted_now() -> None:
    old, young = pod("old"), pod("young", is_ready=False, created_at=NOW - 1)
    found = plan(old, young, wanted=1)
    assert (found.actions, found.again_in_s) == ((), YOUNG_S - 1)
    assert deleted(plan(old, young, wanted=1, now=NOW - 1 + YOUNG_S)) == ["young"]
    leaving = plan(old, young, document=pool(deletionTimestamp="now"))
    assert set(deleted(leaving)) == {"old", "young"}


def test_one_that_was_told_to_end_while_it_started_has_not_failed() -> None:
    failed = pod("a", is_ready=False, has_ended=True, ended_at=NOW - 1, failure="exit code 137")
    assert plan(failed, wanted=1).start == 0
    found = plan(replace(failed, is_deleting=True), wanted=1)
    assert (found.start, found.failure) == (1, "")


def test_a_pod_is_deleted_only_as_it_was_seen() -> None:
    assert plan(pod("a"), wanted=0).actions == (Delete(POD, Key("system", "a"), "7"),)


def test_those_of_an_older_template_go_when_as_many_new_ones_are_ready() -> None:
    old, new = pod("old", template="t0"), pod("new", is_ready=False)
    found = plan(old, wanted=1)
    assert (found.start, found.actions) == (1, ())
    assert plan(old, new, wanted=1).actions == ()
    assert deleted(plan(old, replace(new, is_ready=True), wanted=1)) == ["old"]


def test_one_that_has_ended_is_let_go_and_removed_once_no_database_names_it() -> None:
    ended = pod("a", database=SHOP, has_ended=True, is_ready=False)
    assert plan(ended, named=("a",)).actions == ()
    found = plan(ended)
    assert (let_go(found), deleted(found)) == (["a"], ["a"])
    patch = next(action.patch for action in found.actions if isinstance(action, Patch))
    assert patch == {"metadata": {"resourceVersion": "7", "finalizers": []}}


def test_the_word_that_it_has_ended_stays_for_whoever_claims_it_by_older_news() -> None:
    ended = pod("a", database=SHOP, has_ended=True, is_ready=False, ended_at=NOW - 10)
    found = plan(ended)
    assert (found.actions, found.again_in_s) == ((), ENDED_POD_KEPT_S - 10)
    assert let_go(plan(ended, now=NOW - 10 + ENDED_POD_KEPT_S)) == ["a"]
    deleted_by_hand = replace(ended, is_deleting=True)
    assert plan(deleted_by_hand).actions == ()


def test_the_autoscaler_is_asked_about_those_that_stay_for_its_sake_alone() -> None:
    used = pod("a", database=SHOP, has_ended=True, is_ready=False, ended_at=NOW - 10)
    first = replace(used, name="b", ended_at=NOW - 20)
    failed = replace(used, name="f", database=None, failure="exit code 1")
    never_ran = replace(used, name="n", ended_at=0.0)
    alive = pod("w")
    all = (used, first, failed, never_ran, alive)
    assert plan(*all, wanted=1).to_ask == ("b", "a")
    assert plan(*all, wanted=1, named=("a",)).to_ask == ("b",)
    evicted = replace(failed, is_deleting=True)  # Who drains its node waits for it.
    assert plan(evicted).to_ask == ("f",)
    found = plan(*all, wanted=1, let_go={"a", "f"})
    assert (found.to_ask, sorted(let_go(found))) == (("b",), ["a", "n"])
    assert plan(used, let_go={"a"}, named=("a",)).actions == ()


def test_of_too_many_ended_ones_the_oldest_go() -> None:
    ended = [
        pod(f"p{number}", database=SHOP, has_ended=True, ended_at=NOW - number / 100)
        for number in range(ENDED_MAX + 2)
    ]
    assert let_go(plan(*ended)) == [f"p{ENDED_MAX + 1}", f"p{ENDED_MAX}"]


def test_one_that_was_deleted_is_let_go_when_it_has_ended_or_nobody_can_claim_it_any_more() -> None:
    leaving = pod("a", is_deleting=True, deleted_at=NOW - 10)
    found = plan(leaving)
    assert (found.actions, found.again_in_s) == ((), ENDED_POD_KEPT_S - 10)
    assert let_go(plan(replace(leaving, has_ended=True))) == ["a"]
    later = NOW - 10 + ENDED_POD_KEPT_S
    assert let_go(plan(leaving, now=later)) == ["a"]
    assert plan(leaving, now=later, named=("a",)).actions == ()


def test_a_used_one_that_does_not_end_by_itself_is_ended_after_a_while() -> None:
    used = pod("a", database=SHOP)
    found = plan(used, unnamed_s={"a": 1.0})
    assert (found.actions, found.again_in_s) == ((), USED_S_MAX - 1)
    assert deleted(plan(used, unnamed_s={"a": USED_S_MAX})) == ["a"]
    assert deleted(plan(used, unnamed_s={"a": USED_S_MAX}, named=("a",))) == []


def test_failures_are_kept_to_be_looked_at_and_slow_the_next_attempt_down() -> None:
    failed = pod("f1", is_ready=False, has_ended=True, ended_at=NOW, failure="exit code 1")
    found = plan(failed, wanted=1)
    assert (found.start, found.actions, found.failure) == (0, (), "exit code 1")
    assert found.again_in_s == PAUSE_S_MIN
    assert plan(failed, wanted=1, now=NOW + PAUSE_S_MIN).start == 1
    second = replace(failed, name="f2", ended_at=NOW + 6)
    assert plan(failed, second, wanted=1, now=NOW + 6 + PAUSE_S_MIN).start == 0
    assert plan(failed, second, wanted=1, now=NOW + 6 + 2 * PAUSE_S_MIN).start == 1
    late = plan(failed, wanted=1, now=NOW + FAILED_KEPT_S)
    assert (late.start, deleted(late)) == (1, ["f1"])


def test_an_agent_that_erases_data_comes_on_top() -> None:
    assert plan(pod("a"), wanted=1, erasers=1).start == 1


def test_an_agent_that_erases_serves_nobody() -> None:
    found = plan(pod("a", database=SHOP), pod("b", database=SHOP), named=("a", "b"), erasing=("b",))
    assert (found.claimed, found.warm, found.actions) == (1, 0, ())


def test_a_pool_that_is_deleted_ends_its_warm_pods_and_waits_for_the_others() -> None:
    leaving = pool(wanted=3, deletionTimestamp="2027-01-01T00:00:00Z")
    serving = pod("a", database=SHOP)
    found = plan(serving, pod("b"), named=("a",), document=leaving)
    assert (found.start, deleted(found)) == (0, ["b"])
    assert not may_be_let_go(PoolFacts(leaving, "t1", [serving], ["a"]))
    assert may_be_let_go(PoolFacts(leaving, "t1", [], []))


def test_a_pool_that_is_deleted_stays_for_the_data_that_is_to_be_erased_with_it() -> None:
    leaving = pool(wanted=3, deletionTimestamp="2027-01-01T00:00:00Z")
    found = plan(document=leaving, erasers=2)
    assert (found.start, deleted(found)) == (2, [])
    assert not may_be_let_go(PoolFacts(leaving, "t1", [], [], erasers=2))


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("ended", [True, False])
@pytest.mark.parametrize("deleting", [True, False])
@pytest.mark.parametrize("database", [SHOP, None])
def test_nothing_is_ever_done_to_a_pod_that_a_database_names(
    named: bool, ended: bool, deleting: bool, database: Key | None
) -> None:
    one = pod("a", has_ended=ended, is_deleting=deleting, database=database, template="t0")
    found = plan(one, named=("a",) if named else (), unnamed_s={"a": 1e9})
    if named:
        assert found.actions == ()


def test_one_whose_kubelet_has_lost_it_fills_no_place_and_is_deleted() -> None:
    """As one that was evicted before its container began: it never has an end that proves one."""
    status = {
        "phase": "Failed",
        "containerStatuses": [
            {
                "name": "compute",
                "state": {"terminated": {"exitCode": 137, "reason": "ContainerStatusUnknown"}},
            }
        ],
    }
    metadata = {"name": "a", "resourceVersion": "7", "creationTimestamp": "2026-01-01T00:00:00Z"}
    lost = see_pod({"metadata": metadata, "spec": {"nodeName": "n"}, "status": status})
    assert lost.is_lost and not lost.has_ended and "ContainerStatusUnknown" in lost.failure
    lost = replace(lost, template="t1", created_at=NOW - FAILED_KEPT_S)
    found = plan(lost, wanted=1)
    assert found.start == 1 and deleted(found) == ["a"]
    assert deleted(plan(lost, wanted=1, named=("a",))) == []
    leaving = replace(lost, is_deleting=True, deleted_at=NOW)
    assert not plan(leaving).actions
    assert let_go(
        plan(replace(leaving, finalizers=("torpor.dev/fence",)), now=NOW + ENDED_POD_KEPT_S)
    ) == ["a"]


def test_a_node_that_loses_each_one_at_once_is_not_given_one_after_the_other() -> None:
    """They are deleted in the look that sees them, and count all the same."""
    fresh = pod("a", is_ready=False, is_lost=True, failure="lost", created_at=NOW - 1)
    assert plan(fresh, wanted=1).start == 0
    found = plan(replace(fresh, is_deleting=True, deleted_at=NOW), wanted=1)
    assert (found.start, found.failure) == (0, "lost")
    assert found.again_in_s == PAUSE_S_MIN - 1
    old = replace(fresh, created_at=NOW - FAILED_KEPT_S, is_deleting=True, deleted_at=NOW)
    assert plan(old, wanted=1).start == 1
