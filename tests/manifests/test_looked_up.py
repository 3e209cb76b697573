"""What the chart finds on a cluster before it installs anything: asked of a server that has it."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kustomize_base import CHART, NAMESPACE
from manifests.charts import Json, Refused, helm, needs_helm, rendered

pytestmark = needs_helm

FIRST = {"app.kubernetes.io/name": "torpor", "app.kubernetes.io/instance": "first"}


@contextlib.contextmanager
def api_server(*, deployments: list[Json], pool: Json | None = None) -> Iterator[str]:
    """The address of one that knows the chart's kinds, and has these objects of them."""
    answers: dict[str, Json] = _discovery()
    there = {"kind": "DeploymentList", "apiVersion": "apps/v1", "items": deployments}
    answers[f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments"] = there
    answers[f"/api/v1/namespaces/{NAMESPACE}/secrets"] = {
        "kind": "SecretList",
        "apiVersion": "v1",
        "items": [],
    }
    if pool is not None:
        place = f"/apis/torpor.dev/v1alpha1/namespaces/{NAMESPACE}/warmpools/default"
        head = {"name": "default", "namespace": NAMESPACE}
        answers[place] = {"apiVersion": "torpor.dev/v1alpha1", "kind": "WarmPool"}
        answers[place] |= {"metadata": head, "spec": pool}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = answers.get(self.path.partition("?")[0])
            lost = {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}
            body = json.dumps(lost if found is None else found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _discovery() -> dict[str, Json]:
    """Of the kinds that the chart makes."""
    kinds: dict[str, set[str]] = {"v1": {"Secret"}}
    for one in rendered():
        kinds.setdefault(one["apiVersion"], set()).add(one["kind"])
    groups = []
    answers: dict[str, Json] = {
        "/version": {"major": "1", "minor": "37", "gitVersion": "v1.37.0"},
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
    }
    for version, those in kinds.items():
        path = f"/apis/{version}" if "/" in version else f"/api/{version}"
        resources = [
            {
                "name": f"{kind.lower()}s".replace("ys", "ies"),
                "kind": kind,
                "namespaced": not kind.startswith(("Cluster", "CustomResource")),
                "verbs": ["get", "list", "create"],
            }
            for kind in sorted(those)
        ]
        answers[path] = {"kind": "APIResourceList", "groupVersion": version, "resources": resources}
        if "/" in version:
            named = {"groupVersion": version, "version": version.partition("/")[2]}
            name = version.partition("/")[0]
            groups.append({"name": name, "versions": [named], "preferredVersion": named})
    answers["/apis"] = {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    return answers


def notes(server: str, release: str, values: Json | None = None) -> str:
    """What an install would say. Raises Refused."""
    place = ("--namespace", NAMESPACE, "--kube-apiserver", server)
    dry = ("--dry-run=server", "--disable-openapi-validation")
    said = helm("install", release, str(CHART), *place, *dry, values=values or {})
    return said.partition("NOTES:")[2]


def test_two_releases_in_one_namespace_are_refused() -> None:
    """They would have the same authority, volumes and pools."""
    others = [{"metadata": {"name": "first-proxy", "labels": FIRST}}]
    others.append({"metadata": {"name": "web"}})
    with api_server(deployments=others) as server:
        with pytest.raises(Refused, match="has the release first of Torpor already"):
            notes(server, "second")
        assert "Torpor 0.1.0 is installed" in notes(server, "first")


@pytest.mark.parametrize(("low", "is_warned"), [(1, False), (5, True)])
def test_a_pool_that_the_chart_will_not_change_is_spoken_of(low: int, is_warned: bool) -> None:
    stored = {"size": {"min": 1, "max": 10}, "postgresVersion": "17"}
    wanted = {"defaultPool": {"spec": {"size": {"min": low}}}}
    with api_server(deployments=[], pool=stored) as server:
        assert ("WARNING: the pool `default`" in notes(server, "first", wanted)) == is_warned
