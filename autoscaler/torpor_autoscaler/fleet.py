"""All databases: facts from cluster and agents come in here and go to the one they concern."""

from __future__ import annotations

import asyncio
import logging
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Container, Iterable, Iterator
from math import inf

from torpor_api import messages as m
from torpor_api.facts import Activity, LoginFacts
from torpor_api.failures import NotFound
from torpor_api.phases import Phase
from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.executor import Entry, Executor
from torpor_autoscaler.lifecycle import endpoints, facts, letting_go, sizes
from torpor_autoscaler.lifecycle.awake import awaits_word
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.stock import PoolRecord
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.ports import AgentEvent, Agents, Proxies

log = logging.getLogger(__name__)


class Fleet:
    """Knows every database by name, who of them is awake, and which of them proxies know."""

    def __init__(self, world: World, executor: Executor, agents: Agents, proxies: Proxies) -> None:
        self._world = world
        self._executor = executor
        self._agents = agents
        self._proxies = proxies
        self._entries: dict[str, Entry] = {}
        self._names: list[str] = []
        """Of all entries, in order."""
        self._awake: dict[str, Entry] = {}
        self._unknown: set[str] = set()
        """Databases whose login facts have not been read yet."""
        self._awaiting: set[asyncio.Event] = set()
        """Of those who wait for a database to be told; each is set when any has taken a step."""
        self._unheard: tuple[str, ...] = ()
        """Namespaces of which the cluster tells nothing."""
        self.all_known = asyncio.Event()
        self.gone: Callable[[str], None] = lambda _: None
        """Told of each database that was deleted."""

    # --- what is there ---------------------------------------------------------------------

    def entry(self, name: str) -> Entry:
        """Raises NotFound."""
        entry = self._entries.get(name)
        if entry is None:
            raise NotFound(f"no database {name!r}", hint="`torpor list` shows those there are")
        return entry

    def find(self, name: str | None) -> Entry | None:
        return None if name is None else self._entries.get(name)

    def endpoints(self, after: str = "") -> m.Endpoints:
        """For a newcomer, those behind that name, a page of them: what the others know, and of
        closed gates that they are closed."""
        page = endpoints.page(self._told_behind(after))
        return page.model_copy(update={"unheard": self._unheard}) if self._unheard else page

    async def told(self, name: str, generation: int) -> None:
        """Until proxies were told of the database as it is at this generation."""
        step = asyncio.Event()
        self._awaiting.add(step)
        try:
            while not self._is_told(self.find(name), generation):
                step.clear()
                await step.wait()
        finally:
            self._awaiting.discard(step)

    def unknown(self) -> tuple[str, ...]:
        return tuple(sorted(self._unknown))

    def let_go(self, computes: Iterable[str]) -> tuple[str, ...]:
        """Those of which nobody will ask any more whether they have ended."""
        databases = (entry.database for entry in self._entries.values())
        return letting_go.let_go(computes, databases, self._world, self._executor.tick())

    def page(self, after: str, limit: int) -> tuple[list[Entry], bool]:
        """The databases behind that name, in order, and whether there are more."""
        begin = bisect_right(self._names, after)
        names = self._names[begin : begin + limit]
        return [self._entries[name] for name in names], begin + limit < len(self._names)

    def names(self, prefix: str, limit: int) -> tuple[tuple[str, ...], bool]:
        """The first that begin with it, in order, and whether there are more."""
        begin = bisect_left(self._names, prefix)
        near = self._names[begin : begin + limit + 1]
        found = tuple(name for name in near if name.startswith(prefix))
        return found[:limit], len(found) > limit

    def databases(self) -> dict[str, Database]:
        return {name: entry.database for name, entry in self._entries.items()}

    def awake(self) -> tuple[Entry, ...]:
        """Those that a compute serves."""
        return tuple(self._awake.values())

    def poke_awake(self) -> None:
        """Something has changed that any awake database may be waiting for."""
        for entry in self.awake():
            self._executor.poke(entry)

    def poke_heard(self, names: Container[str]) -> None:
        """A proxy has told of these; of all others, that nothing has happened."""
        for entry in self.awake():
            if entry.database.name in names or awaits_word(entry.database):
                self._executor.poke(entry)

    def poke_scheduled(self) -> None:
        """The clock on the wall was set: what was to begin or end later may be due."""
        self._executor.tick()
        for entry in list(self._entries.values()):
            if entry.database.schedules is not None:
                self._executor.poke(entry)

    # --- from the cluster ------------------------------------------------------------------

    def resources_listed(self, resources: Iterable[ServerlessDatabase]) -> None:
        listed = {resource.name: resource for resource in resources}
        for name in [name for name in self._entries if name not in listed]:
            self.resource_deleted(name)
        for resource in listed.values():
            # Before the first of them looks for a warm compute: those of others are not warm.
            self._spend(resource)
        for resource in listed.values():
            self.resource_changed(resource)
        self._see_if_all_known()

    def resource_changed(self, resource: ServerlessDatabase) -> None:
        entry = self._entries.get(resource.name)
        if entry is not None and entry.database.resource.metadata.uid != resource.metadata.uid:
            self.resource_deleted(resource.name)  # Deleted and made again while we did not look.
            entry = None
        if entry is None:
            self._add(resource)
            return
        self._spend(resource)
        self._executor.tick()
        facts.observe(entry.database, resource)
        self._executor.poke(entry)
        self._stir()

    def resource_deleted(self, name: str) -> None:
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        self._awake.pop(name, None)
        self._unknown.discard(name)
        del self._names[bisect_left(self._names, name)]
        self._world.pool.unbind(name)
        self._world.pool.stop_waiting(name)
        self._world.silences.ended(name)
        self._executor.end(entry, NotFound(f"database {name!r} was deleted"))
        self.gone(name)
        self._serve_waiting()
        self._proxies.tell(m.EndpointRemoved(name=name))
        self._see_if_all_known()

    def namespaces_unheard(self, namespaces: Collection[str]) -> None:
        self._unheard = tuple(sorted(namespaces))

    def pools_known(self, pools: Iterable[PoolRecord]) -> None:
        """Within seconds their sizes are looked at; what a life before ours has learned is ours."""
        stocks, known, now = self._world.stocks, list(pools), self._executor.tick()
        for name in stocks.known.keys() - {pool.name for pool in known}:
            stocks.gone(name)
        for pool in known:
            try:
                stocks.seen(pool, now)
            except ValueError as damage:
                fields = {"pool": pool.name, "reason": str(damage)}
                log.warning("learned_patterns_unreadable", extra=fields)

    def agents_listed(self, agents: Iterable[m.AgentInfo]) -> None:
        """One that is missing may be gone: its database asks the fencer."""
        listed = {agent.compute: agent for agent in agents}
        for compute in self._world.pool.computes():
            if compute not in listed:
                self._world.pool.forget(compute)
                self.agent_unheard(compute)
        for agent in listed.values():
            self.agent_changed(agent)

    def agent_changed(self, agent: m.AgentInfo) -> None:
        pool = self._world.pool
        user, before = self.find(pool.database_of(agent.compute)), pool.find(agent.compute)
        pool.learn(agent)
        now = self._executor.tick()
        self._world.stocks.heard(pool, before, agent, now, self._world.wall_s)
        if agent.is_leaving and not agent.is_gone:
            self._agent_leaves(agent.compute, inf)
        elif not agent.is_gone:
            self._agents.expect(agent)
            self._serve_waiting()
            if user is not None:
                self._executor.poke(user)  # Its compute may have another size.
        else:
            self._agents.forget(agent.compute)
            if user is not None:
                if agent.ran_out_of_memory and before is not None:  # It is told again.
                    sizes.ran_out_of_memory(user.database, before.size)
                facts.agent_gone(user.database, agent.compute, now)
                self._executor.poke(user)

    # --- from agents -----------------------------------------------------------------------

    def agent_unheard(self, compute: str) -> None:
        entry = self.find(self._world.pool.database_of(compute))
        if entry is not None:
            self._executor.tick()
            facts.agent_unheard(entry.database, compute)
            self._executor.poke(entry)

    def agent_told(self, event: AgentEvent) -> None:
        now = self._executor.tick()
        if isinstance(event, m.AgentLeaving):
            self._agent_leaves(event.compute, now + event.leaves_in_s)
            return
        entry = self.find(event.database)
        if entry is None:
            return
        facts.heard(entry.database, event.epoch, now)
        match event:
            case m.ComputeSample():
                decided = entry.database.decisions.current
                is_other_size = sizes.sampled(entry.database, event, now)
                if not is_other_size and entry.database.decisions.current == decided:
                    return  # Of one that is as large as it shall be the plan need not hear it.
            case m.PostgresLost():
                facts.postgres_lost(entry.database, event, now)
            case m.PostgresBack():
                facts.postgres_back(entry.database, event)
            case m.LoginFactsChanged():
                facts.facts_changed(entry.database, event.epoch, event.facts)
        self._executor.poke(entry)

    def unsampled(self, entry: Entry) -> bool:
        """Whether its agent is to be asked for samples; it had time to tell one."""
        now = self._executor.tick()
        if not sizes.is_to_be_watched(entry.database, now):
            return False
        if sizes.choose(entry.database, now):
            self._executor.poke(entry)
        return True

    def _agent_leaves(self, compute: str, until: float) -> None:
        """Nobody gets it any more, and whom it serves moves elsewhere."""
        is_news = self._world.pool.leaves(compute, until)
        entry = self.find(self._world.pool.database_of(compute))
        if entry is not None:
            facts.agent_leaves(entry.database, compute, is_news=is_news)
            self._executor.poke(entry)
        self._serve_waiting()

    def looked_inside(self, entry: Entry, epoch: int, activity: Activity) -> None:
        now = self._executor.tick()
        facts.heard(entry.database, epoch, now)
        is_news = facts.looked_inside(entry.database, epoch, activity, now)
        if is_news or entry.database.doubt is not None:
            self._executor.poke(entry)

    def _serve_waiting(self) -> None:
        """A compute may have become free."""
        for name in self._world.pool.waiting:
            self._executor.poke(self._entries[name])

    # --- inside ----------------------------------------------------------------------------

    def _add(self, resource: ServerlessDatabase) -> None:
        entry = Entry(Database(resource, LoginFacts(), self._world))
        self._entries[resource.name] = entry
        insort(self._names, resource.name)
        self._unknown.add(resource.name)
        self._spend(resource)
        status = resource.status
        if status.compute is not None and status.phase is not Phase.SUSPENDED:
            self._world.pool.bind(resource.name, status.compute)
        self._executor.begin(entry)

    def _spend(self, resource: ServerlessDatabase) -> None:
        if resource.status.compute is not None:
            self._world.pool.spend(resource.status.compute, resource.name)

    def stepped(self, entry: Entry) -> None:
        """A database has taken a step: what is kept here of it may have changed."""
        name = entry.database.name
        if entry.database.run is None:
            self._awake.pop(name, None)
        else:
            self._awake[name] = entry
        if entry.told is not None and name in self._unknown:
            self._unknown.discard(name)
            self._see_if_all_known()
        if self._world.pool.collect_returned():
            self._serve_waiting()
        self._stir()

    def _told_behind(self, after: str) -> Iterator[tuple[str, m.EndpointInfo | None]]:
        for index in range(bisect_right(self._names, after), len(self._names)):
            entry = self._entries[self._names[index]]
            if entry.told is not None and entry.database.is_gate_closed:
                entry.told = endpoints.info(entry.database)
            yield entry.database.name, entry.told

    def _is_told(self, entry: Entry | None, generation: int) -> bool:
        return entry is not None and endpoints.is_up_to_date(entry.database, entry.told, generation)

    def _stir(self) -> None:
        for step in self._awaiting:
            step.set()

    def _see_if_all_known(self) -> None:
        if not self._unknown:
            self.all_known.set()
