"""A compute's size on a cluster: what its pod says, and what is asked of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from torpor_api.messages import AgentSize
from torpor_api.warm_pool import Amounts, PoolResources
from torpor_autoscaler.adapters.kubernetes.sizes import (
    Amount,
    resize_patch,
    size_of,
    wanted_limits,
)
from torpor_kube.quantities import milli_of, whole_of

GIB = 1 << 30


def pod(
    limits: dict[str, str] | None = None,
    given: dict[str, str] | None = None,
    *conditions: dict[str, Any],
) -> dict[str, Any]:
    """``limits``: in its spec; ``given``: those that its kubelet has set."""
    resources = {"resources": {"limits": limits}} if limits else {}
    status = {"containerStatuses": [{"name": "compute", "resources": {"limits": given}}]}
    return {
        "metadata": {"name": "c", "generation": 3},
        "spec": {"containers": [{"name": "compute", **resources}]},
        "status": {"conditions": list(conditions), **(status if given else {})},
    }


@pytest.mark.parametrize(
    ("text", "milli", "whole"),
    [
        ("2", 2000, 2),
        ("250m", 250, 1),
        ("0.5", 500, 1),
        ("4Gi", 4 * GIB * 1000, 4 * GIB),
        ("1.5Gi", 3 * GIB // 2 * 1000, 3 * GIB // 2),
        ("1G", 10**12, 10**9),
        ("128974848", 128974848000, 128974848),
        ("much", None, None),
        ("NaN", None, None),
        (None, None, None),
    ],
)
def test_quantities(text: str | None, milli: int | None, whole: int | None) -> None:
    assert (milli_of(text), whole_of(text)) == (milli, whole)


def test_a_size_is_what_the_kubelet_has_given() -> None:
    one, two = {"cpu": "1", "memory": "4Gi"}, {"cpu": "2", "memory": "8Gi"}
    assert size_of(pod(two, one)) == AgentSize(cpu_milli=1000, memory_bytes=4 * GIB)
    assert size_of(pod(two)) == AgentSize(cpu_milli=2000, memory_bytes=8 * GIB)
    assert wanted_limits(pod(two, one)) == Amount(2000, 8 * GIB)
    assert size_of(pod()) is None


@pytest.mark.parametrize(
    ("condition", "refusal", "is_for_want_of_room"),
    [
        ({"type": "PodResizePending", "reason": "Infeasible", "message": "no cpu"}, True, True),
        ({"type": "PodResizePending", "reason": "Deferred"}, True, True),
        ({"type": "PodResizeInProgress", "reason": "Error", "message": "in use"}, True, False),
        ({"type": "PodResizeInProgress"}, False, False),
        ({"type": "PodResizePending", "reason": "Infeasible", "status": "False"}, False, False),
        ({"type": "PodResizePending", "reason": "Deferred", "observedGeneration": 2}, False, False),
        ({"type": "PodResizePending", "reason": "Deferred", "observedGeneration": 3}, True, True),
    ],
)
def test_a_refusal_is_the_kubelet_s_word_of_this_very_spec(
    condition: dict[str, Any], refusal: bool, is_for_want_of_room: bool
) -> None:
    limits = {"cpu": "2", "memory": "8Gi"}
    size = size_of(pod(limits, None, {"status": "True", **condition}))
    assert size is not None
    assert bool(size.refusal) is refusal and size.is_for_want_of_room is is_for_want_of_room
    if refusal:
        assert size.refusal.startswith(condition["reason"])


def asked(cu: str, **requests: str) -> dict[str, dict[str, str]]:
    pool = PoolResources(requests=Amounts(**{"cpu": "50m", "memory": "192Mi"} | requests))
    patch = resize_patch(pod(), Decimal(cu), pool)
    (container,) = patch["spec"]["containers"]
    assert container["name"] == "compute"
    resources: dict[str, dict[str, str]] = container["resources"]
    return resources


def test_limits_are_the_size_and_requests_the_pool_s_part_of_it() -> None:
    assert asked("4") == {
        "limits": {"cpu": "4000m", "memory": str(16 * GIB)},
        "requests": {"cpu": "200m", "memory": str(4 * 192 << 20)},
    }


def test_requests_are_never_less_than_those_of_one_that_waits() -> None:
    assert asked("0.25")["requests"] == {"cpu": "50m", "memory": str(192 << 20)}


def test_a_pod_stays_burstable() -> None:
    """Its quality of service can't change: a server refuses requests that are the limits."""
    assert asked("0.25", cpu="900m", memory="3Gi")["requests"] == {
        "cpu": "249m",
        "memory": str(GIB - 1),
    }
