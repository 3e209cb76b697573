"""One ServerlessDatabase on the cluster: applied, connected to, watched."""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import asyncpg
import psycopg

from e2e import api, kubectl
from e2e.cluster import NAMESPACE
from e2e.installation import Installation
from e2e.kubectl import WAIT_SECONDS_MAX, Json, until

KIND = "serverlessdatabase"

QUICK = "1s"
"""The idle timeout of a database whose test is about its sleep."""


@dataclass
class Database:
    """Its name is one in its namespace; the same in another namespace is another's."""

    torpor: Installation
    namespace: str
    name: str
    spec: Json = field(default_factory=dict)

    # --- what is done to it -----------------------------------------------------------

    def apply(self, **changes: Any) -> None:
        self.spec |= changes
        api.apply(self.document)

    @property
    def document(self) -> Json:
        return {
            "apiVersion": "torpor.dev/v1alpha1",
            "kind": "ServerlessDatabase",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": self.spec,
        }

    def is_ready(self) -> None:
        """Waits: a client may connect from now on."""
        kubectl.wait_for(KIND, self.name, self.namespace, "condition=Ready")

    def falls_asleep(self) -> None:
        """Waits until it sleeps and no compute is left of it."""
        kubectl.wait_for(KIND, self.name, self.namespace, "jsonpath={.status.phase}=Suspended")
        until(lambda: not self.pods, f"no compute of {self.name} is left")

    def wakes_by_itself(self) -> None:
        """Waits for up to a minute and a wake."""
        kubectl.wait_for(KIND, self.name, self.namespace, "jsonpath={.status.phase}=Active")

    def delete(self) -> None:
        kubectl.delete(KIND, self.name, self.namespace)

    # --- what it is -------------------------------------------------------------------

    @property
    def status(self) -> Json:
        return dict(kubectl.get(KIND, self.name, self.namespace).get("status", {}))

    @property
    def phase(self) -> str:
        return str(self.status.get("phase", ""))

    @property
    def epoch(self) -> int:
        """Grows with each resume: by two where a compute was somebody else's just before."""
        return int(self.status.get("epoch", 0))

    @property
    def why_awake(self) -> str:
        """Every reason, for a person."""
        return "; ".join(self.status.get("whyAwake", ()))

    @property
    def events(self) -> dict[str, str]:
        """The latest note for each reason."""
        found = kubectl.listed("events.events.k8s.io", self.namespace)
        own = [one for one in found if one["regarding"].get("name") == self.name]
        told = sorted(own, key=lambda one: str(one["eventTime"]))
        return {one["reason"]: one["note"] for one in told}

    @property
    def pods(self) -> list[Json]:
        """Computes that serve it, or that have not ended yet."""
        chosen = f"torpor.dev/database={self.name},torpor.dev/database-namespace={self.namespace}"
        found = kubectl.listed("pods", NAMESPACE, chosen)
        return [pod for pod in found if pod["status"]["phase"] in ("Pending", "Running")]

    # --- how clients reach it ---------------------------------------------------------

    @cached_property
    def binding(self) -> dict[str, str]:
        """The Secret of its first role: what an application gets."""
        return kubectl.secret(self.status["binding"]["name"], self.namespace)

    def connect(self, **more: Any) -> psycopg.Connection[tuple[Any, ...]]:
        """By psycopg, with the name of its own Service as the TLS server name.

        The certificate is judged by its CA alone: a namespace that is seconds old is in it as soon
        as the kubelet has brought it to the proxies, which takes a minute.
        """
        found = self.binding
        options: Json = {"sslmode": "verify-ca", "connect_timeout": int(WAIT_SECONDS_MAX)}
        return psycopg.connect(
            host=found["host"],
            hostaddr=self.torpor.host,
            port=self.torpor.port,
            user=found["username"],
            password=found["password"],
            dbname=found["database"],
            sslrootcert=str(self.torpor.ca),
            autocommit=True,
            **options | more,
        )

    async def connect_asyncpg(self, **more: Any) -> asyncpg.Connection[Any]:
        """By asyncpg, which knows one address only: the database's name says which is meant."""
        trusted = ssl.create_default_context(cafile=self.torpor.ca)
        trusted.check_hostname = False
        client: asyncpg.Connection[Any] = await asyncpg.connect(
            host=self.torpor.host,
            port=self.torpor.port,
            user=self.binding["username"],
            password=self.binding["password"],
            database=f"{self.name}.{self.namespace}/{self.binding['database']}",
            ssl=trusted,
            timeout=WAIT_SECONDS_MAX,
            **more,
        )
        return client


def fresh_name(prefix: str) -> str:
    """None that an earlier run may have left."""
    return f"{prefix}-{os.urandom(4).hex()}"
