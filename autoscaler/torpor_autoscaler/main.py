"""Wires adapters to the core, and runs until it is told to end or somebody else leads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import resource
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from torpor_api import messages as m
from torpor_api.failures import Failure, Refused
from torpor_api.logs import log_to_stderr
from torpor_autoscaler import settings as settings_of
from torpor_autoscaler.adapters.agents import ChannelAgents
from torpor_autoscaler.adapters.cluster import ChannelCluster
from torpor_autoscaler.adapters.leading import AgentsWhileLeading, Leads, ProxiesWhileLeading
from torpor_autoscaler.adapters.listener import Listener
from torpor_autoscaler.adapters.opentelemetry import traces
from torpor_autoscaler.adapters.proxies import ChannelProxies
from torpor_autoscaler.desk import Desk
from torpor_autoscaler.executor import Entry, Executor
from torpor_autoscaler.fleet import Fleet
from torpor_autoscaler.lifecycle.limits import Limits
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.looks import Looks
from torpor_autoscaler.overview import Overview
from torpor_autoscaler.pool_word import PoolWord
from torpor_autoscaler.ports import Agents, Clock, Cluster, Proxies, TellPeople
from torpor_autoscaler.settings import OfDashboard, OnKubernetes, Settings
from torpor_autoscaler.wall_clock import WallClock
from torpor_channel.health import answering
from torpor_channel.tls import Identity, are_there, files_of
from torpor_kube.election import first_of

if TYPE_CHECKING:
    from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
    from torpor_channel.metrics import Metrics

log = logging.getLogger(__name__)


class SystemClock:
    """Not the event loop's: that of uvloop knows whole milliseconds only."""

    def now(self) -> float:
        return time.monotonic()

    def wall_s(self) -> float:
        return time.time()


class Autoscaler:
    """Everything but the adapters."""

    def __init__(
        self,
        settings: Settings,
        cluster: Cluster,
        agents: Agents,
        proxies: Proxies,
        clock: Clock,
        limits: Limits | None = None,
        tell: TellPeople | None = None,
    ) -> None:
        """``tell``: None where people look at the log."""
        self.world = World(
            replace(limits or Limits(), waiting_price=settings.waiting_price),
            warm=settings.warm,
            warm_max=settings.warm_max,
            endpoint=settings.endpoint,
            now=clock.now(),
            tells_of_rest=isinstance(settings.cluster, OnKubernetes),
            pool=settings.cluster.pool if isinstance(settings.cluster, OnKubernetes) else "",
        )
        self._executor = Executor(self.world, cluster, agents, proxies, clock)
        self.fleet = Fleet(self.world, self._executor, agents, proxies)
        self.desk = Desk(
            self.world,
            self._executor,
            self.fleet,
            proxies,
            wake_deadline_s=settings.wake_deadline_s,
            suspend_deadline_s=settings.suspend_deadline_s,
        )
        self.overview = Overview(self.world, self._executor, self.fleet)
        self._word = PoolWord(self.world, cluster, self._executor.tick)
        self._looks = Looks(self.fleet, agents, self.world.limits.activity_every_s)
        self._wall_clock = WallClock(clock, self.fleet.poke_scheduled)
        self._executor.after_step = self._stepped
        self._executor.tell = tell or self._executor.tell

    def _stepped(self, entry: Entry) -> None:
        self.fleet.stepped(entry)
        self._word.stepped()
        self.overview.changed(entry.database.name)

    def begin(self) -> None:
        """The cluster is there: say how many agents shall wait, and look into what is awake."""
        self._word.begin()
        self._looks.start()
        self._wall_clock.start()

    async def close(self) -> None:
        await self._wall_clock.close()
        await self._looks.close()
        await self._word.close()
        await self._executor.close()


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, limits: Limits | None = None, leads: Leads = lambda: True
) -> AsyncIterator[Autoscaler]:
    """Listens last: whoever can ask finds databases that are known."""
    async with contextlib.AsyncExitStack() as ending:
        clock = SystemClock()
        cluster, tell = await ending.enter_async_context(_reached(settings, clock, leads))
        identity = None if settings.tls is None else Identity(settings.tls)
        agents, proxies = ChannelAgents(identity), ChannelProxies()
        ending.push_async_callback(agents.close)
        autoscaler = Autoscaler(
            settings,
            cluster,
            AgentsWhileLeading(agents, leads),
            ProxiesWhileLeading(proxies, leads),
            clock,
            limits,
            tell,
        )
        ending.push_async_callback(autoscaler.close)
        if (sent := traces()) is not None:
            autoscaler.overview.hearers.append(sent.went)
            ending.push_async_callback(sent.close)
        agents.start(autoscaler.fleet)
        await cluster.start(autoscaler.fleet)
        autoscaler.begin()
        listener = Listener(
            autoscaler.desk, autoscaler.desk, autoscaler.overview, proxies, identity
        )
        await listener.listen(settings.listen)
        ending.push_async_callback(listener.close)
        if settings.dashboard is not None:
            await ending.enter_async_context(_dashboard(settings.dashboard, autoscaler))
        yield autoscaler


