"""Which pods tell the autoscaler that their databases shall leave them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torpor_kube.names import OUTDATED_ANNOTATION
from torpor_operator.core.outdated import say_outdated
from torpor_operator.core.seen_pods import SeenPod, see_pod

OLD = SeenPod(name="a", version="7", pool="default", template="t0", created_at=0.0)
SAYS = replace(OLD, says_outdated=True)


def pool(strategy: str = "WhenIdle", **metadata: Any) -> dict[str, Any]:
    spec = {"updateStrategy": strategy} if strategy else {}
    return {"metadata": {"name": "default", **metadata}, "spec": spec}


def said(*pods: SeenPod, template: str = "t1", document: Any = None) -> dict[str, str | None]:
    """What is written, by pod."""
    found = say_outdated(document or pool(), template, pods, "system")
    return {
        one.key.name: one.patch["metadata"]["annotations"][OUTDATED_ANNOTATION] for one in found
    }


def test_one_of_an_older_template_says_so_once() -> None:
    assert said(OLD, replace(OLD, name="b", template="t1")) == {"a": "true"}
    assert said(SAYS) == {}


def test_a_pool_that_says_nothing_wants_it() -> None:
    assert said(OLD, document=pool("")) == {"a": "true"}


@pytest.mark.parametrize(
    "document", [pool("OnSleep"), pool(deletionTimestamp="2027-01-01T00:00:00Z")]
)
def test_where_the_pool_does_not_want_it_nothing_is_said_and_what_was_is_taken_back(
    document: Any,
) -> None:
    assert said(OLD, document=document) == {}
    assert said(SAYS, document=document) == {"a": None}


def test_where_the_pool_is_as_it_was_before_it_is_taken_back() -> None:
    assert said(SAYS, template="t0") == {"a": None}


def test_where_nobody_can_say_how_the_pool_makes_them_it_stays() -> None:
    assert said(OLD, replace(SAYS, name="b"), template="") == {}


@pytest.mark.parametrize("end", ["has_ended", "is_deleting", "is_lost", "is_dedicated"])
def test_nothing_is_said_of_one_that_is_not_to_be_left(end: str) -> None:
    changes: dict[str, Any] = {end: True}
    assert said(replace(OLD, **changes)) == {}


def test_what_a_pod_says_is_seen() -> None:
    document = {"metadata": {"name": "a", "annotations": {OUTDATED_ANNOTATION: "true"}}}
    assert see_pod(document).says_outdated
    assert not see_pod({"metadata": {"name": "a"}}).says_outdated
