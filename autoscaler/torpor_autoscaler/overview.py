"""The whole fleet, for whoever looks at it: nobody is asked, and no database hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from torpor_api import messages as m
from torpor_api.failures import Refused
from torpor_api.messages.fleet import FLEET_PAGE_MAX
from torpor_api.transition import Transition
from torpor_autoscaler.executor import Executor
from torpor_autoscaler.fleet import Fleet
from torpor_autoscaler.lifecycle import outcomes, recorded, rows
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.recorded import Recorded
from torpor_autoscaler.lifecycle.times import timestamp
from torpor_autoscaler.lifecycle.world import World
from torpor_autoscaler.transitions import Transitions

SLICE_MAX = 100
"""Databases that are looked at without a pause: clients wait for wakes meanwhile."""


class Overview:
    """Rows of what is there, and how the latest transitions went."""

    def __init__(self, world: World, executor: Executor, fleet: Fleet) -> None:
        self._world = world
        self._executor = executor
        self._fleet = fleet
        executor.tick()
        self._transitions = Transitions(world.wall_s)
        self.hearers: list[Callable[[Transition], None]] = []
        """Told of each transition that has come to its end, once it is kept."""
        self.changed: Callable[[str], None] = lambda _: None
        """Told of each database whose row may be another one now, or that is gone."""
        self.link: Callable[[], m.DashboardLink] = _no_dashboard
        executor.went = self._went
        executor.overwritten = self._transitions.overwritten
        fleet.gone = self._gone

    def fleet(self, asked: m.AskFleet) -> m.FleetPage:
        self._executor.tick()
        if asked.names:
            named = (self._fleet.find(name) for name in asked.names[:FLEET_PAGE_MAX])
            entries, has_more = [entry for entry in named if entry is not None], False
        else:
            entries, has_more = self._fleet.page(asked.after, asked.limit)
        found = tuple(self._row(entry.database) for entry in entries)
        return m.FleetPage(databases=found, has_more=has_more, at=timestamp(self._world.wall_s))

    def names(self, asked: m.AskNames) -> m.Names:
        found, has_more = self._fleet.names(asked.prefix, asked.limit)
        return m.Names(names=found, has_more=has_more)

    def computes(self) -> m.Computes:
        return rows.of_computes(self._world, self._fleet.databases())

    async def transitions(self, asked: m.AskTransitions) -> m.TransitionList:
        """Raises NotFound."""
        if asked.database:
            databases = [self._fleet.entry(asked.database).database]
        else:
            databases = list(self._fleet.databases().values())
        self._executor.tick()
        told = list[Recorded]()
        for number, database in enumerate(databases):
            if number % SLICE_MAX == SLICE_MAX - 1:
                await asyncio.sleep(0)
            told += self._recorded(database)
        unfinished = [wake for wake in map(outcomes.so_far, databases) if wake is not None]
        found = self._transitions.find(asked, self._world.wall_s, told, unfinished)
        return m.TransitionList(transitions=found, since=timestamp(self._transitions.since_s))

    def dashboard(self) -> m.DashboardLink:
        """Raises Refused where none is served."""
        return self.link()

    def _went(self, told: Transition) -> None:
        self._transitions.add(told)
        for hear in self.hearers:
            hear(told)
        self.changed(told.database)

    def _gone(self, name: str) -> None:
        self._transitions.gone(name)
        self.changed(name)

    def _row(self, database: Database) -> m.DatabaseRow:
        wall_s = self._world.wall_s
        wakes = self._transitions.wakes(database.name, wall_s, self._recorded_wake(database))
        since = "" if wakes.known_since_s is None else timestamp(wakes.known_since_s)
        row = rows.of_database(database, self._world.now, wakes.count, wakes.slowest_ms)
        return row.model_copy(update={"wakes_known_since": since}) if since else row

    def _recorded(self, database: Database) -> Iterator[Recorded]:
        wake = self._recorded_wake(database)
        if wake is not None:
            yield wake
        wall_s = self._world.wall_s
        move = recorded.switchover(database.name, database.last_switchover, wall_s)
        if move is not None:
            yield move

    def _recorded_wake(self, database: Database) -> Recorded | None:
        """One that goes on still tells of itself so far, and its record when it has ended."""
        if database.open_resume is not None:
            return None
        return recorded.wake(database.name, database.last_resume, self._world.wall_s)


def _no_dashboard() -> m.DashboardLink:
    raise Refused(
        "no dashboard is served here",
        "`torpor up` serves one unless it is told --no-dashboard; on a cluster the chart's "
        "dashboard.enabled says so",
    )
