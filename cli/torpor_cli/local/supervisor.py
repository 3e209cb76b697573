"""`torpor up` from its first check to the end of its last process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import pwd
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from torpor_api.failures import Failure, Refused, StartFailed
from torpor_api.logs import USUAL, LogSettings, log_to
from torpor_api.messages import AgentChanged, AskDashboard, AwaitKnown
from torpor_api.prices import WAITING_PRICE
from torpor_api.resource import ServerlessDatabase
from torpor_channel.client import dialled
from torpor_channel.server import Server
from torpor_cli.files import document_of
from torpor_cli.local import dashboard, postgres_binaries, rules, state_folder, tls
from torpor_cli.local.agents import Agents
from torpor_cli.local.cluster import Cluster
from torpor_cli.local.cluster_server import Watchers, cluster_handlers
from torpor_cli.local.console import provide_roles
from torpor_cli.local.keeper import Keeper
from torpor_cli.local.limits import SWITCHED_OFF, Limits, Unlimited, limits_of
from torpor_cli.local.log_files import keep_bounded, last_lines, open_log
from torpor_cli.local.nursery import Nursery
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.processes import Children
from torpor_cli.local.secrets import Secrets
from torpor_cli.local.shutdown import stop_databases
from torpor_cli.local.sockets import Address, free_address, is_listening
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.local.storage import Storage
from torpor_cli.local.store import Store
from torpor_cli.local.welcome import Ready

log = logging.getLogger(__name__)

DOMAIN = "localhost"
"""``NAME.localhost`` is a database's host name, for routing by SNI."""

TOLD = ("proxy", "autoscaler")
"""Components that Prometheus is told of, in the order of their ports. Agents come and go."""

READY_SECONDS_MAX = 120.0
"""For proxy, autoscaler and one agent to listen: about a second on an idle machine, and more than a
minute on one that is starved. What will never be ready ends before, and is told at once."""

FAILED_STARTS_MAX = 3
"""A component that ends this often before all are ready will not get better."""

KNOWN_SECONDS_MAX = 20.0
"""For the proxy to know what was applied; some milliseconds."""

PROXY_DRAIN_SECONDS_MAX = 15.0
AUTOSCALER_STOP_SECONDS_MAX = 5.0

_PORT_RETRY_SECONDS = 1.0
"""The proxy of a killed `torpor up` needs a moment to be gone."""

_POLL_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says."""

    folder: StateFolder
    listen: Address
    warm: int
    resources: tuple[ServerlessDatabase, ...] = ()
    """Of every ``-f``; with the passwords that they give."""
    warm_max: int | None = None
    """How many agents wait at most; None: ``warm`` at all times."""
    waiting_price: float = WAITING_PRICE
    """CU-seconds that a second of a client's waiting is worth."""
    limits: bool = True
    """Whether computes get no more CPU and memory than their size, where that may be."""
    metrics_port: int | None = None
    """Where the first of :data:`TOLD` answers Prometheus, on this machine only; the others
    follow."""
    parks_every_safe_point: bool = False
    """For those who doubt that parking shows: it happens as often as it can."""
    restart_every: int = 0
    """Then also a switchover of the database after so many parks; 0: none."""
    log: LogSettings = USUAL
    """Of its own; those that it starts read the same variables."""
    dashboard: Address | None = None
    """Where the dashboard is served; None: nowhere."""

    @property
    def warm_options(self) -> tuple[str, ...]:
        """The autoscaler's part of the command line."""
        return () if self.warm_max is None else ("--warm-max", str(self.warm_max))

    def metrics_address(self, component: str) -> Address | None:
        """Where it answers Prometheus."""
        if self.metrics_port is None:
            return None
        return Address("127.0.0.1", self.metrics_port + TOLD.index(component))

    @property
    def metrics_urls(self) -> Mapping[str, str]:
        """By component."""
        addresses = {component: self.metrics_address(component) for component in TOLD}
        return {name: f"http://{address}/metrics" for name, address in addresses.items() if address}

    def health_options(self, component: str) -> tuple[str, ...]:
        """Its part of the command line."""
        address = self.metrics_address(component)
        return () if address is None else ("--health", str(address))

    @property
    def chaos_options(self) -> tuple[str, ...]:
        """The proxy's part of the command line."""
        park = ("--park-every-safe-point",) if self.parks_every_safe_point else ()
        restart = ("--restart-every", str(self.restart_every)) if self.restart_every else ()
        return park + restart


