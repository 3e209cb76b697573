"""The WarmPool: what can't be is refused in words that say what can."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from torpor_api.warm_pool import WarmPool


def pool(**spec: Any) -> WarmPool:
    return WarmPool.model_validate({"metadata": {"name": "default"}, "spec": spec})


SAME = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("spec", "line"),
    [
        ({"size": {"min": 3, "max": 2}}, "min 3 is more than max 2: min must be at most max"),
        ({"size": {"max": 1001}}, "less than or equal to 1000"),
        ({"resources": {"requests": SAME, "limits": SAME}}, "requests must be smaller"),
        ({"resources": {"limits": {"cpu": "lots", "memory": "1Gi"}}}, "like 500m, 2 or 4Gi"),
        ({"storage": {"mode": "dedicated"}}, "Input should be 'shared'"),
        ({"storage": {"size": "much"}}, "'much' is not a size"),
        ({"postgresVersion": "seventeen"}, "String should match pattern"),
        ({"tolerations": [{"operator": "In"}]}, "Input should be 'Exists' or 'Equal'"),
        ({"podLabels": {"torpor.dev/database": "x"}}, "are Torpor's own: write others"),
        ({"podLabels": {"app.kubernetes.io/component": "x"}}, "are Torpor's own"),
        ({"podAnnotations": {"torpor.dev/template": "x"}}, "are Torpor's own"),
        ({"replicas": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_can_not_be_is_refused(spec: dict[str, Any], line: str) -> None:
    with pytest.raises(ValidationError) as refused:
        pool(**spec)
    assert line in str(refused.value)


def test_the_defaults_are_a_pool_that_keeps_one_compute_warm() -> None:
    made = pool()
    assert made.name == "default"
    assert (made.spec.size.min, made.spec.size.max) == (1, 10)
    assert made.spec.resources.requests != made.spec.resources.limits


def test_what_it_shows_it_reads_again() -> None:
    made = pool(
        image="registry.example/torpor-compute:1",
        nodeSelector={"kubernetes.io/arch": "arm64"},
        tolerations=[{"key": "databases", "operator": "Exists", "effect": "NoSchedule"}],
    )
    shown = made.model_dump(mode="json", by_alias=True)
    assert shown["spec"]["nodeSelector"] == {"kubernetes.io/arch": "arm64"}
    assert WarmPool.model_validate(shown) == made
