"""What the chart makes for Prometheus and Grafana where somebody wants it."""

from __future__ import annotations

import json

import pytest
import yaml

from kustomize_base import CHART
from manifests.charts import Json, Refused, needs_helm, of_kind, rendered
from observing.dashboard import FILE, text
from tidy import markdown
from tidy.tree import ROOT
from torpor_operator.core.pods import HEALTH_PORT

ALERTS = CHART / "files/observe/alerts.yaml"

RUNBOOKS = "docs/runbooks.md"

SEVERITIES = {"page", "ticket"}


def rules() -> list[Json]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def test_the_dashboard_is_as_its_code_makes_it() -> None:
    assert FILE.read_text() == text(), "`make manifests` writes it"


def test_panels_lie_beside_each_other() -> None:
    taken = set[tuple[int, int]]()
    for panel in json.loads(text())["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells


def test_every_alert_says_what_how_bad_and_what_to_do() -> None:
    anchors = markdown.anchors((ROOT / RUNBOOKS).read_text())
    for rule in rules():
        name = rule["alert"]
        assert rule["labels"]["severity"] in SEVERITIES, name
        assert rule["for"] and rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook_url"] == f"{RUNBOOKS}#{name.lower()}"
        assert name.lower() in anchors, f"{name} has no section"


def test_every_section_of_the_runbooks_has_its_alert() -> None:
    sections = {
        line.removeprefix("## ")
        for line in (ROOT / RUNBOOKS).read_text().splitlines()
        if line.startswith("## ")
    }
    assert sections == {rule["alert"] for rule in rules()}


@needs_helm
def test_nothing_of_it_is_made_unasked() -> None:
    kinds = {each["kind"] for each in rendered()}
    assert not kinds & {"PodMonitor", "PrometheusRule", "ServiceMonitor"}
    assert "torpor-dashboard" not in of_kind("ConfigMap", rendered())


@needs_helm
def test_each_is_made_where_somebody_wants_it() -> None:
    wanted = {"enabled": True, "labels": {"team": "ours"}}
    values = {
        "metrics": {
            "podMonitor": {**wanted, "interval": "1m"},
            "rules": {**wanted, "runbooks": "https://wiki.example/torpor"},
            "dashboard": {**wanted, "labels": {"grafana_dashboard": "1"}},
        }
    }
    objects = rendered(values)
    monitor = of_kind("PodMonitor", objects)["torpor-computes"]
    assert monitor["metadata"]["labels"]["team"] == "ours"
    assert monitor["spec"]["podMetricsEndpoints"] == [
        {"port": "health", "path": "/metrics", "interval": "1m"}
    ]
    assert monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/component"] == "compute"
    (group,) = of_kind("PrometheusRule", objects)["torpor"]["spec"]["groups"]
    assert [rule["expr"] for rule in group["rules"]] == [rule["expr"] for rule in rules()]
    links = {rule["annotations"]["runbook_url"] for rule in group["rules"]}
    assert "https://wiki.example/torpor#torpornoleader" in links
    assert all(link.startswith("https://wiki.example/torpor#") for link in links)
    found = of_kind("ConfigMap", objects)["torpor-dashboard"]
    assert found["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert json.loads(found["data"]["torpor.json"]) == json.loads(FILE.read_text())


@needs_helm
def test_prometheus_may_ask_computes_where_it_may_ask_others() -> None:
    peers = [{"namespaceSelector": {"matchLabels": {"team": "watchers"}}}]
    policies = of_kind("NetworkPolicy", rendered({"metrics": {"from": peers}}))
    last = policies["torpor-compute"]["spec"]["ingress"][-1]
    assert last == {"from": peers, "ports": [{"port": HEALTH_PORT}]}


@needs_helm
@pytest.mark.parametrize(
    "metrics",
    [
        {"rules": {"runbooks": ""}},
        {"rules": {"runbooks": "page#part"}},
        {"podMonitor": {"interval": "soon"}},
        {"dashboard": {"folder": "x"}},
    ],
)
def test_what_can_not_be_is_refused(metrics: Json) -> None:
    with pytest.raises(Refused):
        rendered({"metrics": metrics})
