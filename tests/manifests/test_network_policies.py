"""What the chart's policies let through, and that they do so on every kind of cluster."""

from __future__ import annotations

from typing import Any

import pytest

from manifests.charts import Json, Refused, needs_helm, of_kind, rendered

pytestmark = needs_helm

ASKING = ("operator", "autoscaler")
"""Components that ask the API server."""


def policies(**network: Any) -> dict[str, Json]:
    """By component, the one for all of them too."""
    found = of_kind("NetworkPolicy", rendered({"networkPolicy": network} if network else {}))
    return {name.removeprefix("torpor-"): policy["spec"] for name, policy in found.items()}


def egress(spec: Json, port: int) -> Json:
    """The one rule that lets it out to this port."""
    (rule,) = [one for one in spec["egress"] if port in [p["port"] for p in one["ports"]]]
    return dict(rule)


def test_policies_deny_what_they_do_not_name() -> None:
    found = policies()
    everybody = found["default-deny"]
    assert everybody["policyTypes"] == ["Ingress", "Egress"]
    assert not {"ingress", "egress"} & everybody.keys()
    assert found["compute"]["egress"] == []
    assert found["operator"]["ingress"] == []
    allowed = {
        (peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"], port["port"])
        for rule in found["compute"]["ingress"]
        for peer in rule["from"]
        for port in rule["ports"]
    }
    assert allowed == {("proxy", 5432), ("proxy", 7433), ("autoscaler", 7433), ("operator", 7433)}


@pytest.mark.parametrize("component", ASKING)
def test_an_api_server_on_the_cluster_s_own_nodes_is_reached(component: str) -> None:
    """No block of addresses is that for every network: 0.0.0.0/0 has neither Cilium's nodes nor
    anything of IPv6. So the rule has ports alone, of kubeadm, minikube and MicroK8s among them."""
    rule = egress(policies()[component], 6443)
    assert rule.keys() == {"ports"}
    assert {443, 6443, 8443, 16443} == {port["port"] for port in rule["ports"]}


@pytest.mark.parametrize("component", ASKING)
def test_where_the_api_server_is_may_be_said(component: str) -> None:
    cidrs = ["192.0.2.7/32", "2001:db8::7/128"]
    rule = egress(policies(apiServer={"cidrs": cidrs, "ports": [6444]})[component], 6444)
    assert [peer["ipBlock"]["cidr"] for peer in rule["to"]] == cidrs
    assert [port["port"] for port in rule["ports"]] == [6444]


def test_who_asks_nothing_of_the_api_server_does_not_reach_it() -> None:
    for component in ("proxy", "compute"):
        reached = {
            port["port"] for rule in policies()[component]["egress"] for port in rule["ports"]
        }
        assert reached.isdisjoint({443, 6443, 8443, 16443}), component


@pytest.mark.parametrize("component", [*ASKING, "proxy"])
def test_names_are_found_wherever_dns_is(component: str) -> None:
    """On a node, where no selector finds it, and behind OpenShift's port."""
    rule = egress(policies()[component], 53)
    assert rule.keys() == {"ports"}
    assert {(port["protocol"], port["port"]) for port in rule["ports"]} == {
        (protocol, port) for protocol in ("UDP", "TCP") for port in (53, 5353)
    }
    peers = [{"namespaceSelector": {"matchLabels": {"a": "b"}}}]
    narrow = egress(policies(dns={"to": peers, "ports": [5300]})[component], 5300)
    assert narrow["to"] == peers


@pytest.mark.parametrize(
    ("network", "named"),
    [
        ({"apiServer": {"ports": []}}, "ports"),
        ({"apiServer": {"cidrs": ["everywhere"]}}, "cidrs"),
        ({"apiServer": {"cidr": "10.0.0.0/8"}}, "cidr"),
        ({"dns": {"ports": [0]}}, "ports"),
    ],
)
def test_what_is_no_place_is_refused(network: Json, named: str) -> None:
    with pytest.raises(Refused, match=named):
        policies(**network)
