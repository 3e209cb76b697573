"""The operator against an API server in this process, without kopf: its watch is played here.

Time passes as it does; databases' autoscaler and agents are played by the test.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from support.fake_kube.server import FakeKube
from torpor_api.failures import Failure, Unavailable
from torpor_channel.address import TcpAddress
from torpor_kube import kinds
from torpor_kube.kinds import Kind
from torpor_kube.login import at
from torpor_kube.port import Document
from torpor_kube.server import ApiServer
from torpor_kube.watching import Watch
from torpor_operator.adapters.feeds import watches
from torpor_operator.core.actions import Erase
from torpor_operator.core.naming import Key
from torpor_operator.core.seen_pods import SeenPod
from torpor_operator.leading import Leading
from torpor_operator.main import Operator
from torpor_operator.settings import Settings

WORKERS = 4
"""Of the operator."""

SYSTEM = "torpor-system"

UNTIL_S_MAX = 20.0


@dataclass
class Others:
    """The autoscaler and the agents: what they were asked, and what they answer."""

    suspended: list[Key] = field(default_factory=list)
    erased: list[tuple[str, Erase]] = field(default_factory=list)
    on_erase: Callable[[SeenPod, Erase], Awaitable[None]] | None = None
    refusal: Failure | None = None
    holds_suspends: asyncio.Event | None = None
    """Until it is set nobody hears what came of his wish."""
    on_suspend: Callable[[Key], None] = lambda key: None
    let_go_of: set[str] | None = field(default_factory=set)
    """Ended computes that nobody will claim; None: the autoscaler does not answer."""
    asked_about: list[tuple[str, ...]] = field(default_factory=list)

    async def suspend(self, database: Key) -> None:
        self.suspended.append(database)
        if self.holds_suspends is not None:
            await self.holds_suspends.wait()
        if self.refusal is not None:
            raise self.refusal
        self.on_suspend(database)

    async def let_go(self, computes: Sequence[str]) -> Collection[str]:
        self.asked_about.append(tuple(computes))
        if self.let_go_of is None:
            raise Unavailable("no autoscaler answers")
        return self.let_go_of.intersection(computes)

    async def erase(self, pod: SeenPod, order: Erase) -> None:
        self.erased.append((pod.name, order))
        if self.on_erase is not None:
            await self.on_erase(pod, order)


@dataclass
class World:
    """One operator that leads."""

    fake: FakeKube
    operator: Operator
    others: Others

    def make(self, name: str, namespace: str = "default", **spec: Any) -> Document:
        document = {
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"roles": [{"name": "app"}], **spec},
        }
        return self.fake.objects.create(kinds.SERVERLESS_DATABASE, document)

    def get(self, kind: Kind, name: str, namespace: str = "default") -> Document | None:
        stored = self.fake.objects.stored.get((kind, namespace, name))
        return stored.document if stored else None

    def database(self, name: str, namespace: str = "default") -> Document:
        found = self.get(kinds.SERVERLESS_DATABASE, name, namespace)
        assert found is not None, f"{name} is gone"
        return found

    def say(self, name: str, namespace: str = "default", **status: Any) -> None:
        """The autoscaler writes the status."""
        key = (kinds.SERVERLESS_DATABASE, namespace, name)
        self.fake.objects.patch(key, {"status": status}, "status")

    def delete(self, kind: Kind, name: str, namespace: str = "default") -> None:
        self.fake.objects.delete((kind, namespace, name), {}, None)

    def pods(self) -> list[Document]:
        return list(self.fake.objects.all(kinds.POD, SYSTEM))

    async def settled(self) -> None:
        """Nothing is being looked at, and no news comes."""
        await self.until("it settles", lambda: len(self.operator.leading.queue) == 0)

    async def until(self, what: str, holds: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(UNTIL_S_MAX):
                while not holds():
                    await asyncio.sleep(0.005)
        except TimeoutError:
            raise AssertionError(f"never: {what}") from None


def settings(run_dir: Path) -> Settings:
    return Settings(
        namespace=SYSTEM,
        watched=(),
        instance="torpor",
        domains=("db.example.com",),
        cluster_domain="cluster.local",
        proxy_service="torpor-proxy",
        autoscaler=TcpAddress("127.0.0.1", 1),
        compute_image="torpor/compute:test",
        image_pull_policy="IfNotPresent",
        compute_service_account="torpor-compute",
        compute_log_level="",
        run_dir=run_dir,
        health=TcpAddress("127.0.0.1", 8080),
        lease="torpor-operator",
        identity="op-1",
        workers=WORKERS,
        kubeconfig=None,
    )


def add_pool(fake: FakeKube, **spec: Any) -> Document:
    document = {
        "metadata": {"name": "default", "namespace": SYSTEM},
        "spec": {"size": {"min": 1, "max": 10}, **spec},
    }
    return fake.objects.create(kinds.WARM_POOL, document)


@contextlib.asynccontextmanager
async def serving() -> AsyncIterator[FakeKube]:
    """An API server with Torpor's namespace and a pool."""
    fake = FakeKube()
    fake.objects.create(kinds.NAMESPACE, {"metadata": {"name": SYSTEM}})
    async with fake.serving():
        yield fake


@contextlib.asynccontextmanager
async def operating(
    fake: FakeKube, run_dir: Path, watched: tuple[str, ...] = (), *, has_console: bool = True
) -> AsyncIterator[World]:
    """One operator, from its start to its end; another may follow."""
    kube, others = ApiServer(at(fake.url)), Others()
    chosen = replace(settings(run_dir), watched=watched, has_console=has_console)
    operator = Operator(chosen, kube, others, others)
    leading = operator.leading
    feed = PoolFeed(leading)
    pools = Watch(kube, kinds.WARM_POOL, lambda one: one, feed, namespace=SYSTEM)
    leading.start([*watches(kube, operator.cache, SYSTEM, watched, leading.report), pools])
    try:
        yield World(fake, operator, others)
    finally:
        await leading.close()
        await kube.close()


class PoolFeed:
    """kopf's part."""

    def __init__(self, leading: Leading) -> None:
        self._leading = leading

    def listed(self, all: Iterable[Document]) -> None:
        for one in all:
            self.changed(one)

    def changed(self, one: Document) -> None:
        self._leading.pool_changed(one, is_gone=False)

    def deleted(self, one: Document) -> None:
        self._leading.pool_changed(one, is_gone=True)