@contextlib.asynccontextmanager
async def _reached(
    settings: Settings, clock: Clock, leads: Leads
) -> AsyncIterator[tuple[ChannelCluster | KubernetesCluster, TellPeople | None]]:
    if isinstance(settings.cluster, OnKubernetes):
        # Here, because it brings 40 MB of client that nobody needs on one machine.
        from torpor_autoscaler.adapters.kubernetes import connection

        async with connection.to(settings.cluster, clock, leads) as (cluster, events):
            yield cluster, events.tell
    else:
        local = ChannelCluster(settings.cluster)
        try:
            yield local, None
        finally:
            await local.close()


@contextlib.asynccontextmanager
async def _dashboard(wanted: OfDashboard, autoscaler: Autoscaler) -> AsyncIterator[None]:
    """Whatever hinders it hinders no database."""
    async with contextlib.AsyncExitStack() as ending:
        try:
            # Here, because it brings 20 MB of a web server that nobody else needs.
            from torpor_autoscaler.dashboard.serving import serving as serving_dashboard

            served = serving_dashboard(wanted, autoscaler.desk, autoscaler.overview)
            await ending.enter_async_context(served)
        except (ImportError, OSError) as hindrance:
            reason = str(hindrance)
            log.warning("dashboard_not_served", extra={"reason": reason})
            autoscaler.overview.link = _refusing(f"the dashboard can't be served: {reason}")
        yield


def _refusing(words: str) -> Callable[[], m.DashboardLink]:
    def link() -> m.DashboardLink:
        raise Refused(words)

    return link


async def run(settings: Settings, told: asyncio.Event) -> int:
    """Until it is told to end (0), or until another one leads (1): then to be started anew.

    Databases that are awake stay so.
    """
    waiting_for = ["its certificate"]
    metrics = _metrics(settings)
    ask = None if metrics is None else metrics.told
    async with answering(settings.health, lambda: " and ".join(waiting_for), ask):
        if settings.tls and not await are_there(files_of(settings.tls), told):
            return 0
        if isinstance(settings.cluster, OnKubernetes) and settings.cluster.lease:
            await _in_turn(settings, settings.cluster, metrics, waiting_for, told)
        else:
            waiting_for[:] = ["the cluster's databases"]
            async with serving(settings) as autoscaler:
                tell_metrics(metrics, autoscaler)
                tell_leader(metrics, lambda: True)  # On one machine there is no other.
                waiting_for.clear()
                await told.wait()
    return 0 if told.is_set() else 1


async def _until_signalled(settings: Settings) -> int:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return await run(settings, told)


async def _in_turn(
    settings: Settings,
    place: OnKubernetes,
    metrics: Metrics | None,
    waiting_for: list[str],
    told: asyncio.Event,
) -> None:
    """Stands by, and decides once it leads.

    A standby is ready when somebody leads; it stays so when its turn comes, so that no probe of a
    kubelet stands between it and whoever wants to ask it.
    """
    from torpor_autoscaler.adapters.kubernetes.leadership import LIMITS, standing

    async with standing(place, SystemClock()) as leadership:
        election = leadership.election
        tell_leader(metrics, election.leads)
        waiting_for[:] = ["a leader"]
        await first_of(told, election.is_held)
        if not election.won.is_set():
            waiting_for.clear()
        await first_of(told, election.won)
        if told.is_set():
            return
        async with serving(settings, LIMITS, election.leads) as autoscaler:
            tell_metrics(metrics, autoscaler)
            found = asyncio.create_task(leadership.be_found())
            found.add_done_callback(lambda _: waiting_for.clear())
            await first_of(told, election.lost)
            found.cancel()
            await asyncio.gather(found, return_exceptions=True)


def _metrics(settings: Settings) -> Metrics | None:
    """Where somebody may ask for them: nobody else needs their library."""
    if settings.health is None:
        return None
    from torpor_channel.metrics import Metrics

    return Metrics("autoscaler")


def tell_leader(metrics: Metrics | None, leads: Leads) -> None:
    if metrics is not None:
        metrics.gauge(
            "torpor_leader",
            "1 in the one that leads",
            lambda: {"autoscaler": leads()},
            label="component",
        )


def tell_metrics(metrics: Metrics | None, autoscaler: Autoscaler) -> None:
    """From now on the autoscaler's are among them."""
    if metrics is None:
        return
    from torpor_autoscaler.adapters.metrics import AutoscalerMetrics

    told = AutoscalerMetrics(metrics, autoscaler.fleet.databases, autoscaler.world)
    autoscaler.desk.after_resume = told.resumed
    autoscaler.overview.hearers.append(told.went)


def main(argv: Sequence[str]) -> int:
    settings = settings_of.from_arguments(argv)
    log_to_stderr("autoscaler", os.environ)
    raise_open_files_limit()
    try:
        with asyncio.Runner(loop_factory=loop_factory(os.environ)) as runner:
            return runner.run(_until_signalled(settings))
    except Failure as failure:
        # Whoever started the process starts it again; the log says what it waits for.
        fields = {"kind": failure.kind, "reason": failure.message, "hint": failure.hint}
        log.error("not_started", extra=fields)
        return 1


def loop_factory(environment: Mapping[str, str]) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop where it is installed, unless TORPOR_LOOP=asyncio says otherwise."""
    if environment.get("TORPOR_LOOP", "uvloop") != "uvloop":
        return None
    try:
        import uvloop
    except ImportError:
        log.info("uvloop_missing")
        return None
    return uvloop.new_event_loop


def raise_open_files_limit() -> None:
    """Each agent is an open file: without one a sound compute could not be asked how it is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
