"""Where the chart has the autoscaler send traces, and what its policy lets out for that."""

from __future__ import annotations

from typing import Any

import pytest

from kustomize_base import NAMESPACE
from manifests.charts import Json, Refused, needs_helm, of_kind, rendered

pytestmark = needs_helm

NAME = "torpor-autoscaler"

COLLECTOR = "http://collector.monitoring.svc:4318"


def objects(**open_telemetry: Any) -> list[Json]:
    return rendered({"autoscaler": {"openTelemetry": open_telemetry}} if open_telemetry else {})


def environment(**open_telemetry: Any) -> list[Json]:
    deployment = of_kind("Deployment", objects(**open_telemetry))[NAME]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return list(container["env"])


def egress(**open_telemetry: Any) -> list[Json]:
    """What the policy lets the autoscaler out to for traces, and for nothing else."""
    without = of_kind("NetworkPolicy", objects())[NAME]["spec"]["egress"]
    rules = of_kind("NetworkPolicy", objects(**open_telemetry))[NAME]["spec"]["egress"]
    assert rules[: len(without)] == without
    return list(rules[len(without) :])


def inside(namespace: str) -> list[Json]:
    labels = {"kubernetes.io/metadata.name": namespace}
    return [{"namespaceSelector": {"matchLabels": labels}}]


def test_by_default_nobody_is_sent_anything() -> None:
    assert not [one for one in environment() if one["name"].startswith("OTEL_")]
    more = {"name": "OTEL_EXPORTER_OTLP_TIMEOUT", "value": "3"}
    assert environment(env=[more]) == environment(), "without an endpoint there is nobody"
    assert egress(to=inside("monitoring")) == []


def test_the_autoscaler_is_told_where_and_says_which_pod_it_is() -> None:
    found = {one["name"]: one.get("value") for one in environment(endpoint=COLLECTOR)}
    assert found["OTEL_EXPORTER_OTLP_ENDPOINT"] == COLLECTOR
    said = f"k8s.namespace.name={NAMESPACE},k8s.pod.name=$(POD_NAME)"
    assert found["OTEL_RESOURCE_ATTRIBUTES"] == said
    names = list(found)
    assert names.index("POD_NAME") < names.index("OTEL_RESOURCE_ATTRIBUTES"), "it is used there"


def test_more_of_its_variables_come_from_secrets_and_win() -> None:
    secret = {"secretKeyRef": {"name": "collector", "key": "headers"}}
    headers = {"name": "OTEL_EXPORTER_OTLP_HEADERS", "valueFrom": secret}
    whose = {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": "deployment.environment=eu"}
    found = environment(endpoint=COLLECTOR, env=[headers, whose])
    assert found[-2:] == [headers, whose]
    names = [one["name"] for one in found]
    assert len(names) == len(set(names)), "the API server refuses what is there twice"


@pytest.mark.parametrize(
    ("endpoint", "port", "peers"),
    [
        (COLLECTOR, 4318, inside("monitoring")),
        ("http://collector.monitoring.svc.cluster.local./v1", 80, inside("monitoring")),
        ("http://collector:4318", 4318, inside(NAMESPACE)),
        ("https://api.example.com", 443, None),
        ("http://collector.svc:4318", 4318, None),
        ("http://192.0.2.7:4318", 4318, None),
        ("http://[2001:db8::7]:4318", 4318, None),
    ],
)
def test_no_more_is_let_out_than_what_is_known_of_the_way(
    endpoint: str, port: int, peers: list[Json] | None
) -> None:
    (rule,) = egress(endpoint=endpoint)
    assert rule["ports"] == [{"protocol": "TCP", "port": port}]
    assert rule.get("to") == peers


def test_whose_pods_these_are_may_be_said() -> None:
    """Policies see the port of a pod, and not that of the Service in front of it."""
    peers = [{"ipBlock": {"cidr": "192.0.2.0/24"}}]
    (rule,) = egress(endpoint="https://api.example.com", to=peers, port=8443)
    assert rule == {"ports": [{"protocol": "TCP", "port": 8443}], "to": peers}


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "collector:4318"},
        {"endpoint": "grpc://collector:4317"},
        {"endpoint": "http://collector:65536"},
        {"endpoint": "http://user:secret@collector:4318"},
        {"endpoint": COLLECTOR, "port": 70_000},
        {"endpoint": COLLECTOR, "env": [{"name": "PATH", "value": "/"}]},
        {"endpoint": COLLECTOR, "env": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT"}]},
        {"enabled": True},
    ],
)
def test_what_can_not_be_is_refused(wrong: Json) -> None:
    with pytest.raises(Refused, match="openTelemetry"):
        objects(**wrong)
