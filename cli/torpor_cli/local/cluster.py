"""What the cluster can do, behind the control channel and for `torpor up -f` alike.

Resources, volumes, secrets and the fencer brought together. Applies and deletes go one at a time;
status writes don't wait for them.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from torpor_api.facts import LoginFacts
from torpor_api.failures import NotFound
from torpor_api.login_facts import facts_of
from torpor_api.manifest import parse_resource
from torpor_api.messages import Event, ResourceChanged, ResourceDeleted, StoragePlace
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, DeletionPolicy, ServerlessDatabase
from torpor_cli.local import fence, rules
from torpor_cli.local.agents import Agents
from torpor_cli.local.rules import Birth
from torpor_cli.local.secrets import Secrets
from torpor_cli.local.storage import Storage
from torpor_cli.local.store import Store
from torpor_cli.local.user_ids import free_user_id


class Cluster:
    """The API server, the operator and the fencer of one machine."""

    def __init__(
        self,
        store: Store,
        storage: Storage,
        secrets: Secrets,
        *,
        postgres_version: str,
        state_folder: str,
        tell: Callable[[Event], None],
    ) -> None:
        self._store = store
        self._storage = storage
        self._secrets = secrets
        self._postgres_version = postgres_version
        self._state_folder = state_folder
        self._tell = tell
        secrets.settle({each.name: [role.name for role in each.spec.roles] for each in store.all()})
        self._changing = asyncio.Lock()
        self.agents: Agents | None = None
        """Set before anybody asks; agents ask the store in turn who is claimed."""

    def list(self) -> tuple[ServerlessDatabase, ...]:
        return self._store.all()

    def get(self, name: str) -> ServerlessDatabase:
        return self._store.get(name)

    def claimed(self) -> set[str]:
        """Computes that a database holds, or held when they were lost."""
        return {
            resource.status.compute
            for resource in self._store.all()
            if resource.status.compute is not None and resource.status.phase is not Phase.SUSPENDED
        }

    async def apply(self, document: object) -> ServerlessDatabase:
        """Create or change; answered when the volume is there."""
        wanted = parse_resource(document)
        rules.refuse_other_versions(wanted, self._postgres_version)
        rules.refuse_secret_references(wanted)
        async with self._changing:
            entries = await asyncio.to_thread(self._secrets.plan, wanted.name, wanted.spec.roles)
            new_passwords = self._secrets.would_change(wanted.name, entries)
            await self._provision(wanted.name)
            birth = Birth(uid=str(uuid.uuid4()), at=_now())
            with self._secrets.replaced(wanted.name, entries):
                stored, is_changed = self._store.apply(wanted, birth, new_passwords=new_passwords)
        if is_changed:
            self._tell(ResourceChanged(resource=stored))
        return stored

    def write_status(self, name: str, version: str, status: DatabaseStatus) -> ServerlessDatabase:
        stored = self._store.write_status(name, version, status)
        self._tell(ResourceChanged(resource=stored))
        if self.agents is not None:
            self.agents.reconcile_soon(claimed=status.compute)
        return stored

    async def delete(self, name: str, *, data: bool) -> None:
        """Forget a sleeping database; its data too, where its policy or ``data`` says so.

        With ``data`` also the kept data of one that was deleted before.
        """
        async with self._changing:
            if any(resource.name == name for resource in self._store.all()):
                stored = self._store.get(name)
                rules.refuse_deletion_while_awake(stored)
                if stored.status.compute is not None:
                    await self.confirm_gone(stored.status.compute, name)
                rules.refuse_deletion_while_awake(self._store.get(name))
                data = data or stored.spec.deletion_policy is DeletionPolicy.DELETE
                self._store.delete(name)
                self._tell(ResourceDeleted(name=name))
            elif not (data and self._store.has_volume(name)):
                raise NotFound(f"no database {name!r}", hint="`torpor list` shows those there are")
            if data:
                await self._remove_data(name)

    async def confirm_gone(self, compute: str, name: str) -> None:
        """End what is left of a compute. Raises NotFenced where it can't be ended."""
        assert self.agents is not None
        await self.agents.make_gone(compute)
        holder = self._store.get(name).status.compute
        if holder not in (None, compute) and self.agents.running(str(holder)) is not None:
            return  # A late question: a successor has the data, so this one was gone before.
        user_id = self._store.volume(name).user_id
        await fence.end_users_of(self._storage.data(name), user_id, name)

    def locate(self, name: str) -> StoragePlace:
        """Where the data is. Raises DataDamaged where it is not there any more."""
        self._store.get(name)
        self._storage.check(name)
        directory = str(self._storage.volume(name).resolve())
        return StoragePlace(directory=directory, user_id=self._store.volume(name).user_id)

    def verifiers(self, name: str) -> dict[str, str]:
        self._store.get(name)
        return self._secrets.verifiers(name)

    def store_facts(self, name: str, epoch: int, facts: LoginFacts) -> None:
        self._store.get(name)
        self._store.store_facts(name, epoch, facts)

    def facts(self, name: str) -> LoginFacts:
        exported = self._store.facts(name)
        return facts_of(self._store.get(name), exported, self._secrets.verifiers(name))

    async def _provision(self, name: str) -> None:
        if not self._store.has_volume(name):
            used = self._store.user_ids()
            own = free_user_id(used, self._state_folder) if os.geteuid() == 0 else None
            self._store.add_volume(name, own)
        volume = self._store.volume(name)
        if volume.is_provisioned:
            self._refuse_lost_data(name)
            return
        if not self._storage.is_made(name):
            await asyncio.to_thread(self._storage.provision, name, volume.user_id)
        self._store.set_provisioned(name)

    def _refuse_lost_data(self, name: str) -> None:
        """A new resource over kept data needs the data; a change of one that lives does not."""
        if all(resource.name != name for resource in self._store.all()):
            self._storage.check(name)

    async def _remove_data(self, name: str) -> None:
        user_id = self._store.volume(name).user_id
        await fence.end_users_of(self._storage.data(name), user_id, name)
        await asyncio.to_thread(self._storage.remove, name)
        self._secrets.delete(name)
        self._store.forget_volume(name)


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
