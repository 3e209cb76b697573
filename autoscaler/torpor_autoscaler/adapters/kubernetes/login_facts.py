"""Who may log in: what agents exported, and what the resource declares, from their Secrets."""

from __future__ import annotations

from torpor_api.facts import LoginFacts
from torpor_api.failures import Conflict, NotFound, StaleEpoch
from torpor_api.identity import split_endpoint_name
from torpor_api.login_facts import facts_of as facts_in_force
from torpor_api.resource import ServerlessDatabase
from torpor_autoscaler.adapters.kubernetes import secrets
from torpor_autoscaler.adapters.kubernetes.lanes import NotProvidedYet
from torpor_kube import names
from torpor_kube.documents import name_of, version_of
from torpor_kube.kinds import SECRET
from torpor_kube.port import Document, Kube

TRIES_MAX = 3
"""Two autoscalers write at the same time at most while one takes over from the other."""


class FactsStore:
    """The Secrets in the system namespace."""

    def __init__(self, kube: Kube, system: str) -> None:
        self._kube = kube
        self._system = system

    async def store(self, database: str, epoch: int, facts: LoginFacts) -> None:
        """Raises StaleEpoch where a later epoch has exported its own."""
        document = secrets.facts_document(database, self._system, epoch, facts)
        for _ in range(TRIES_MAX):
            try:
                await self._store_once(database, epoch, document)
                return
            except Conflict as conflict:
                lost = conflict
        raise lost

    async def _store_once(self, database: str, epoch: int, document: Document) -> None:
        name = name_of(document)
        try:
            stored = await self._kube.get(SECRET, name, self._system)
        except NotFound:
            await self._kube.create(SECRET, document)
            return
        before = secrets.epoch_of(stored)
        if before > epoch:
            raise StaleEpoch(f"{database}: facts of epoch {epoch} after {before}")
        patch = {"metadata": {"resourceVersion": version_of(stored)}, "data": document["data"]}
        await self._kube.patch(SECRET, name, self._system, patch)

    async def fetch(self, resource: ServerlessDatabase) -> LoginFacts:
        """The exported ones; and over them what is declared and no compute has carried out yet."""
        exported = await self._exported(resource.name)
        is_carried_out = resource.metadata.generation <= resource.status.observed_generation
        if exported is not None and is_carried_out:
            return exported
        return facts_in_force(resource, exported, await self.verifiers(resource))

    async def _exported(self, database: str) -> LoginFacts | None:
        name, namespace = split_endpoint_name(database)
        secret = names.login_facts_secret(namespace, name)
        try:
            return secrets.facts_of(await self._kube.get(SECRET, secret, self._system))[1]
        except NotFound:
            return None

    async def verifiers(self, resource: ServerlessDatabase) -> dict[str, str]:
        """Of the roles in the spec. One without a password that can be read has none yet: it costs
        the others nothing, and when it has one the generation grows. Raises NotProvidedYet until
        the operator has made the first of them."""
        name, namespace = split_endpoint_name(resource.name)
        secret = names.verifiers_secret(namespace, name)
        try:
            found = secrets.verifiers_of(await self._kube.get(SECRET, secret, self._system))
        except NotFound:
            raise NotProvidedYet(
                f"{resource.name}: there is no Secret {secret}",
                "the operator makes it: see its log and the condition CredentialsReady",
            ) from None
        declared = {role.name for role in resource.spec.roles}
        return {role: verifier for role, verifier in found.items() if role in declared}
