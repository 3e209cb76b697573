"""The fake API server on HTTP, and the faults that it can be told to have."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from unittest import mock

from aiohttp import web

from support.fake_kube import discovery
from support.fake_kube.errors import ApiError, not_found
from support.fake_kube.forwarding import Forwarding
from support.fake_kube.objects import KINDS, Key, Objects
from support.fake_kube.pods import Containers
from support.fake_kube.selecting import is_selected
from support.fake_kube.watches import Feed
from torpor_kube.kinds import SERVERLESS_DATABASE, WARM_POOL, Kind
from torpor_kube.port import ALL_SENT, ChangeType, Document, PatchForm

CUSTOM = (SERVERLESS_DATABASE, WARM_POOL)
"""Kinds of which a server knows no key of a list."""

APPLY = "application/apply-patch+yaml"

REQUEST_BYTES_MAX = 3 << 20
"""As of a real one."""

NO_AUTHORITIES = {"SSL_CERT_FILE": os.devnull}
"""Nobody asks who this server is: a client that reads all authorities of the machine first takes as
long for that as a whole test does."""


class Faults:
    """What goes wrong, for as long as a test says."""

    def __init__(self) -> None:
        self.is_away = False
        self.loses_replies = False
        self.too_busy = 0
        """So many requests are told to come again."""
        self.can_stream = True
        """False: an older server, which can't send a list at the head of a watch."""
        self.holds_watches = False
        """What happens is not told, until it ends."""
        self.refuses: Callable[[str, str], bool] = lambda method, path: False
        """Its admission, by method and path: what a quota or Pod Security would not have."""
        self.stale = 0
        """Lists and watches are that many versions behind."""

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        self.is_away = True
        yield
        self.is_away = False

    @contextlib.contextmanager
    def lose_replies(self) -> Iterator[None]:
        """What is asked is done, and nobody hears of it."""
        self.loses_replies = True
        yield
        self.loses_replies = False