class Supervisor:
    """Starts everything in order, waits, ends everything in the opposite order."""

    def __init__(self, settings: Settings, say: Callable[[str], None]) -> None:
        self._settings = settings
        self._folder = settings.folder
        self._say = say
        self._keepers: list[Keeper] = []
        self._dashboard: Address | None = None
        self._resource_watchers = Watchers()
        self._agent_watchers = Watchers()

    async def run(self, announce: Callable[[Ready], None]) -> None:
        """Until SIGINT, SIGTERM or SIGHUP (not under nohup); ``announce`` is called once ready."""
        for resource in self._settings.resources:
            rules.refuse_other_versions(resource, postgres_binaries.installed().major)
        asked_to_end = self._listen_to_signals()
        lock = self._take_state_folder()
        listen = await self._free_address(self._settings.listen)
        for component in TOLD:
            address = self._settings.metrics_address(component)
            if address is not None:
                await self._free_address(address, "choose another with --metrics PORT")
        self._dashboard = dashboard.free(self._settings.dashboard)
        async with contextlib.AsyncExitStack() as ending:
            ending.push_async_callback(_end, asyncio.create_task(keep_bounded(self._folder.logs)))
            starting = asyncio.create_task(self._start(listen, ending))
            await _first_of(starting, asked_to_end)
            if not starting.cancelled():
                resources = starting.result()
                state_folder.note_in_lock(lock, str(listen.for_clients))
                announce(Ready(listen.for_clients, resources, await self._link()))
                await asked_to_end.wait()

    async def _link(self) -> str:
        """Where the dashboard opens; empty where there is none."""
        if self._dashboard is None:
            return ""
        try:
            async with dialled(self._folder.autoscaler_socket) as autoscaler:
                told = await autoscaler.ask(AskDashboard(), timeout_s=KNOWN_SECONDS_MAX)
        except Failure as failure:
            self._say(f"no dashboard: {failure.message}")
            return ""
        return dashboard.address(told.host, told.port, told.link)

    def _listen_to_signals(self) -> asyncio.Event:
        asked = asyncio.Event()

        def interrupted() -> None:
            if asked.is_set():
                self._say("ending at once")
                os._exit(1)  # The kernel kills every child with us; see processes.py.
            asked.set()

        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # As `nohup` leaves it.
            numbers.append(signal.SIGHUP)
        for number in numbers:
            asyncio.get_running_loop().add_signal_handler(number, interrupted)
        return asked

    def _take_state_folder(self) -> int:
        state_folder.prepare(self._folder)
        lock = state_folder.take_lock(self._folder)
        state_folder.prepare_run(self._folder)
        _log_to(self._folder.logs / "up.log", self._settings.log)
        return lock

    async def _free_address(self, wanted: Address, advice: str = "") -> Address:
        deadline = asyncio.get_running_loop().time() + _PORT_RETRY_SECONDS
        while True:
            try:
                return free_address(wanted, advice)
            except Refused:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(_POLL_SECONDS)

    async def _start(
        self, listen: Address, ending: contextlib.AsyncExitStack
    ) -> tuple[ServerlessDatabase, ...]:
        """Whatever is started puts its own end on ``ending``, which runs in the opposite order."""
        ending.callback(state_folder.remove_run, self._folder)
        limits = limits_of(self._folder) if self._settings.limits else Unlimited(SWITCHED_OFF)
        ending.callback(limits.close)
        children = Children()
        ending.push_async_callback(children.kill_all)
        binaries = postgres_binaries.reachable(self._folder.postgres)
        storage = Storage(self._folder.templates, self._folder.databases, binaries)
        if not storage.has_template:
            self._say("making the template of all databases (once)")
            await storage.make_template(children, self._folder.logs / "initdb.log")
        store = Store(self._folder.catalog)
        ending.callback(store.close)
        secrets = Secrets(self._folder.secrets)
        provide_roles(secrets, self._folder.console_roles)
        cluster = Cluster(
            store,
            storage,
            secrets,
            postgres_version=binaries.major,
            state_folder=str(self._folder.root),
            tell=self._resource_watchers.tell,
        )
        nursery = Nursery(children, self._folder.logs / "agents.log")
        ending.push_async_callback(nursery.close)
        agents = self._agents_of(cluster, children, nursery, binaries, limits)
        await self._serve(cluster, agents, ending)
        self._say(f"starting the proxy, the autoscaler and {self._settings.warm} warm agents")
        ending.push_async_callback(self._stop_agents, cluster, agents)
        agents.set_size(self._settings.warm)
        self._start_components(listen, children, ending)
        applied = list[ServerlessDatabase]()
        for resource in self._settings.resources:
            self._say(f"applying {resource.name}")
            applied.append(await cluster.apply(document_of(resource)))
        await self._ready(listen, agents)
        await self._known(applied)
        return cluster.list()

    def _agents_of(
        self,
        cluster: Cluster,
        children: Children,
        nursery: Nursery,
        binaries: PostgresBinaries,
        limits: Limits,
    ) -> Agents:
        agents = Agents(
            children,
            nursery,
            self._folder,
            binaries,
            limits,
            proxy_user=pwd.getpwuid(os.geteuid()).pw_name,
            claimed=cluster.claimed,
            tell=lambda info: self._agent_watchers.tell(AgentChanged(agent=info)),
        )
        cluster.agents = agents
        return agents

    async def _serve(
        self, cluster: Cluster, agents: Agents, ending: contextlib.AsyncExitStack
    ) -> None:
        server = Server(
            cluster_handlers(cluster, agents, self._resource_watchers, self._agent_watchers)
        )
        await server.listen(self._folder.cluster_socket)
        ending.push_async_callback(server.close)

    def _start_components(
        self, listen: Address, children: Children, ending: contextlib.AsyncExitStack
    ) -> None:
        autoscaler = self._keep(
            children,
            "autoscaler",
            *("--cluster", str(self._folder.cluster_socket)),
            *("--listen", str(self._folder.autoscaler_socket)),
            *("--warm", str(self._settings.warm)),
            *self._settings.warm_options,
            *("--waiting-price", f"{self._settings.waiting_price:g}"),
            *("--advertise", str(listen.for_clients)),
            *self._settings.health_options("autoscaler"),
            *dashboard.options(self._dashboard, self._folder),
        )
        ending.push_async_callback(autoscaler.stop, grace_s=AUTOSCALER_STOP_SECONDS_MAX)
        if self._settings.parks_every_safe_point:
            self._say("chaos mode: every session is parked whenever it can be")
        certificates = tls.ensure(self._folder.tls, listen.host, datetime.now(UTC))
        proxy = self._keep(
            children,
            "proxy",
            *("--autoscaler", str(self._folder.autoscaler_socket)),
            *("--listen", str(listen)),
            *("--tls-cert", str(certificates.certificate)),
            *("--tls-key", str(certificates.key)),
            *("--domain", DOMAIN),
            *("--console", str(self._folder.console_roles)),
            *self._settings.health_options("proxy"),
            *self._settings.chaos_options,
        )
        ending.push_async_callback(proxy.stop, grace_s=PROXY_DRAIN_SECONDS_MAX)
        ending.callback(self._say, "closing the proxy: transactions in flight may finish")

    def _keep(self, children: Children, name: str, *options: str) -> Keeper:
        argv = [sys.executable, "-m", f"torpor_{name}", *options]
        keeper = Keeper(name, argv, self._folder.logs / f"{name}.log", children, self._say)
        self._keepers.append(keeper)
        keeper.start()
        return keeper

    async def _stop_agents(self, cluster: Cluster, agents: Agents) -> None:
        self._say("stopping databases and agents")
        for name in await stop_databases(cluster, agents):
            self._say(f"{name} did not stop cleanly and will recover at its next start")
        await agents.close()

    async def _ready(self, listen: Address, agents: Agents) -> None:
        deadline = asyncio.get_running_loop().time() + READY_SECONDS_MAX
        places: list[Path | Address] = [self._folder.autoscaler_socket, listen]
        while True:
            places = [place for place in places if not is_listening(place)]
            if not places and (agents.warm_count or not self._settings.warm):
                return
            self._refuse_failed_starts()
            if asyncio.get_running_loop().time() > deadline:
                missing = ", ".join(str(place) for place in places) or "an agent"
                raise StartFailed(
                    f"not ready after {READY_SECONDS_MAX:g} s: nobody listens: {missing}",
                    hint=f"see the logs in {self._folder.logs}",
                )
            await asyncio.sleep(_POLL_SECONDS)

    async def _known(self, applied: Sequence[ServerlessDatabase]) -> None:
        """Whoever reads that it is ready may connect at once to what was applied."""
        for resource in applied:
            generation = resource.metadata.generation
            asked = AwaitKnown(name=resource.name, generation=generation)
            try:
                async with dialled(self._folder.autoscaler_socket) as autoscaler:
                    await autoscaler.ask(asked, timeout_s=KNOWN_SECONDS_MAX)
            except Failure as failure:
                log.warning(
                    "not_known_yet", extra={"database": resource.name, "reason": failure.message}
                )

    def _refuse_failed_starts(self) -> None:
        for keeper in self._keepers:
            if keeper.ends_unasked >= FAILED_STARTS_MAX:
                words = last_lines(keeper.log_file)
                raise StartFailed(f"the {keeper.name} does not start; its last words:\n{words}")


async def _first_of(
    task: asyncio.Task[tuple[ServerlessDatabase, ...]], event: asyncio.Event
) -> None:
    """Until the task or the event is done; a task that is too late is cancelled."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    waiting.cancel()


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _log_to(path: Path, settings: LogSettings) -> None:
    open_log(path).close()
    handler = logging.FileHandler(path, errors="backslashreplace")
    log_to(handler, "supervisor", settings)
