"""What each part may do on the cluster, and what it may not: asked of the API server itself."""

from __future__ import annotations

import json

import pytest

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.installation import Installation
from e2e.kubectl import Json, until

COMPONENTS = ("operator", "autoscaler", "proxy", "compute")

COMPONENT = "app.kubernetes.io/component"

ELSEWHERE = "default"
"""A namespace of databases: any one but the release's own."""

MAY = {
    "operator": (
        ("create", "", "pods", NAMESPACE),
        ("patch", "", "secrets", ELSEWHERE),
        ("patch", "torpor.dev", "serverlessdatabases/status", ELSEWHERE),
        ("watch", "torpor.dev", "warmpools", NAMESPACE),
        ("patch", "coordination.k8s.io", "leases", NAMESPACE),
    ),
    "autoscaler": (
        ("watch", "torpor.dev", "serverlessdatabases", ELSEWHERE),
        ("patch", "torpor.dev", "serverlessdatabases/status", ELSEWHERE),
        ("get", "", "secrets", NAMESPACE),
        ("watch", "torpor.dev", "warmpools", NAMESPACE),
        ("patch", "torpor.dev", "warmpools/status", NAMESPACE),
        ("patch", "", "pods/resize", NAMESPACE),
        ("create", "events.k8s.io", "events", ELSEWHERE),
        ("create", "coordination.k8s.io", "leases", NAMESPACE),
    ),
    "proxy": (),
    "compute": (),
}
"""By component: verb, group, resource, namespace."""

MAY_NOT = {
    "operator": (
        ("create", "", "pods", ELSEWHERE),
        ("create", "", "pods/exec", NAMESPACE),
        ("delete", "torpor.dev", "serverlessdatabases", ELSEWHERE),
        ("get", "torpor.dev", "warmpools", ELSEWHERE),
        ("create", "rbac.authorization.k8s.io", "rolebindings", NAMESPACE),
        ("create", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
        ("delete", "", "namespaces", ""),
        ("patch", "", "nodes", ""),
    ),
    "autoscaler": (
        ("patch", "torpor.dev", "serverlessdatabases", ELSEWHERE),
        ("patch", "torpor.dev", "warmpools", NAMESPACE),
        ("get", "", "secrets", ELSEWHERE),
        ("list", "", "secrets", NAMESPACE),
        ("patch", "coordination.k8s.io", "leases", NAMESPACE),
        ("create", "", "pods", NAMESPACE),
        ("create", "", "pods/exec", NAMESPACE),
    ),
    "proxy": (
        ("get", "torpor.dev", "serverlessdatabases", ELSEWHERE),
        ("get", "", "secrets", NAMESPACE),
        ("list", "", "pods", NAMESPACE),
    ),
    "compute": (
        ("get", "torpor.dev", "serverlessdatabases", ELSEWHERE),
        ("get", "", "secrets", NAMESPACE),
        ("list", "", "pods", NAMESPACE),
    ),
}

CAPABILITIES = ["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID"]


def is_allowed(component: str, verb: str, group: str, resource: str, namespace: str) -> bool:
    """As the API server judges the component's ServiceAccount."""
    kind, _, part = resource.partition("/")
    wish = {"verb": verb, "group": group, "resource": kind, "namespace": namespace}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{NAMESPACE}:torpor-{component}",
            "groups": ["system:serviceaccounts", "system:authenticated"],
            "resourceAttributes": wish | ({"subresource": part} if part else {}),
        },
    }
    answer = kubectl.kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


def pods_of(component: str) -> list[Json]:
    chosen = f"app.kubernetes.io/name=torpor,app.kubernetes.io/component={component}"
    return [
        pod
        for pod in kubectl.listed("pods", NAMESPACE, chosen)
        if pod["status"]["phase"] == "Running"
    ]


@pytest.mark.parametrize("component", COMPONENTS)
def test_each_has_the_rights_that_it_needs_and_no_other(
    torpor: Installation, component: str
) -> None:
    assert [what for what in MAY[component] if not is_allowed(component, *what)] == []
    assert [what for what in MAY_NOT[component] if is_allowed(component, *what)] == []


def test_no_right_is_a_wildcard(torpor: Installation) -> None:
    chosen = ("--selector", "app.kubernetes.io/name=torpor", "--output", "json")
    found = kubectl.kubectl("get", "clusterroles,roles", "--all-namespaces", *chosen)
    rules = [rule for role in json.loads(found)["items"] for rule in role["rules"]]
    assert rules
    assert [rule for rule in rules if "*" in json.dumps(rule)] == []


