"""A cluster in memory: resources by compare-and-swap, volumes, agents, and the fencer."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from support.fakes.agent import FakeAgent, Pace
from support.fakes.volume import Volume
from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.failures import (
    Conflict,
    DataDamaged,
    InvalidRequest,
    NotFenced,
    NotFound,
    Refused,
    StaleEpoch,
)
from torpor_api.manifest import parse_resource
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, DeletionPolicy, ServerlessDatabase

FIRST_USER_ID = 30_000


class FakeCluster:
    """Tests may reach into everything; components only ask."""

    def __init__(self, pace: Pace | None = None, root: Path | None = None) -> None:
        self.root = root
        """With a folder, volumes are folders in it, for whoever looks there."""
        self.kept: dict[str, tuple[int, int]] = {}
        """Epoch and generation of deleted resources whose data is still there."""
        self.resources: dict[str, ServerlessDatabase] = {}
        self.volumes: dict[str, Volume] = {}
        self.agents: dict[str, FakeAgent] = {}
        self.facts: dict[str, tuple[int, LoginFacts]] = {}
        self.warm_size = 0
        self.words: list[int] = []
        """Every size that was wished for."""
        self.claimed: tuple[str, ...] = ()
        self.keeps_pool = True
        """False: agents come and go as the test says."""
        self.unfenceable: set[str] = set()
        """Computes of which nobody can say that they are gone."""
        self.tell: Callable[[m.Event], None] = lambda event: None
        self.pace = pace or Pace()
        self._numbers = itertools.count(1)
        self._versions = itertools.count(1)
        self.statuses: list[tuple[str, DatabaseStatus]] = []
        """Every status ever written, for checkers."""

    async def answer(self, request: m.Request[Any]) -> m.Message:
        match request:
            case m.ApplyResource():
                return m.Stored(resource=self.apply(request.resource))
            case m.GetResource():
                return m.Stored(resource=self._get(request.name))
            case m.ListResources() | m.WatchResources():
                return m.Resources(resources=tuple(self.resources.values()))
            case m.DeleteResource():
                self.delete(request.name, data=request.data)
                return m.Done()
            case m.WriteStatus():
                return m.Stored(resource=self._write_status(request))
            case m.LocateStorage():
                return self._locate(request.name)
            case m.FetchVerifiers():
                return m.RolePasswordVerifiers(verifiers=self._verifiers(request.name))
            case m.FetchLoginFacts():
                return m.LoginFactsReply(facts=self._facts(request.name))
            case m.StoreLoginFacts():
                self._store_facts(request)
                return m.Done()
            case m.WatchAgents():
                return m.Agents(agents=tuple(agent.info for agent in self.agents.values()))
            case m.SetWarmPool():
                self.warm_size, self.claimed = request.size, request.claimed
                self.words.append(request.size)
                self.refill()
                return m.Done()
            case m.ConfirmGone():
                self._confirm_gone(request)
                return m.Done()
            case _:
                raise InvalidRequest(f"{type(request).__name__} is not for this fake")

    # --- resources -------------------------------------------------------------------------

    def apply(self, document: object) -> ServerlessDatabase:
        wanted = _without_passwords(parse_resource(document))
        old = self.resources.get(wanted.name)
        if old is not None and old.spec == wanted.spec:
            return old
        epoch, generation = self.kept.pop(wanted.name, (0, 0))
        if old is not None:
            generation = old.metadata.generation
        metadata = wanted.metadata.model_copy(
            update={"generation": generation + 1, "uid": old.metadata.uid if old else self._uid()}
        )
        status = old.status if old else DatabaseStatus(epoch=epoch, observed_generation=generation)
        self._provision(wanted.name)
        return self._store(wanted.model_copy(update={"metadata": metadata, "status": status}))

    def delete(self, name: str, *, data: bool = False) -> None:
        if name not in self.resources and not (data and name in self.kept):
            raise NotFound(f"no database {name!r}")
        if name in self.resources:
            last = self.resources[name]
            if last.status.phase not in (Phase.SUSPENDED, Phase.FAILED):
                raise Refused(f"{name} is {last.status.phase}")
            data = data or last.spec.deletion_policy is DeletionPolicy.DELETE
            del self.resources[name]
            self.kept[name] = (last.status.epoch, last.metadata.generation)
            self.tell(m.ResourceDeleted(name=name))
        if data:
            self._remove_data(name)

    def _write_status(self, request: m.WriteStatus) -> ServerlessDatabase:
        stored = self._get(request.name)
        if request.resource_version != stored.metadata.resource_version:
            raise Conflict(f"{request.name}: resourceVersion is another")
        if request.status.epoch < stored.status.epoch:
            raise StaleEpoch(f"{request.name}: epoch {request.status.epoch} is older")
        self.statuses.append((request.name, request.status))
        return self._store(stored.model_copy(update={"status": request.status}))

    def touch(self, name: str) -> None:
        """Somebody else writes: a label, say."""
        self._store(self._get(name))

    def forget_history(self) -> None:
        """One that keeps none has nothing to forget."""

    def _store(self, resource: ServerlessDatabase) -> ServerlessDatabase:
        metadata = resource.metadata.model_copy(
            update={"resource_version": str(next(self._versions))}
        )
        stored = resource.model_copy(update={"metadata": metadata})
        self.resources[resource.name] = stored
        self.tell(m.ResourceChanged(resource=stored))
        return stored

    def _get(self, name: str) -> ServerlessDatabase:
        if name not in self.resources:
            raise NotFound(f"no database {name!r}")
        return self.resources[name]

    def _uid(self) -> str:
        return f"uid-{next(self._numbers)}"

    # --- storage and facts -----------------------------------------------------------------

    def volume_of(self, place: m.StoragePlace) -> Volume:
        return self.volumes[Path(place.directory).name]

    def _directory(self, name: str) -> Path:
        return (self.root or Path("/volumes")) / name

    def _provision(self, name: str) -> None:
        if name in self.volumes:
            return
        self.volumes[name] = Volume(user_id=FIRST_USER_ID + len(self.volumes))
        if self.root is not None:
            (self._directory(name) / "ownership").mkdir(parents=True)
            (self._directory(name) / "data").mkdir()
            (self._directory(name) / "data" / "PG_VERSION").write_text("18")

    def _remove_data(self, name: str) -> None:
        del self.volumes[name], self.kept[name]
        self.facts.pop(name, None)
        if self.root is not None:
            shutil.rmtree(self._directory(name))

    def _locate(self, name: str) -> m.StoragePlace:
        self._get(name)
        directory = self._directory(name)
        is_there = self.root is None or (directory / "data" / "PG_VERSION").exists()
        if not is_there or name not in self.volumes:
            raise DataDamaged(f"{name}: the data directory {directory} is missing")
        user_id = self.volumes[name].user_id if os.geteuid() == 0 else None
        return m.StoragePlace(directory=str(directory), user_id=user_id)

    def _verifiers(self, name: str) -> dict[str, str]:
        return {role.name: f"SCRAM-SHA-256${role.name}" for role in self._get(name).spec.roles}

    def _facts(self, name: str) -> LoginFacts:
        resource = self._get(name)
        stored = self.facts.get(name)
        is_carried_out = resource.metadata.generation <= resource.status.observed_generation
        if stored is not None and is_carried_out:
            return stored[1]
        verifiers = self._verifiers(name)
        return LoginFacts(roles=tuple(RoleFacts(name=n, verifier=v) for n, v in verifiers.items()))

    def _store_facts(self, request: m.StoreLoginFacts) -> None:
        self._get(request.name)
        stored = self.facts.get(request.name)
        if stored is not None and stored[0] > request.epoch:
            raise StaleEpoch(f"{request.name}: facts of epoch {request.epoch} after {stored[0]}")
        self.facts[request.name] = (request.epoch, request.facts)

    # --- agents ----------------------------------------------------------------------------

    def start_agent(self) -> FakeAgent:
        agent = FakeAgent(f"c{next(self._numbers)}", self.volume_of, self.pace)
        self.agents[agent.compute] = agent
        self.tell(m.AgentChanged(agent=agent.info))
        return agent

    def lose_agent(self, compute: str) -> None:
        """It has died, and nothing of it is left."""
        agent = self.agents.pop(compute)
        agent.kill()
        self.tell(m.AgentChanged(agent=agent.info.model_copy(update={"is_gone": True})))
        self.refill()

    def refill(self) -> None:
        """As many warm ones as are wished for; used ones that nobody claims are ended."""
        if not self.keeps_pool:
            return
        held = {
            resource.status.compute
            for resource in self.resources.values()
            if resource.status.phase is not Phase.SUSPENDED
        }
        claimed = held | set(self.claimed)
        for agent in [a for a in self.agents.values() if a.claims and a.compute not in claimed]:
            self.lose_agent(agent.compute)
            return
        warm = [a for a in self.agents.values() if a.compute not in claimed]
        for _ in range(self.warm_size - len(warm)):
            self.start_agent()
        for agent in warm[self.warm_size :]:
            self.lose_agent(agent.compute)
            return

    def _confirm_gone(self, request: m.ConfirmGone) -> None:
        if request.compute in self.unfenceable:
            raise NotFenced(f"nobody knows whether {request.compute} is gone")
        if request.compute in self.agents:
            self.lose_agent(request.compute)
        volume = self.volumes.get(request.database)
        if volume is not None:
            volume.close(request.compute)


def _without_passwords(resource: ServerlessDatabase) -> ServerlessDatabase:
    roles = tuple(role.model_copy(update={"password": None}) for role in resource.spec.roles)
    spec = resource.spec.model_copy(update={"roles": roles})
    return resource.model_copy(update={"spec": spec})
