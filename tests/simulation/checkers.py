"""What must hold at every moment, whatever goes wrong, and what must come true once it stops."""

from __future__ import annotations

from simulation.clients import Ledger
from simulation.town import WAKE_DEADLINE_S, Town
from torpor_api.phases import Phase, may_follow
from torpor_api.resource import DatabaseStatus

ROUNDING_S = 0.001


class Broken(AssertionError):
    """An invariant does not hold."""


class Checkers:
    """Called after every moment in which something happened."""

    def __init__(self, town: Town, ledger: Ledger) -> None:
        self._town = town
        self._ledger = ledger
        self._statuses_seen = 0
        self._last: dict[str, DatabaseStatus] = {}
        self._acknowledged_seen: dict[str, int] = {}
        self.failure: Broken | None = None

    def check(self) -> None:
        """The first violation is kept: an exception in the loop's own code would be lost."""
        if self.failure is None:
            try:
                self._check()
            except Broken as broken:
                self.failure = broken

    def _check(self) -> None:
        self._one_writer()
        self._computes_serve_once()
        self._statuses_are_legal()
        self._commits_are_there()
        self._facts_are_exact()
        if self._town.stops_behind_open_gates:
            raise Broken("a Postgres was asked to stop while a gate to it was open")
        self._nobody_misses_a_notification()
        if self._town.ended_for_nothing:
            raise Broken(f"nothing spoke against {self._town.ended_for_nothing[0]}: it was ended")
        for agent in self._town.cluster.agents.values():
            if agent.shrunk_unseen:
                raise Broken(f"{agent.compute} was made smaller {agent.shrunk_unseen}")
        if self._town.longest_wake_s > WAKE_DEADLINE_S + ROUNDING_S:
            raise Broken(f"a wake waited for {self._town.longest_wake_s:.1f} s")

    def _nobody_misses_a_notification(self) -> None:
        """Where a session of another proxy might have notified before anybody listened."""
        for proxy in self._town.proxies.values():
            for name, gate in proxy.gates.items():
                if gate.misses:
                    raise Broken(f"sessions of {name} in {proxy.name} listened too late")

    def _facts_are_exact(self) -> None:
        """Where proxies judge logins of a database without a compute, nobody had changed them."""
        if self._town.life.ended.is_set():
            return
        for name, resource in self._town.cluster.resources.items():
            entry = self._town.life.autoscaler.fleet.find(name)
            truth = self._town.cluster.volumes[name].facts
            is_carried_out = resource.metadata.generation <= resource.status.observed_generation
            if entry is None or truth is None or not is_carried_out:
                continue
            known = entry.database
            is_judged_by = known.run is None and known.facts_are_exact and entry.told is not None
            if is_judged_by and known.facts != truth:
                raise Broken(f"{name} has exact facts {known.facts}, and in truth {truth}")

    def _one_writer(self) -> None:
        for name, volume in self._town.cluster.volumes.items():
            if len(volume.writers) > 1:
                raise Broken(f"{name} has {len(volume.writers)} writers: {list(volume.writers)}")

    def _computes_serve_once(self) -> None:
        for (_, compute), served in self._town.starts.items():
            if len(served) > 1:
                raise Broken(f"compute {compute} was asked to serve {sorted(served)}")

    def _statuses_are_legal(self) -> None:
        written = self._town.cluster.statuses
        while self._statuses_seen < len(written):
            name, status = written[self._statuses_seen]
            self._statuses_seen += 1
            before = self._last.get(name, DatabaseStatus())
            self._is_legal(name, before, status)
            self._last[name] = status

    def _is_legal(self, name: str, before: DatabaseStatus, after: DatabaseStatus) -> None:
        if after.epoch < before.epoch:
            raise Broken(f"{name}: epoch {after.epoch} after {before.epoch}")
        if after.phase != before.phase and not may_follow(before.phase, after.phase):
            raise Broken(f"{name}: {before.phase} to {after.phase}")
        if after.epoch > before.epoch and after.phase is not Phase.RESUMING:
            raise Broken(f"{name}: epoch {after.epoch} came with phase {after.phase}")
        if after.phase is Phase.SUSPENDED:
            self._nobody_is_busy(name)

    def _nobody_is_busy(self, name: str) -> None:
        """On a Postgres that lives: one that was lost has cut its sessions off already."""
        for proxy in self._town.proxies.values():
            gate = proxy.gates.get(name)
            for session in gate.sessions if gate is not None else ():
                if session.is_busy and session.backend is not None and not session.is_lost:
                    raise Broken(f"{name} was suspended under session {session.number}")

    def _commits_are_there(self) -> None:
        for name, acknowledged in self._ledger.acknowledged.items():
            if len(acknowledged) == self._acknowledged_seen.get(name):
                continue
            self._acknowledged_seen[name] = len(acknowledged)
            lost = set(acknowledged) - set(self._town.cluster.volumes[name].commits)
            if lost:
                raise Broken(f"{name} has lost acknowledged commits: {sorted(lost)[:5]}")
