"""Who reaches the dashboard of a release: people through the API server, or whoever was named."""

from __future__ import annotations

from typing import Any

import pytest

from manifests.charts import Json, Refused, needs_helm, of_kind, rendered
from torpor_autoscaler import settings as settings_of
from torpor_autoscaler.settings import OfDashboard

pytestmark = needs_helm

INGRESS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}

NAMED: Json = {"hosts": ["torpor.example.org"], "from": [INGRESS]}


def objects(**dashboard: Any) -> list[Json]:
    return rendered({"dashboard": dashboard} if dashboard else {})


def told(found: list[Json]) -> OfDashboard | None:
    """As the autoscaler reads its arguments."""
    deployment = of_kind("Deployment", found)["torpor-autoscaler"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return settings_of.from_arguments(container["args"]).dashboard


def ports(found: list[Json]) -> set[str]:
    """Of the Service, and those that a policy lets somebody reach."""
    service = of_kind("Service", found)["torpor-autoscaler"]["spec"]["ports"]
    policy = of_kind("NetworkPolicy", found)["torpor-autoscaler"]["spec"]["ingress"]
    reached = {str(port["port"]) for rule in policy for port in rule["ports"]}
    return {port["name"] for port in service} | reached


def test_it_is_on_the_loopback_of_its_pod() -> None:
    found = objects()
    dashboard = told(found)
    assert dashboard is not None and str(dashboard.listen) == "127.0.0.1:5480"
    assert dashboard.hosts == () and str(dashboard.key) == "/etc/torpor/tls/tls.key"
    assert "dashboard" not in ports(found)


def test_with_a_name_it_is_reached_by_whom_that_was_given() -> None:
    found = objects(**NAMED)
    dashboard = told(found)
    assert dashboard is not None and str(dashboard.listen) == "0.0.0.0:5480"
    assert dashboard.hosts == ("torpor.example.org",)
    assert "dashboard" in ports(found)
    policy = of_kind("NetworkPolicy", found)["torpor-autoscaler"]["spec"]["ingress"]
    (rule,) = [rule for rule in policy if rule["ports"] == [{"port": "dashboard"}]]
    assert rule["from"] == [INGRESS]


def test_with_a_name_and_nobody_named_nobody_reaches_it() -> None:
    policy = of_kind("NetworkPolicy", objects(hosts=["torpor.example.org"]))
    rules = policy["torpor-autoscaler"]["spec"]["ingress"]
    assert [rule for rule in rules if {"port": "dashboard"} in rule["ports"]] == []


def test_none_where_none_is_wanted() -> None:
    found = objects(enabled=False, **NAMED)
    assert told(found) is None and "dashboard" not in ports(found)


def test_a_name_is_a_name() -> None:
    with pytest.raises(Refused, match="hosts"):
        objects(hosts=["https://torpor.example.org/"])
