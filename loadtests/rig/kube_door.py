"""A door in front of the API server that counts who asks it for what.

Plain HTTP on this machine's loopback, so that a component needs no more than a kubeconfig with this
address; behind it is the cluster of KUBECONFIG with its own TLS and login.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import yaml
from aiohttp import web
from kubernetes.aio.client import ApiClient
from multidict import CIMultiDict

from torpor_kube.login import chosen

HOP_BY_HOP = ("host", "connection", "transfer-encoding", "content-length", "accept-encoding")
"""Headers of one connection, which the next one has its own of."""

ANSWER_BYTES_MAX = 64 << 20
START_SECONDS_MAX = 20.0


class Door:
    """For one component."""

    def __init__(self, folder: Path, name: str) -> None:
        self.kubeconfig = folder / f"{name}.kubeconfig"
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def counts(self) -> Counter[str]:
        """What was asked so far, like ``PATCH secrets``."""
        with self._lock:
            return Counter(self._counts)

    def count(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1


def work(counts: Counter[str]) -> int:
    """Questions beyond watches and the Lease, which a component at rest asks too."""
    return sum(
        number
        for what, number in counts.items()
        if not what.startswith("WATCH ") and not what.endswith(" leases")
    )


@contextlib.contextmanager
def opened(folder: Path, name: str) -> Iterator[Door]:
    """In a thread and an event loop of its own."""
    door, is_open, stop = Door(folder, name), threading.Event(), threading.Event()
    thread = threading.Thread(
        target=lambda: asyncio.run(_serve(door, is_open, stop)), name=f"door {name}", daemon=True
    )
    thread.start()
    assert is_open.wait(START_SECONDS_MAX), f"the door for the {name} did not open"
    try:
        yield door
    finally:
        stop.set()
        thread.join(START_SECONDS_MAX)


async def _serve(door: Door, is_open: threading.Event, stop: threading.Event) -> None:
    client = ApiClient(await chosen()())
    connector = aiohttp.TCPConnector(limit=0, ssl=client.rest_client.ssl_context)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:

        async def pass_on(request: web.Request) -> web.StreamResponse:
            return await _pass_on(door, client, session, request)

        app = web.Application(client_max_size=ANSWER_BYTES_MAX)
        app.router.add_route("*", "/{path:.*}", pass_on)
        runner = web.AppRunner(app, shutdown_timeout=0.0)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        door.kubeconfig.write_text(yaml.safe_dump(_kubeconfig(f"http://127.0.0.1:{port}")))
        is_open.set()
        await asyncio.to_thread(stop.wait)
        await runner.cleanup()
    await client.close()


async def _pass_on(
    door: Door, client: ApiClient, session: aiohttp.ClientSession, request: web.Request
) -> web.StreamResponse:
    is_watch = request.query.get("watch") == "true"
    door.count(asked("WATCH" if is_watch else request.method, request.path))
    kept = CIMultiDict((k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP)
    own: dict[str, str] = {}
    await client.update_params_for_auth(own, [], ["BearerToken"], "", request.method, None)
    kept.update(own)
    async with session.request(
        request.method,
        f"{client.configuration.host}{request.rel_url}",
        headers=kept,
        data=await request.read() or None,
        timeout=aiohttp.ClientTimeout(total=None),
    ) as answer:
        headers = {k: v for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP}
        passed = web.StreamResponse(status=answer.status, headers=headers)
        # Whoever hangs up in the middle of an answer, as of a watch, misses nothing.
        with contextlib.suppress(ConnectionResetError):
            await passed.prepare(request)
            async for chunk in answer.content.iter_any():
                await passed.write(chunk)
            await passed.write_eof()
        return passed


def asked(verb: str, path: str) -> str:
    """Verb and resource: ``/apis/GROUP/VERSION/namespaces/NS/PLURAL/NAME/PART``."""
    parts = path.strip("/").split("/")[3 if path.startswith("/apis/") else 2 :]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    return f"{verb} {'/'.join([parts[0], *parts[2:3]]) if parts else 'discovery'}"


def _kubeconfig(server: str) -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "door",
        "contexts": [{"name": "door", "context": {"cluster": "door", "user": "door"}}],
        "clusters": [{"name": "door", "cluster": {"server": server}}],
        "users": [{"name": "door", "user": {}}],
    }
