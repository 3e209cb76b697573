"""What the dashboard answers over HTTP.

``/`` and the page's files are for everybody who reaches the port; everything under ``/api`` but the
door itself needs cookie and ticket, and what changes anything has to come from our own page.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from aiohttp import web

from torpor_api import messages as m
from torpor_api.brief import brief
from torpor_api.failures import (
    Busy,
    Conflict,
    Failure,
    InvalidRequest,
    NotFound,
    Refused,
    Unavailable,
)
from torpor_api.identity import is_endpoint_name
from torpor_autoscaler.dashboard import story
from torpor_autoscaler.dashboard.board import Changes, Mark
from torpor_autoscaler.dashboard.connections import Connection
from torpor_autoscaler.dashboard.desk import DatabaseDesk
from torpor_autoscaler.dashboard.door import COOKIE_S_MAX, Door, is_same_origin
from torpor_autoscaler.dashboard.files import SECURITY_HEADERS, File
from torpor_autoscaler.dashboard.live import Live
from torpor_autoscaler.ports import FleetDesk

log = logging.getLogger(__name__)

BODY_BYTES_MAX = 4096
"""Of a request; a link has some thirty."""

BODY_S_MAX = 10.0
"""For it to come."""

AT_ONCE_MAX = 16
"""Questions about single databases, sleeps and wakes that are under way: they ask proxies, and
may wait for a minute. One more is told to come again."""

TILES_MAX = 500
"""In one event."""

STILL_HERE_S = 15.0
"""Without news a comment is sent: so a page that is gone is noticed, and no router hangs up."""

UNREAD_S_MAX = 15.0
"""A page that takes nothing of what it is sent for so long is let go; it comes again by itself."""

RETRY_MS = 2000
"""For which a page waits before it comes again."""

TICKET = "Torpor-Ticket"
"""The header that has it; a stream, which can have none, has it in its address."""

CAUSE = "somebody at the dashboard"

FOREIGN = "this address is not the dashboard's: open the one that `torpor dashboard` prints"
LOCKED = "this browser is not known here: open the link that `torpor dashboard` prints"
NOT_OURS = "that did not come from the dashboard's own page"

_STATUSES: tuple[tuple[type[Failure], int], ...] = (
    (NotFound, 404),
    (InvalidRequest, 400),
    (Busy, 409),
    (Conflict, 409),
    (Refused, 409),
)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pages:
    """The answers; ``app`` is what a server serves."""

    def __init__(
        self, desk: DatabaseDesk, fleet: FleetDesk, live: Live, door: Door, files: dict[str, File]
    ) -> None:
        self._desk = desk
        self._fleet = fleet
        self._live = live
        self._door = door
        self._files = files
        self._under_way = 0
        self._closing = asyncio.Event()
        self.app = web.Application(
            middlewares=[self._guard], client_max_size=BODY_BYTES_MAX, logger=log
        )
        self.app.on_response_prepare.append(_secure)
        self.app.add_routes(
            [
                web.post("/api/enter", self._enter),
                web.post("/api/leave", self._leave),
                web.get("/api/fleet", self._whole, allow_head=False),
                web.get("/api/events", self._events, allow_head=False),
                web.get("/api/databases/{name}", self._story, allow_head=False),
                web.post("/api/databases/{name}/suspend", self._suspend),
                web.post("/api/databases/{name}/resume", self._resume),
                web.get("/{path:.*}", self._file),
            ]
        )

    def close(self) -> None:
        """Streams end at once; what else is under way is answered."""
        self._closing.set()
        self._live.stir()

    # --- who may ask -------------------------------------------------------------------------

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        refusal = self._refusal(request)
        if refusal is not None:
            return refusal
        try:
            return await handler(request)
        except Failure as failure:
            return _failed(failure)
        except web.HTTPException as error:
            return _said(error.status, error.reason)
        except ConnectionError:
            raise
        except Exception:
            log.exception("dashboard_defect")
            if request.writer.output_size:
                raise ConnectionError("another answer has begun") from None
            return _said(500, "Torpor has failed here: its log says why")

    def _refusal(self, request: web.Request) -> web.Response | None:
        host = request.headers.get("Host", "")
        if not self._door.is_for_us(host):
            return _said(421, FOREIGN)
        if not request.path.startswith("/api/"):
            return None
        if request.method == "POST" and not self._is_from_our_page(request, host):
            return _said(403, NOT_OURS)
        if request.path == "/api/enter":
            return None
        cookie = request.cookies.get(_cookie_name(host), "")
        ticket = request.headers.get(TICKET) or request.query.get("ticket", "")
        if not self._door.knows(cookie, ticket):
            return _said(401, LOCKED)
        if isinstance(request.protocol, Connection):
            request.protocol.has_shown_a_cookie()
        return None

    def _is_from_our_page(self, request: web.Request, host: str) -> bool:
        origin, is_behind_tls = request.headers.get("Origin", ""), self._door.is_behind_tls(host)
        is_json = request.content_type == "application/json"
        return is_json and is_same_origin(origin, host, is_behind_tls=is_behind_tls)

    async def _enter(self, request: web.Request) -> web.Response:
        admission = self._door.enter(await _link_of(request))
        if admission is None:
            return _said(401, "this link is used up or too old: `torpor dashboard` prints another")
        response, host = _json(json.dumps({"ticket": admission.ticket})), request.headers["Host"]
        response.set_cookie(
            _cookie_name(host),
            admission.cookie,
            max_age=int(COOKIE_S_MAX),
            httponly=True,
            samesite="Strict",
            secure=self._door.is_behind_tls(host),
        )
        return response

    async def _leave(self, request: web.Request) -> web.Response:
        response = web.Response(status=204)
        response.del_cookie(_cookie_name(request.headers["Host"]), samesite="Strict")
        return response

    # --- the fleet ---------------------------------------------------------------------------

    async def _whole(self, request: web.Request) -> web.Response:
        body = await self._live.whole()
        headers = {"Content-Encoding": "gzip", "Cache-Control": "no-store"}
        return web.Response(body=body, content_type="application/json", headers=headers)

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """From the mark on that the browser has, until it goes or reads no more."""
        told = request.headers.get("Last-Event-ID") or request.query.get("since", "")
        mark = Mark.read(told)
        if mark is None:
            raise InvalidRequest("since: give the mark that /api/fleet has told")
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
        response = web.StreamResponse(headers=headers)
        with self._live.watching():
            await response.prepare(request)
            # Whoever hangs up is told nothing more.
            with contextlib.suppress(ConnectionError):
                await _send(response, request, f"retry: {RETRY_MS}\n\n")
                async for text in self._news(mark):
                    if not await _send(response, request, text):
                        break
        return response

    async def _news(self, mark: Mark) -> AsyncIterator[str]:
        while not self._closing.is_set():
            changes = self._live.since(mark, TILES_MAX)
            if changes is None:
                yield "event: reset\ndata: {}\n\n"
                return
            if changes.tiles or changes.gone:
                yield _event(changes)
            if changes.mark == mark and not await self._live.news(STILL_HERE_S):
                yield ": still here\n\n"
            mark = changes.mark

    # --- one database ------------------------------------------------------------------------

    async def _story(self, request: web.Request) -> web.Response:
        with self._one_more():
            told = await story.of_database(_name_of(request), self._desk, self._fleet)
        return _json(told.model_dump_json())

    async def _suspend(self, request: web.Request) -> web.Response:
        with self._one_more():
            await self._desk.suspend(_name_of(request))
        return web.Response(status=204)

    async def _resume(self, request: web.Request) -> web.Response:
        with self._one_more():
            await self._desk.wake(m.Wake(name=_name_of(request), cause=CAUSE))
        return web.Response(status=204)

    @contextlib.contextmanager
    def _one_more(self) -> Iterator[None]:
        if self._under_way >= AT_ONCE_MAX:
            raise Unavailable(f"{AT_ONCE_MAX} questions are under way", "ask again in a moment")
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    # --- files -------------------------------------------------------------------------------

    async def _file(self, request: web.Request) -> web.Response:
        file = self._files.get(request.path)
        if file is None:
            return _said(404, "there is no such page")
        headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == file.tag:
            return web.Response(status=304, headers=headers)
        return web.Response(body=file.content, headers=headers | {"Content-Type": file.type})


async def _secure(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)


async def _send(response: web.StreamResponse, request: web.Request, text: str) -> bool:
    """Whether it was taken in time; a page that takes nothing is hung up on."""
    try:
        async with asyncio.timeout(UNREAD_S_MAX):
            await response.write(text.encode())
    except TimeoutError:
        if request.transport is not None:
            request.transport.abort()
        return False
    return True


async def _link_of(request: web.Request) -> str:
    try:
        async with asyncio.timeout(BODY_S_MAX):
            body = await request.read()
        link = json.loads(body)["link"]
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except (ValueError, KeyError, TypeError, RecursionError):
        link = None
    if not isinstance(link, str):
        raise InvalidRequest('write {"link": "…"}')
    return link


def _name_of(request: web.Request) -> str:
    name = request.match_info["name"]
    if not is_endpoint_name(name):
        raise NotFound(f"no database {brief(name)}")
    return name


def _cookie_name(host: str) -> str:
    """With its port: browsers give a cookie of an address to all ports of it."""
    port = host.rpartition(":")[2]
    return f"torpor-dashboard-{port if port.isascii() and port.isdigit() else 'tls'}"


def _event(changes: Changes) -> str:
    tiles, gone = ",".join(changes.tiles), json.dumps(changes.gone)
    return f'id: {changes.mark}\ndata: {{"tiles":[{tiles}],"gone":{gone}}}\n\n'


def _failed(failure: Failure) -> web.Response:
    status = next((status for kind, status in _STATUSES if isinstance(failure, kind)), 503)
    return _said(status, failure.message, failure.hint, failure.kind)


def _said(status: int, message: str, hint: str = "", kind: str = "") -> web.Response:
    """What a person is to know, as the page shows it."""
    told = {"message": message, "hint": hint, "kind": kind}
    return _json(json.dumps(told), status)


def _json(text: str, status: int = 200) -> web.Response:
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="application/json", headers=headers)