def test_only_who_asks_the_api_server_has_a_token(torpor: Installation) -> None:
    until(lambda: all(pods_of(component) for component in COMPONENTS), "every part runs")
    has_token = {
        component: any(
            "serviceAccountToken" in source
            for volume in pods_of(component)[0]["spec"]["volumes"]
            for source in volume.get("projected", {}).get("sources", ())
        )
        for component in COMPONENTS
    }
    assert has_token == {"operator": True, "autoscaler": True, "proxy": False, "compute": False}


def test_what_a_process_may_do_in_its_container(torpor: Installation) -> None:
    until(lambda: all(pods_of(component) for component in COMPONENTS), "every part runs")
    for component in COMPONENTS:
        for pod in pods_of(component):
            (container,) = pod["spec"]["containers"]
            found, of_pod = container["securityContext"], pod["spec"]["securityContext"]
            assert found["readOnlyRootFilesystem"] is True, component
            assert found["allowPrivilegeEscalation"] is False, component
            assert found["capabilities"]["drop"] == ["ALL"], component
            assert of_pod["seccompProfile"] == {"type": "RuntimeDefault"}, component
            if component == "compute":
                assert sorted(found["capabilities"]["add"]) == CAPABILITIES
            else:
                assert "add" not in found["capabilities"], component
                assert of_pod["runAsNonRoot"] is True and of_pod["runAsUser"] > 0, component


@pytest.mark.own_release
def test_all_but_the_computes_are_restricted_in_the_words_of_pod_security(
    torpor: Installation,
) -> None:
    """The API server names each pod that would not be admitted."""
    until(lambda: bool(pods_of(COMPONENTS[3])), "there is a compute")
    level = "pod-security.kubernetes.io/enforce=restricted"
    options = ("--dry-run=server", "--overwrite")
    said = kubectl.warnings("label", "namespace", NAMESPACE, level, *options)
    names = [pod["metadata"]["name"] for part in COMPONENTS[:3] for pod in pods_of(part)]
    assert [name for name in names if name in said] == []
    assert f"{COMPONENTS[3]}-" in said, "computes are not, and come and go"


def test_policies_of_the_network_are_about_the_pods_that_they_name(torpor: Installation) -> None:
    policies = {one["metadata"]["name"]: one["spec"] for one in _policies()}
    everything = policies.pop("torpor-default-deny")
    assert everything["policyTypes"] == ["Ingress", "Egress"]
    assert "ingress" not in everything and "egress" not in everything
    assert sorted(policies) == sorted(f"torpor-{component}" for component in COMPONENTS)
    # One look for all of them: computes come and go.
    pods = kubectl.listed("pods", NAMESPACE, "app.kubernetes.io/name=torpor")
    by_all = _selected(everything["podSelector"], pods)
    for component in COMPONENTS:
        chosen = _selected(policies[f"torpor-{component}"]["podSelector"], pods)
        meant = [pod for pod in pods if pod["metadata"]["labels"][COMPONENT] == component]
        assert chosen and chosen == _names(meant), component
        assert chosen <= by_all, component


def test_who_reaches_whom_by_the_policies(torpor: Installation) -> None:
    """Computes and the autoscaler are nobody's but Torpor's own; clients reach proxies only."""
    spec = {one["metadata"]["name"]: one["spec"] for one in _policies()}
    reached = {
        component: [
            (sorted(_component(peer) for peer in rule.get("from", ())), _ports(rule))
            for rule in spec[f"torpor-{component}"].get("ingress", ())
        ]
        for component in COMPONENTS
    }
    assert reached == {
        "operator": [],
        "autoscaler": [(["operator", "proxy"], [7434])],
        "proxy": [([], ["postgres"])],
        "compute": [(["proxy"], [5432, 7433]), (["autoscaler", "operator"], [7433])],
    }
    assert not spec["torpor-compute"].get("egress"), "a compute asks nobody"


def _policies() -> list[Json]:
    return kubectl.listed("networkpolicies", NAMESPACE, "app.kubernetes.io/name=torpor")


def _component(peer: Json) -> str:
    return str(peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"])


def _ports(rule: Json) -> list[object]:
    return [port["port"] for port in rule["ports"]]


def _selected(selector: Json, pods: list[Json]) -> set[str]:
    return _names([pod for pod in pods if _fits(selector, pod["metadata"]["labels"])])


def _fits(selector: Json, labels: Json) -> bool:
    """As the API server matches labels; NotIn is the only expression that the chart has."""
    wanted = selector.get("matchLabels", {})
    rules = selector.get("matchExpressions", ())
    assert all(rule["operator"] == "NotIn" for rule in rules)
    return all(labels.get(key) == value for key, value in wanted.items()) and not any(
        labels.get(rule["key"]) in rule["values"] for rule in rules
    )


def _names(pods: list[Json]) -> set[str]:
    return {pod["metadata"]["name"] for pod in pods}
