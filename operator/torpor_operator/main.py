"""Wires adapters to the core, and runs until it is told to end or somebody else leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Sequence

from torpor_api.failures import Failure
from torpor_api.identity import CONSOLE_NAME
from torpor_api.logs import log_to_stderr
from torpor_channel.health import Health
from torpor_channel.metrics import Metrics
from torpor_kube import names
from torpor_kube.election import Election, first_of
from torpor_kube.kinds import SERVERLESS_DATABASE, WARM_POOL, Kind
from torpor_kube.lease import Terms
from torpor_kube.login import Login as ApiLogin
from torpor_kube.login import chosen
from torpor_kube.port import Document, Kube
from torpor_kube.server import ApiServer
from torpor_operator import settings as settings_of
from torpor_operator.adapters.components import Components
from torpor_operator.adapters.feeds import watches
from torpor_operator.adapters.freed_memory import give_back
from torpor_operator.adapters.handlers import KopfThread, Login, kopf_login, registry_for
from torpor_operator.adapters.metrics import OperatorMetrics
from torpor_operator.authority import CertificateKeeper
from torpor_operator.console import ConsoleKeeper
from torpor_operator.core.cache import Cache
from torpor_operator.core.certificates import LeafWanted
from torpor_operator.core.database import House
from torpor_operator.core.naming import Key
from torpor_operator.core.pods import PodSettings
from torpor_operator.core.server_certificates import server_leaves
from torpor_operator.core.targets import Sort, Target, database
from torpor_operator.databases import Databases
from torpor_operator.executor import Executor
from torpor_operator.leading import Leading
from torpor_operator.notes import Notes
from torpor_operator.pools import Pools
from torpor_operator.ports import Agents, Autoscaler
from torpor_operator.settings import Settings

log = logging.getLogger(__name__)


class SystemClock:
    """The machine's own."""

    def now(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()


class OnLoop:
    """What kopf's thread tells, told on ours and in order."""

    def __init__(self, leading: Leading, loop: asyncio.AbstractEventLoop) -> None:
        self._leading = leading
        self._loop = loop

    def pool_changed(self, document: Document, is_gone: bool) -> None:
        self._loop.call_soon_threadsafe(self._leading.pool_changed, document, is_gone)


class Operator:
    """Everything but the watches."""

    def __init__(
        self, settings: Settings, kube: Kube, autoscaler: Autoscaler, agents: Agents
    ) -> None:
        self._settings = settings
        self._kube = kube
        clock = SystemClock()
        self.cache = Cache(settings.namespace)
        notes = Notes(kube, clock, settings.identity)
        executor = Executor(kube, self.cache, autoscaler, agents, notes, self._report)
        self._certificates = CertificateKeeper(
            kube,
            clock,
            settings.namespace,
            settings.instance,
            self._server_leaves,
            settings.tls_folder,
        )
        databases = Databases(kube, self.cache, executor, clock, self._house)
        pod_settings = _pod_settings(settings)
        pools = Pools(
            kube, self.cache, executor, autoscaler, clock, pod_settings, self._all_databases
        )
        self._console = ConsoleKeeper(kube, settings.namespace, self._console_host())
        self.leading = Leading(
            self.cache,
            settings,
            {
                Sort.DATABASE: databases.look,
                Sort.POOL: pools.look,
                Sort.CERTIFICATES: self._look_at_certificates,
                Sort.CONSOLE: self._look_at_console,
            },
            self._all_pools,
            give_back,
        )

    def _report(self, targets: Iterable[Target]) -> None:
        self.leading.report(targets)

    async def _look_at_certificates(self, _: Key) -> float:
        """What is trusted stands in each database's Secret."""
        before = self._certificates.ca_certificate
        again_in_s = await self._certificates.look()
        if self._certificates.ca_certificate != before:
            self.leading.report(database(key) for key in self.cache.databases)
        self.leading.has_certificates.set()
        return again_in_s

    async def _look_at_console(self, key: Key) -> None:
        if self._settings.has_console:
            await self._console.look(key)

    def _console_host(self) -> str:
        """For clients outside as well, where there is a name for them."""
        if self._settings.domains:
            return f"{CONSOLE_NAME}.{self._settings.domains[0]}"
        return f"{self._settings.proxy_service}.{self._settings.namespace}.svc"

    def _all_pools(self) -> AsyncGenerator[Document, None]:
        return self._all_of(WARM_POOL, self._settings.namespace)

    async def _all_databases(self) -> AsyncGenerator[Document, None]:
        for namespace in self._settings.watched or ("",):
            async for document in self._all_of(SERVERLESS_DATABASE, namespace):
                yield document

    async def _all_of(self, kind: Kind, namespace: str) -> AsyncGenerator[Document, None]:
        page = await self._kube.page(kind, namespace)
        while True:
            for document in page.items:
                yield document
            if not page.rest:
                return
            page = await self._kube.page(kind, namespace, rest=page.rest)

    def _house(self) -> House:
        settings = self._settings
        service = f"{settings.proxy_service}.{settings.namespace}.svc.{settings.cluster_domain}"
        return House(
            system_namespace=settings.namespace,
            proxy_host=service,
            cluster_domain=settings.cluster_domain,
            ca_certificate=self._certificates.ca_certificate,
        )

    def _server_leaves(self) -> Sequence[LeafWanted]:
        """None of them while not all namespaces are known yet."""
        if not self.leading.is_complete.is_set():
            return ()
        service = f"{self._settings.proxy_service}.{self._settings.namespace}"
        return server_leaves(
            self._settings.domains,
            self.cache.namespaces(),
            service,
            self._settings.cluster_domain,
        )


def _pod_settings(settings: Settings) -> PodSettings:
    return PodSettings(
        image=settings.compute_image,
        namespace=settings.namespace,
        instance=settings.instance,
        service_account=settings.compute_service_account,
        image_pull_policy=settings.image_pull_policy,
        log_level=settings.compute_log_level,
    )


@contextlib.asynccontextmanager
async def leading(
    settings: Settings, kube: Kube, login: Login, ended: Callable[[], None]
) -> AsyncIterator[Operator]:
    """For as long as the block lasts; ``ended`` is told where kopf ends before."""
    loop = asyncio.get_running_loop()
    components = Components(settings.tls_folder, settings.autoscaler)
    operator = Operator(settings, kube, components, components)
    report, watched = operator.leading.report, settings.watched
    operator.leading.start(watches(kube, operator.cache, settings.namespace, watched, report))
    registry = registry_for(OnLoop(operator.leading, loop), login)
    thread = KopfThread(registry, settings.namespace, lambda: _told(loop, ended))
    thread.start()
    try:
        yield operator
    finally:
        # Before kopf, which may take a while: what is done from now on may be another's to do.
        await operator.leading.close()
        await thread.close()


async def run(settings: Settings, connect: Callable[[], ApiServer], login: Login) -> int:
    """0: told to end. 1: another one leads, or kopf has ended: to be started anew."""
    kube, kube_of_lease = connect(), connect()  # No question is to stand before the Lease's.
    told, broken = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    election = Election(
        kube_of_lease, SystemClock(), settings.identity, settings.namespace, settings.lease, Terms()
    )
    metrics = Metrics("operator")
    tell_leader(metrics, election.leads)
    health = Health(lambda: "", metrics.told)
    await health.listen(settings.health)
    candidate = asyncio.create_task(election.run())
    try:
        if not await first_of(election.won, told):
            async with leading(settings, kube, login, broken.set) as operator:
                tell_metrics(metrics, operator)
                await first_of(told, election.lost, broken)
        return 0 if told.is_set() else 1
    finally:
        candidate.cancel()
        await asyncio.gather(candidate, return_exceptions=True)
        await election.release()
        await health.close()
        await kube.close()
        await kube_of_lease.close()


def tell_leader(metrics: Metrics, leads: Callable[[], bool]) -> None:
    metrics.gauge(
        "torpor_leader",
        "1 in the one that leads",
        lambda: {"operator": leads()},
        label="component",
    )


def tell_metrics(metrics: Metrics, operator: Operator) -> None:
    """From now on those of the one that leads are among them."""
    leading = operator.leading
    told = OperatorMetrics(metrics, operator.cache, lambda: len(leading.queue))
    leading.after_look = told.looked


def _told(loop: asyncio.AbstractEventLoop, ended: Callable[[], None]) -> None:
    """From another thread; that nobody listens any more does not matter."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(ended)


def _connect(login: ApiLogin) -> ApiServer:
    return ApiServer(login, manager=names.OPERATOR_MANAGER)


def main(argv: Sequence[str]) -> int:
    settings = settings_of.from_arguments(argv)
    log_to_stderr("operator", os.environ)
    if settings.kubeconfig is not None:
        os.environ["KUBECONFIG"] = str(settings.kubeconfig)
    login = chosen(settings.kubeconfig)
    try:
        return asyncio.run(run(settings, lambda: _connect(login), kopf_login))
    except Failure as failure:
        # Whoever started the process starts it again; the log says what it waits for.
        fields = {"kind": failure.kind, "reason": failure.message, "hint": failure.hint}
        log.error("not_started", extra=fields)
        return 1
