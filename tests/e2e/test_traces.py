"""Traces of what the autoscaler does with a database come to a collector of the cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e import api, cluster, kubectl, otlp_receiver
from e2e.cluster import NAMESPACE, Image
from e2e.conftest import MakeDatabase, Upgrade
from e2e.installation import leader
from e2e.kubectl import Json, until
from e2e.test_cli import named

pytestmark = pytest.mark.own_release

STEPS = {"claim", "tell the agent", "start the compute", "start of postgres"}
"""Some that every wake has, of the autoscaler, its agent and Postgres."""


@dataclass(frozen=True, slots=True)
class Span:
    name: str
    trace: str
    own: str
    parent: str
    attributes: dict[str, Any]
    resource: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Collector:
    """A pod, and the Service by which it is found."""

    namespace: str

    @property
    def endpoint(self) -> str:
        return f"http://collector.{self.namespace}.svc:{otlp_receiver.PORT}"

    def spans(self, of: str) -> list[Span]:
        """All that have come, of the traces of one database."""
        told = kubectl.kubectl("logs", "collector", "--namespace", self.namespace)
        found = [_span(json.loads(line)) for line in told.splitlines()]
        traces = {one.trace for one in found if one.attributes.get("torpor.database") == of}
        return [one for one in found if one.trace in traces]


def _span(line: Json) -> Span:
    assert line["path"] == "/v1/traces"
    span = line["span"]
    names = (span["name"], span["traceId"], span["spanId"], span.get("parentSpanId", ""))
    return Span(*names, _attributes(span), _attributes(line["resource"]))


def _attributes(of: Json) -> dict[str, Any]:
    """Integers are text in the JSON of protobuf."""
    listed = of.get("attributes", ())
    return {one["key"]: next(iter(one["value"].values())) for one in listed}


@pytest.fixture
def collector(namespace: str, image_tag: str) -> Iterator[Collector]:
    labels = {"app": "collector"}
    port = otlp_receiver.PORT
    container = {
        "name": "collector",
        "image": str(Image("autoscaler", image_tag)),
        "imagePullPolicy": "Never",
        "command": ["/opt/torpor/bin/python", "-c", Path(otlp_receiver.__file__).read_text()],
        "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
    }
    kubectl.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "collector", "namespace": namespace, "labels": labels},
            "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
        },
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": "collector", "namespace": namespace},
            "spec": {"selector": labels, "ports": [{"port": port}]},
        },
    )
    kubectl.wait_for("pod", "collector", namespace, "condition=Ready")
    yield Collector(namespace)
    api.delete("pod", "collector", namespace)
    api.delete("service", "collector", namespace)


def test_a_wake_is_a_trace_with_its_steps(
    make_database: MakeDatabase, collector: Collector, upgrade: Upgrade
) -> None:
    """A suspend would take longer: one that begins to lead puts nothing to sleep for a while."""
    traces = {"openTelemetry": {"endpoint": collector.endpoint}}
    upgrade(autoscaler=cluster.LEAST | traces)
    database = make_database()
    name = named(database)
    with database.connect() as client:
        client.execute("select 1")
    until(lambda: bool(collector.spans(name)), "its wake has come")
    found = collector.spans(name)
    (wake,) = [one for one in found if not one.parent]
    assert wake.name == "torpor.resume"
    assert wake.attributes["torpor.epoch"] == str(database.epoch)
    assert wake.attributes["torpor.cause"].startswith("session ")
    assert wake.resource["service.name"] == "torpor-autoscaler"
    assert wake.resource["k8s.namespace.name"] == NAMESPACE
    assert wake.resource["k8s.pod.name"] == leader()
    steps = [one for one in found if one.parent]
    assert {one.name for one in steps} >= STEPS
    assert {one.parent for one in steps} <= {one.own for one in found}
    assert {"autoscaler", "agent", "postgres"} <= {one.attributes["torpor.where"] for one in steps}
