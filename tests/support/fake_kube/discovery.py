"""What there is to be asked for, as kopf wants to know before it asks."""

from __future__ import annotations

from aiohttp import web

from support.fake_kube.objects import KINDS, WITH_STATUS


def add_routes(app: web.Application) -> None:
    app.router.add_get("/api", _core)
    app.router.add_get("/apis", _groups)
    app.router.add_get("/api/{version}", _resources)
    app.router.add_get("/apis/{group}/{version}", _resources)


async def _core(_: web.Request) -> web.Response:
    return web.json_response({"kind": "APIVersions", "versions": ["v1"]})


async def _groups(_: web.Request) -> web.Response:
    versions = sorted({(group, version) for group, version, _ in KINDS if group})
    groups = [
        {
            "name": group,
            "versions": [{"groupVersion": f"{group}/{version}", "version": version}],
            "preferredVersion": {"groupVersion": f"{group}/{version}", "version": version},
        }
        for group, version in versions
    ]
    return web.json_response({"kind": "APIGroupList", "groups": groups})


async def _resources(request: web.Request) -> web.Response:
    wanted = request.match_info.get("group", ""), request.match_info["version"]
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    resources = []
    for (group, version, plural), kind in KINDS.items():
        if (group, version) != wanted:
            continue
        about = {"kind": kind.kind, "namespaced": kind.is_namespaced, "verbs": verbs}
        resources.append({"name": plural, "singularName": plural[:-1], **about})
        if kind in WITH_STATUS:
            resources.append({"name": f"{plural}/status", "singularName": "", **about})
    return web.json_response({"kind": "APIResourceList", "resources": resources})