class FakeKube:
    """One server; tests may reach into its objects."""

    def __init__(self) -> None:
        self.objects = Objects()
        self.faults = Faults()
        self.forwarding = Forwarding()
        self.containers = Containers()
        self.requests: list[str] = []
        """Method and path of every request that came."""
        self.managers: set[str] = set()
        """Who has written, as the writes themselves say."""
        self.written: list[tuple[str, str]] = []
        """The token with which each write came, and its path."""
        self.url = ""
        self._feeds: set[Feed] = set()

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[FakeKube]:
        app = web.Application(middlewares=[self._as_status], client_max_size=REQUEST_BYTES_MAX)
        discovery.add_routes(app)
        self.forwarding.add_routes(app)
        self.containers.add_routes(app)
        app.router.add_route("*", "/api/{version}/{rest:.+}", self._answer)
        app.router.add_route("*", "/apis/{group}/{version}/{rest:.+}", self._answer)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            with mock.patch.dict(os.environ, NO_AUTHORITIES):
                yield self
        finally:
            self.cut_watches()
            await runner.cleanup()

    def cut_watches(self) -> None:
        """The network has a bad moment: every watch ends, without a word."""
        for feed in list(self._feeds):
            feed.end()

    def watchers(self) -> int:
        """How many watches there are just now."""
        return len(self._feeds)

    @web.middleware
    async def _as_status(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.requests.append(f"{request.method} {request.path}")
        if request.method in ("POST", "PATCH"):
            self.managers.add(request.query.get("fieldManager", ""))
        if request.method != "GET":
            token = request.headers.get("Authorization", "").removeprefix("Bearer ")
            self.written.append((token, request.path))
        if self.faults.is_away:
            assert request.transport is not None
            request.transport.abort()
        if self.faults.too_busy:
            self.faults.too_busy -= 1
            return web.json_response({}, status=429, headers={"Retry-After": "0"})
        try:
            if self.faults.refuses(request.method, request.path):
                raise ApiError(403, "Forbidden", f"{request.path} is forbidden: exceeded quota")
            response: web.StreamResponse = await handler(request)
        except ApiError as error:
            return web.json_response(error.status(), status=error.code)
        if self.faults.loses_replies and request.method != "GET":
            assert request.transport is not None
            request.transport.abort()
        return response

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        kind, namespace, name, subresource = _place(request)
        if name:
            return await self._answer_one(request, (kind, namespace, name), subresource)
        if request.method == "POST":
            document = await request.json()
            document.setdefault("metadata", {})
            if kind.is_namespaced:
                document["metadata"]["namespace"] = namespace
            return web.json_response(self.objects.create(kind, document), status=201)
        if request.query.get("watch") == "true":
            return await self._watch(request, kind, namespace)
        return web.json_response(self._list(request, kind, namespace))

    async def _answer_one(
        self, request: web.Request, key: Key, subresource: str
    ) -> web.StreamResponse:
        objects = self.objects
        match request.method:
            case "GET":
                return web.json_response(objects.get(key))
            case "DELETE":
                options = json.loads(await request.read() or b"{}")
                conditions = options.get("preconditions") or {}
                grace_s = options.get("gracePeriodSeconds")
                return web.json_response(objects.delete(key, conditions, grace_s))
            case "PATCH" if request.content_type == APPLY:
                document = await request.json()
                manager = request.query["fieldManager"]
                return web.json_response(objects.apply(key, document, manager, subresource))
            case "PATCH" if request.content_type == PatchForm.STRATEGIC.value:
                if key[0] in CUSTOM:
                    raise ApiError(415, "UnsupportedMediaType", "for the server's own kinds only")
                # Lists of maps are merged by their keys, as in an apply that owns nothing.
                document = await request.json()
                return web.json_response(objects.merge(key, document, subresource))
            case "PATCH" if request.content_type == PatchForm.MERGE.value:
                return web.json_response(objects.patch(key, await request.json(), subresource))
            case _:
                raise ApiError(415, "UnsupportedMediaType", f"{request.method}: not in this fake")

    def _list(self, request: web.Request, kind: Kind, namespace: str) -> Document:
        chosen = _chosen(request)
        found = [one for one in self.objects.all(kind, namespace) if is_selected(one, *chosen)]
        start, _, version = request.query.get("continue", "0").partition("@")
        version = version or str(self.objects.version)
        if int(version) < self.objects.forgotten:
            raise ApiError(410, "Expired", "the continue token is too old")
        end = int(start) + int(request.query.get("limit") or len(found) or 1)
        rest = f"{end}@{version}" if end < len(found) else ""
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": {"resourceVersion": version, "continue": rest},
            "items": found[int(start) : end],
        }

    async def _watch(self, request: web.Request, kind: Kind, namespace: str) -> web.StreamResponse:
        with_all = request.query.get("sendInitialEvents") == "true"
        if with_all and not self.faults.can_stream:
            raise ApiError(422, "Invalid", "sendInitialEvents is forbidden for watch")
        feed = Feed(self.objects, kind, namespace, *_chosen(request))
        version = request.query.get("resourceVersion", "")
        first = feed.begin(int(version) if version else None, with_all=with_all)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        self._feeds.add(feed)
        try:
            for change in first:
                await response.write(_line(change))
            if with_all:
                await response.write(_bookmark(kind, feed.version, {ALL_SENT: "true"}))
            async for changes in feed:
                while self.faults.holds_watches:
                    await asyncio.sleep(0.01)
                for change in changes:
                    await response.write(_line(change))
        except ConnectionResetError:
            pass  # Whoever watched has hung up.
        finally:
            self._feeds.discard(feed)
            feed.close()
        return response

    def bookmark(self) -> None:
        """What a real server sends once a minute."""
        for feed in self._feeds:
            feed.bookmark()


def _place(request: web.Request) -> tuple[Kind, str, str, str]:
    parts = request.match_info["rest"].split("/")
    namespace = ""
    if parts[0] == "namespaces" and len(parts) > 2:
        namespace, parts = parts[1], parts[2:]
    found = KINDS.get(
        (request.match_info.get("group", ""), request.match_info["version"], parts[0])
    )
    if found is None:
        raise not_found(f"the resource {parts[0]!r}")
    name, subresource, *_ = [*parts[1:], "", ""]
    return found, namespace, name, subresource


def _chosen(request: web.Request) -> tuple[str, str]:
    """The labels and the name that are asked for."""
    field, _, name = request.query.get("fieldSelector", "").partition("=")
    if field not in ("", "metadata.name"):
        raise ApiError(400, "BadRequest", f"the field {field}: not in this fake")
    return request.query.get("labelSelector", ""), name


def _line(change: tuple[ChangeType, Document]) -> bytes:
    return json.dumps({"type": change[0].value, "object": change[1]}).encode() + b"\n"


def _bookmark(kind: Kind, version: int, annotations: dict[str, str]) -> bytes:
    metadata = {"resourceVersion": str(version), "annotations": annotations}
    document = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": metadata}
    return _line((ChangeType.BOOKMARK, document))
