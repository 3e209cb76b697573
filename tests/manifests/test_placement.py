"""Where the chart's pods run, and which images they are of."""

from __future__ import annotations

from typing import Any

import pytest

from manifests.charts import Json, needs_helm, of_kind, rendered
from torpor_operator import settings as operator_settings

pytestmark = needs_helm

COMPONENTS = ("operator", "autoscaler", "proxy")

EACH = pytest.mark.parametrize("component", COMPONENTS)

DIGEST = "sha256:" + "0" * 64


def template(component: str, values: Json | None = None) -> Json:
    """Of the component's pods."""
    deployment = of_kind("Deployment", rendered(values))[f"torpor-{component}"]["spec"]
    assert deployment["selector"]["matchLabels"].items() <= labels(deployment["template"]).items()
    return dict(deployment["template"])


def labels(pod: Json) -> Json:
    return dict(pod["metadata"]["labels"])


@EACH
def test_a_pod_is_placed_as_its_values_say(component: str) -> None:
    affinity: Json = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}}
    tolerations = [{"key": "dedicated", "operator": "Exists"}]
    own: dict[str, Any] = {
        "nodeSelector": {"disk": "fast"},
        "tolerations": tolerations,
        "affinity": affinity,
        "priorityClassName": "system-cluster-critical",
        "podLabels": {"team": "data", "app.kubernetes.io/component": "nobody"},
        "podAnnotations": {"example.org/scrape": "true"},
    }
    pod = template(component, {component: own})
    assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux", "disk": "fast"}
    assert pod["spec"]["tolerations"] == tolerations
    assert pod["spec"]["affinity"] == affinity
    assert pod["spec"]["priorityClassName"] == "system-cluster-critical"
    assert pod["metadata"]["annotations"] == {"example.org/scrape": "true"}
    assert labels(pod)["team"] == "data"
    assert labels(pod)["app.kubernetes.io/component"] == component, "a selector finds it by this"


def test_all_pods_go_to_nodes_with_linux() -> None:
    for each in (
        *(template(component) for component in COMPONENTS),
        *of_kind("Pod", rendered()).values(),
    ):
        assert each["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}


def test_replicas_are_kept_apart_where_that_can_be() -> None:
    for component in COMPONENTS:
        for one in template(component)["spec"]["topologySpreadConstraints"]:
            assert one["whenUnsatisfiable"] == "ScheduleAnyway"
            assert one["labelSelector"]["matchLabels"]["app.kubernetes.io/component"] == component
    own = [{"maxSkew": 1, "topologyKey": "rack", "whenUnsatisfiable": "DoNotSchedule"}]
    pod = template("proxy", {"proxy": {"topologySpreadConstraints": own}})
    assert pod["spec"]["topologySpreadConstraints"] == own


def test_an_autoscaler_on_a_lost_node_is_soon_another_one() -> None:
    seconds = {
        one["key"]: one["tolerationSeconds"]
        for one in template("autoscaler")["spec"]["tolerations"]
    }
    assert seconds == {"node.kubernetes.io/not-ready": 15, "node.kubernetes.io/unreachable": 15}


@pytest.mark.parametrize(
    ("image", "proxy", "policy"),
    [
        ({}, "torpor/proxy:0.1.0", "Never"),
        ({"pullPolicy": "Never"}, "torpor/proxy:0.1.0", "Never"),
        ({"registry": "ghcr.io/us"}, "ghcr.io/us/torpor/proxy:0.1.0", "IfNotPresent"),
        ({"registry": "r", "pullPolicy": "Always", "tag": "2"}, "r/torpor/proxy:2", "Always"),
        (
            {"registry": "r", "tag": "2", "digests": {"proxy": DIGEST}},
            f"r/torpor/proxy@{DIGEST}",
            "IfNotPresent",
        ),
    ],
)
def test_nobody_is_asked_for_an_image_but_a_registry_that_was_named(
    image: Json, proxy: str, policy: str
) -> None:
    (container,) = template("proxy", {"image": image})["spec"]["containers"]
    assert (container["image"], container["imagePullPolicy"]) == (proxy, policy)
    operator = template("operator", {"image": image})["spec"]["containers"][0]
    settings = operator_settings.from_arguments(operator["args"])
    assert settings.image_pull_policy == policy
    assert "@" not in settings.compute_image, "the digest is of one image"
