"""kopf's part: it watches the WarmPools and says what has changed, level-triggered.

The databases have watches of their own (:mod:`feeds`): there are thousands of them, of each of
which kopf would keep 0.8 KiB, and what is deleted while its watch is interrupted it never hears of.
A pool holds a finalizer until the operator itself lets it go, and is asked for before a compute is
started for it.

Handlers feed the cache and the queue and decide nothing; kopf's own state (annotations, finalizers,
daemons) is not used, and neither are its indices: while one is filled, each object wakes all that
wait for it.

It runs in a thread with an event loop of its own, because at its end it cancels every task that it
finds on its loop.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

import kopf
from kopf._core.engines.peering import Identity

from torpor_kube.kinds import WARM_POOL
from torpor_kube.login import is_in_pod
from torpor_kube.port import Document

log = logging.getLogger(__name__)

WATCH_INACTIVITY_S = 70.0
"""Bookmarks come once a minute; a watch that is silent for longer is connected again."""


class Backoffs:
    """Seconds between kopf's attempts at a server that is away: as soon as the other watches it is
    to see that the server is back, and it never gives up."""

    def __iter__(self) -> Iterator[float]:
        yield from (0.5, 1.0)
        while True:
            yield RETRY_S_MAX


RETRY_S_MAX = 2.0

REQUEST_S_MAX = 30.0
CONNECT_S_MAX = 10.0
RECONNECT_S = 1.0

LIST_CHUNK = 200
WORKERS_MAX = 200
WORKER_IDLE_S = 0.2
"""kopf has a task for each resource that has just changed; its default is to keep it for 5 s, and
at the start one for every resource that there is."""


STOP_S_MAX = 10.0
"""For its own end; whoever leads no longer ends all the same."""


Login = Callable[..., Awaitable[kopf.ConnectionInfo]]
"""Called by kopf, again whenever the server no longer takes what it gave before. A coroutine: for
anything else kopf makes threads, which it does not end."""


async def kopf_login(settings: kopf.OperatorSettings, **_: Any) -> kopf.ConnectionInfo:
    """As :func:`torpor_kube.login.chosen` does: in a pod by its ServiceAccount, else by a file."""
    login = kopf.login_with_service_account if is_in_pod() else kopf.login_with_kubeconfig
    found = login(settings=settings)
    if found is None:
        raise kopf.LoginError("no way to the API server: name a kubeconfig, or run in a pod")
    return found


class Pools(Protocol):
    """Who is told; from kopf's thread."""

    def pool_changed(self, document: Document, is_gone: bool) -> None:
        """It is like this now, or this was its last state. First all there are, in any order."""


def registry_for(pools: Pools, login: Login) -> Any:
    """Of one operator."""
    registry = kopf.OperatorRegistry()
    kopf.on.startup(registry=registry)(_configure)
    kopf.on.login(registry=registry)(login)

    @kopf.on.event(WARM_POOL.group, WARM_POOL.version, WARM_POOL.plural, registry=registry)
    async def changed(event: kopf.RawEvent, body: kopf.Body, **_: Any) -> None:
        pools.pool_changed(dict(body), event["type"] == "DELETED")

    return registry


async def _configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    settings.peering.standalone = True
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.initial_streaming = False
    settings.watching.inactivity_timeout = WATCH_INACTIVITY_S
    settings.watching.reconnect_backoff = RECONNECT_S
    settings.networking.request_timeout = REQUEST_S_MAX
    settings.networking.connect_timeout = CONNECT_S_MAX
    settings.networking.error_backoffs = Backoffs()
    settings.networking.enforce_retry_after = True
    settings.watching.chunk_size = LIST_CHUNK
    settings.queueing.worker_limit = WORKERS_MAX
    settings.queueing.idle_timeout = WORKER_IDLE_S
    settings.background.instant_exit_timeout = 1.0


class KopfThread:
    """Runs it until it is told to stop; that it ends before is a reason to end the process."""

    def __init__(self, registry: Any, namespace: str, ended: Callable[[], None]) -> None:
        self._registry = registry
        self._namespace = namespace
        self._ended = ended
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kopf", daemon=True)

    def start(self) -> None:
        self._thread.start()

    async def close(self) -> None:
        self._stop.set()
        await asyncio.to_thread(self._thread.join, STOP_S_MAX)
        if self._thread.is_alive():
            log.warning("kopf_goes_on", extra={"waited_s": STOP_S_MAX})

    def _run(self) -> None:
        # It logs each call of a handler, with all of its settings; and that signals are not its.
        logging.getLogger("kopf").setLevel(logging.WARNING)
        logging.getLogger("kopf._core.reactor.running").setLevel(logging.ERROR)
        try:
            asyncio.run(
                kopf.operator(
                    registry=self._registry,
                    namespaces=[self._namespace],
                    # Otherwise it asks for the name of the user, which has none in a pod.
                    identity=Identity("torpor"),
                    stop_flag=self._stop,
                )
            )
        except Exception:
            log.exception("kopf_failed")
        finally:
            self._ended()
