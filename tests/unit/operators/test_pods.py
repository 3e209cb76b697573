"""The pod of a compute: what a pool says of it, and what no pool can change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from torpor_api.logs import LEVEL_VARIABLE
from torpor_api.warm_pool import OWN_LABELS, OWN_PREFIX
from torpor_kube import names
from torpor_operator.core.naming import Key
from torpor_operator.core.pods import PodSettings, compute_pod, template_hash

SETTINGS = PodSettings(image="torpor/compute:1", namespace="system", image_pull_policy="Never")

PLACED: dict[str, Any] = {
    "nodeSelector": {"disk": "fast", "kubernetes.io/os": "windows"},
    "tolerations": [{"key": "databases", "operator": "Exists"}],
    "priorityClassName": "low",
    "runtimeClassName": "gvisor",
    "imagePullSecrets": [{"name": "pull"}],
    "podLabels": {"team": "data"},
    "podAnnotations": {"example.org/a": "b"},
}


def pool(**spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "default", "namespace": "system", "uid": "u"}, "spec": spec}


def test_a_pool_says_where_its_computes_run_and_how() -> None:
    made = compute_pod(pool(**PLACED), SETTINGS, "x")["spec"]
    assert made["nodeSelector"] == {"disk": "fast", "kubernetes.io/os": "linux"}
    (toleration,) = made["tolerations"]
    assert (toleration["key"], toleration["operator"]) == ("databases", "Exists")
    assert made["priorityClassName"] == "low"
    assert made["runtimeClassName"] == "gvisor"
    assert made["imagePullSecrets"] == [{"name": "pull"}]


@pytest.mark.parametrize("database", [None, Key("default", "shop")])
def test_its_agent_knows_that_whatever_runs_there_is_its_own(database: Key | None) -> None:
    (container,) = compute_pod(pool(), SETTINGS, "x", database)["spec"]["containers"]
    assert "--own-container" in container["args"]


@pytest.mark.parametrize("database", [None, Key("default", "shop")])
def test_labels_that_torpor_finds_a_pod_by_are_its_own(database: Key | None) -> None:
    plain = compute_pod(pool(), SETTINGS, "x", database)["metadata"]
    made = compute_pod(pool(**PLACED), SETTINGS, "x", database)["metadata"]
    assert made["labels"] == {**plain["labels"], "team": "data"}
    assert all(key.startswith(OWN_PREFIX) or key in OWN_LABELS for key in plain["labels"])
    assert made["annotations"]["example.org/a"] == "b"
    assert names.TEMPLATE_ANNOTATION in made["annotations"]


def test_computes_of_a_pool_are_apart_where_that_can_be() -> None:
    spread = compute_pod(pool(), SETTINGS, "x")["spec"]["topologySpreadConstraints"]
    assert {one["topologyKey"] for one in spread} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }
    labels = compute_pod(pool(), SETTINGS, "x")["metadata"]["labels"]
    for one in spread:
        assert one["whenUnsatisfiable"] == "ScheduleAnyway", "one node is enough"
        assert one["labelSelector"]["matchLabels"].items() <= labels.items()


@pytest.mark.parametrize("field", PLACED)
def test_whatever_is_changed_is_changed_in_those_that_wait(field: str) -> None:
    changed = template_hash(pool(**{field: PLACED[field]}), SETTINGS)
    assert changed != template_hash(pool(), SETTINGS)


def test_how_much_their_logs_tell_is_told_where_somebody_has_chosen() -> None:
    def variables(settings: PodSettings) -> dict[str, str]:
        made = compute_pod(pool(), settings, "x")["spec"]["containers"][0]["env"]
        return {one["name"]: one["value"] for one in made if "value" in one}

    chosen = replace(SETTINGS, log_level="agent=debug")
    assert variables(SETTINGS) == {} and variables(chosen) == {LEVEL_VARIABLE: "agent=debug"}
    assert template_hash(pool(), chosen) != template_hash(pool(), SETTINGS)


def test_an_image_of_the_pool_s_own_is_fetched() -> None:
    """An installation whose images are on the nodes fetches none of its own."""
    (own,) = compute_pod(pool(), SETTINGS, "x")["spec"]["containers"]
    (other,) = compute_pod(pool(image="r.example/pg:1"), SETTINGS, "x")["spec"]["containers"]
    assert own["imagePullPolicy"] == "Never"
    assert (other["image"], other["imagePullPolicy"]) == ("r.example/pg:1", "IfNotPresent")
