"""The dashboard as Grafana imports it: the panels laid out, with variables to choose by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from observing.panels import Panel, rows

FILE = Path(__file__).parents[2] / "manifests/chart/torpor/files/observe/dashboard.json"

COLUMNS = 24

PANEL_HEIGHT, STAT_HEIGHT, ROW_HEIGHT = 8, 5, 1
"""In Grafana's own units."""

SCHEMA = 39
"""Of Grafana 10.4 and everything later."""

Json = dict[str, Any]

_SOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}


def text() -> str:
    return json.dumps(dashboard(), indent=1, ensure_ascii=False) + "\n"


def dashboard() -> Json:
    return {
        "uid": "torpor",
        "title": "Torpor",
        "description": "Databases that sleep and wake, their sessions, computes and components.",
        "tags": ["postgres", "torpor"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [_datasource(), _namespace()]},
        "panels": _laid_out(),
    }


def _datasource() -> Json:
    kind = {"type": "datasource", "query": "prometheus"}
    return {"name": "datasource", "label": "Prometheus", **kind}


def _namespace() -> Json:
    """All of them, unless somebody chooses: `.*` is what Grafana asks with then."""
    return {
        "name": "namespace",
        "label": "Namespace",
        "type": "query",
        "datasource": _SOURCE,
        "query": {"query": "label_values(torpor_build_info, namespace)", "refId": "namespace"},
        "refresh": 2,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
    }


def _laid_out() -> list[Json]:
    """From left to right, and on in the next line where there is no room."""
    laid, top = list[Json](), 0
    for title, panels in rows():
        place = {"x": 0, "y": top, "w": COLUMNS, "h": ROW_HEIGHT}
        laid.append({"id": len(laid) + 1, "type": "row", "title": title, "gridPos": place})
        top, left = top + ROW_HEIGHT, 0
        for panel in panels:
            if left + panel.width > COLUMNS:
                top, left = top + PANEL_HEIGHT, 0
            height = STAT_HEIGHT if panel.kind == "stat" else PANEL_HEIGHT
            place = {"x": left, "y": top, "w": panel.width, "h": height}
            laid.append({"id": len(laid) + 1, **_drawn(panel), "gridPos": place})
            left += panel.width
        top += PANEL_HEIGHT
    return laid


def _drawn(panel: Panel) -> Json:
    custom: Json = {"stacking": {"mode": "normal"}, "fillOpacity": 25} if panel.is_stacked else {}
    return {
        "type": panel.kind,
        "title": panel.title,
        "description": panel.meaning,
        "datasource": _SOURCE,
        "fieldConfig": {"defaults": {"unit": panel.unit, "custom": custom}, "overrides": []},
        "options": _options(panel),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": _SOURCE,
                "expr": expression,
                "legendFormat": legend,
                "instant": panel.kind == "stat",
                "range": panel.kind != "stat",
            }
            for index, (expression, legend) in enumerate(panel.queries)
        ],
    }


def _options(panel: Panel) -> Json:
    if panel.kind == "stat":
        return {"reduceOptions": {"calcs": ["lastNotNull"]}, "textMode": "value_and_name"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}}
