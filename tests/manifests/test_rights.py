"""What the chart lets each part do: the least that it needs, where it needs it, and nobody more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kustomize_base import NAMESPACE
from manifests.charts import Json, needs_helm, of_kind, rendered

pytestmark = needs_helm

Right = tuple[str, str]
"""A verb, and a resource."""


def granted(component: str, values: Json) -> dict[str, set[Right]]:
    """By namespace what its account may do there; what it may do everywhere under the empty one."""
    objects = rendered(values)
    rights: dict[str, set[Right]] = {}
    for kind in ("ClusterRole", "Role"):
        roles = {_place(role): role for role in objects if role["kind"] == kind}
        for binding in (one for one in objects if one["kind"] == f"{kind}Binding"):
            if any(each["name"] == f"torpor-{component}" for each in binding["subjects"]):
                assert binding["roleRef"]["kind"] == kind
                namespace, _ = _place(binding)
                role = roles[namespace, binding["roleRef"]["name"]]
                rights.setdefault(namespace, set()).update(_rights(role))
    return rights


def _place(document: Json) -> tuple[str, str]:
    return document["metadata"].get("namespace", ""), document["metadata"]["name"]


def _rights(role: Json) -> Iterator[Right]:
    for rule in role["rules"]:
        for resource in rule["resources"]:
            yield from ((verb, resource) for verb in rule["verbs"])


def test_nobody_may_do_just_anything() -> None:
    objects = rendered()
    roles = of_kind("ClusterRole", objects) | of_kind("Role", objects)
    rules = [rule for role in roles.values() for rule in role["rules"]]
    assert rules
    for rule in rules:
        assert "*" not in rule["verbs"] + rule["resources"] + rule["apiGroups"]
        assert set(rule["resources"]).isdisjoint({"roles", "clusterroles", "pods/exec"})


def test_accounts_have_a_token_only_where_they_ask_the_api_server() -> None:
    objects = rendered()
    tokens = {
        account["metadata"]["name"]: account["automountServiceAccountToken"]
        for account in of_kind("ServiceAccount", objects).values()
    }
    assert tokens == {
        "torpor-operator": True,
        "torpor-autoscaler": True,
        "torpor-proxy": False,
        "torpor-compute": False,
    }
    bound = {
        subject["name"]
        for kind in ("RoleBinding", "ClusterRoleBinding")
        for binding in of_kind(kind, objects).values()
        for subject in binding["subjects"]
    }
    assert bound == {"torpor-operator", "torpor-autoscaler"}


def test_whoever_may_edit_a_namespace_may_edit_its_databases() -> None:
    role = of_kind("ClusterRole", rendered())["torpor-databases-edit"]
    assert role["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert {"create", "delete", "patch"} <= set(role["rules"][0]["verbs"])
    assert "serverlessdatabases/status" not in role["rules"][0]["resources"]


def test_the_role_for_people_is_small_and_nobodys() -> None:
    """They ask the autoscaler by a port of its pod, with the certificate for people."""
    objects = rendered()
    rules = of_kind("Role", objects)["torpor-people"]["rules"]
    assert {(rule["resources"][0], *rule["verbs"]) for rule in rules} == {
        ("pods", "get", "list"),
        ("pods/portforward", "get", "create"),
        ("secrets", "get"),
    }
    named = [rule["resourceNames"] for rule in rules if rule["resources"] == ["secrets"]]
    assert named == [["torpor-client-tls", "torpor-console", "torpor-console-show"]]
    bound = {one["roleRef"]["name"] for one in of_kind("RoleBinding", objects).values()}
    assert not [name for name in bound if name.startswith("torpor-people")]


def test_logs_and_shells_are_rights_of_their_own_and_shells_only_where_they_are_wanted() -> None:
    """A log may have what clients wrote; who may run a command in a compute reaches them all."""
    usual = of_kind("Role", rendered())
    assert set(_rights(usual["torpor-people-logs"])) == {("get", "pods/log")}
    assert "torpor-people-shell" not in usual
    wanted = rendered({"people": {"shell": True}})
    found = _rights(of_kind("Role", wanted)["torpor-people-shell"])
    assert set(found) == {("get", "pods/exec"), ("create", "pods/exec")}
    bound = {one["roleRef"]["name"] for one in of_kind("RoleBinding", wanted).values()}
    assert not [name for name in bound if name.startswith("torpor-people")]


NARROW: Json = {"watchNamespaces": ["shop", "blog"]}


@pytest.mark.parametrize("component", ["operator", "autoscaler"])
def test_where_namespaces_are_named_no_other_one_is_touched(component: str) -> None:
    rights = granted(component, NARROW)
    assert rights.keys() == {"", NAMESPACE, "shop", "blog"}
    assert rights[""] == {("get", "nodes")}, "a node is in no namespace"
    assert ("patch", "serverlessdatabases/status") in rights["shop"] & rights["blog"]
    assert ("list", "serverlessdatabases") not in rights[NAMESPACE]


@pytest.mark.parametrize("component", ["operator", "autoscaler"])
def test_what_is_granted_does_not_depend_on_how_it_is(component: str) -> None:
    """But for where."""
    wide, narrow = granted(component, {}), granted(component, NARROW)
    assert wide.keys() == {"", NAMESPACE}
    assert wide[""] == narrow[""] | narrow["shop"]
    assert wide[NAMESPACE] == narrow[NAMESPACE]


def test_the_release_s_own_namespace_may_be_one_of_those() -> None:
    rights = granted("operator", {"watchNamespaces": [NAMESPACE]})
    assert rights.keys() == {"", NAMESPACE}
    assert {("create", "pods"), ("patch", "serverlessdatabases")} <= rights[NAMESPACE]


def test_only_the_operator_reads_secrets_of_others() -> None:
    in_others = {
        component: {verb for verb, resource in granted(component, {})[""] if resource == "secrets"}
        for component in ("operator", "autoscaler")
    }
    assert in_others["operator"] and not in_others["autoscaler"]


@pytest.mark.parametrize("component", ["operator", "autoscaler"])
def test_each_tells_people_where_databases_are_and_reads_no_events(component: str) -> None:
    rights = granted(component, NARROW)["shop"]
    assert {verb for verb, resource in rights if resource == "events"} == {"create"}


def test_pools_are_read_in_the_release_s_own_namespace_only() -> None:
    rights = granted("operator", {})
    assert not {right for right in rights[""] if right[1].startswith("warmpools")}
    assert {("watch", "warmpools"), ("patch", "warmpools/status")} <= rights[NAMESPACE]


def test_of_leases_an_autoscaler_writes_its_own() -> None:
    rules = of_kind("Role", rendered())["torpor-autoscaler"]["rules"]
    leases = [rule for rule in rules if rule["resources"] == ["leases"]]
    assert {(*rule["verbs"], *rule.get("resourceNames", ())) for rule in leases} == {
        ("get", "patch", "torpor-autoscaler"),
        ("create",),
    }
