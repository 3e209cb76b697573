"""The contract of the cluster's port, over a real control channel.

Whoever plays the cluster's part (`torpor up`, a fake of it, Kubernetes) answers these questions in
this way. On Kubernetes the autoscaler's are answered by its adapter, and people's by the API server
itself, where there is one by KUBECONFIG, and by a fake one.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest

from support.fake_kube.server import FakeKube
from support.fakes.channel import CLUSTER_REQUESTS, handlers_of
from support.fakes.channel import Watchers as FakeWatchers
from support.fakes.cluster import FakeCluster
from support.kube_cluster import answering, client, own_namespace
from support.kube_moved import Moved
from torpor_api import messages as m
from torpor_api.facts import FACTS_BYTES_MAX, LoginFacts, RoleFacts
from torpor_api.failures import (
    Conflict,
    DataDamaged,
    InvalidRequest,
    NotFound,
    Refused,
    StaleEpoch,
)
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_channel.client import dial
from torpor_channel.peer import Handlers, Peer
from torpor_channel.server import Server
from torpor_cli.local.agents import Agents
from torpor_cli.local.cluster import Cluster
from torpor_cli.local.cluster_server import Watchers, cluster_handlers
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.secrets import Secrets
from torpor_cli.local.storage import Storage
from torpor_cli.local.store import Store
from torpor_kube.kinds import NAMESPACE, POD
from torpor_kube.login import at, chosen
from torpor_kube.names import COMPONENT_LABEL, NAME_LABEL
from torpor_kube.port import Kube

ANSWER_SECONDS_MAX = 30.0


class NoAgents:
    """No processes; what a real `torpor up` does with them is an integration test."""

    def infos(self) -> tuple[m.AgentInfo, ...]:
        return ()

    def running(self, compute: str) -> None:
        return None

    def reconcile_soon(self, claimed: str | None = None) -> None:
        pass

    async def make_gone(self, compute: str) -> None:
        pass


@pytest.fixture(params=["local", "fake", "kubernetes", "real kubernetes"])
async def socket(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Path]:
    """Where a cluster answers: `torpor up`'s, the one that other tests trust in its place, …"""
    folder = os.open(tmp_path, os.O_PATH)
    path = Path(f"/proc/self/fd/{folder}") / "cluster.sock"
    async with CLUSTERS[request.param](tmp_path) as handlers:
        server = Server(handlers)
        await server.listen(path)
        yield path
        await server.close()
    os.close(folder)


@contextlib.asynccontextmanager
async def fake_cluster(tmp_path: Path) -> AsyncIterator[Handlers]:
    cluster = FakeCluster(root=tmp_path)
    watchers = FakeWatchers(cluster.answer)
    cluster.tell = watchers.tell
    handlers = handlers_of(cluster.answer, *CLUSTER_REQUESTS)
    yield {**handlers, m.WatchResources: watchers.watch, m.WatchAgents: watchers.watch}


@contextlib.asynccontextmanager
async def local_cluster(tmp_path: Path) -> AsyncIterator[Handlers]:
    template = tmp_path / "templates" / "18"
    template.mkdir(parents=True)
    (template / "PG_VERSION").write_text("18\n")
    for part in ("databases", "secrets"):
        (tmp_path / part).mkdir()
    store = Store(tmp_path / "catalog.sqlite")
    watchers = Watchers()
    cluster = Cluster(
        store,
        Storage(tmp_path / "templates", tmp_path / "databases", PostgresBinaries(Path(), "18")),
        Secrets(tmp_path / "secrets"),
        postgres_version="18",
        state_folder=str(tmp_path),
        tell=watchers.tell,
    )
    agents = cast(Agents, NoAgents())
    cluster.agents = agents
    yield cluster_handlers(cluster, agents, watchers, Watchers())
    store.close()


@contextlib.asynccontextmanager
async def kubernetes_cluster(_: Path) -> AsyncIterator[Handlers]:
    async with FakeKube().serving() as fake, client(at(fake.url)) as kube:
        for namespace in ("torpor-system", "team"):
            await kube.create(NAMESPACE, {"metadata": {"name": namespace}})
        async with answering(kube, "torpor-system") as handlers:
            yield handlers


@contextlib.asynccontextmanager
async def real_kubernetes_cluster(_: Path) -> AsyncIterator[Handlers]:
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster: the real API server was not asked")
    async with client(chosen(Path(kubeconfig))) as kube, own_namespace(kube) as namespace:
        await refuse_company(kube)
        async with answering(Moved(kube, "default", namespace), namespace) as handlers:
            yield handlers


async def refuse_company(kube: Kube) -> None:
    """One that is installed there writes into the same resources."""
    installed = await kube.page(POD, labels=f"{COMPONENT_LABEL}=autoscaler,{NAME_LABEL}=torpor")
    if installed.items:
        pytest.skip("Torpor is installed on the cluster of KUBECONFIG, and would answer as well")


CLUSTERS = {
    "local": local_cluster,
    "fake": fake_cluster,
    "kubernetes": kubernetes_cluster,
    "real kubernetes": real_kubernetes_cluster,
}

on_one_machine = pytest.mark.parametrize("socket", ["local", "fake"], indirect=True)
"""On Kubernetes this is the operator's or the agent's: other suites have it."""


@pytest.fixture
async def peer(socket: Path) -> AsyncIterator[Peer]:
    dialled = await dial(socket)
    yield dialled
    await dialled.close()


async def apply(peer: Peer, name: str = "shop", **spec: Any) -> ServerlessDatabase:
    document = {"metadata": {"name": name}, "spec": spec}
    asked = m.ApplyResource(resource=document)
    return (await peer.ask(asked, timeout_s=ANSWER_SECONDS_MAX)).resource


async def ask(peer: Peer, request: m.Request[Any]) -> Any:
    return await peer.ask(request, timeout_s=ANSWER_SECONDS_MAX)


async def write(peer: Peer, stored: ServerlessDatabase, **status: Any) -> ServerlessDatabase:
    request = m.WriteStatus(
        name=stored.name,
        resource_version=stored.metadata.resource_version,
        status=DatabaseStatus(**status),
    )
    answer: m.Stored = await ask(peer, request)
    return answer.resource


def lose(volume: str) -> None:
    Path(volume).rename(Path(volume).with_name("elsewhere"))


async def test_an_applied_resource_is_stored_and_listed(peer: Peer) -> None:
    stored = await apply(peer, idleTimeout="5s")
    assert stored.status.phase is Phase.SUSPENDED
    assert (await ask(peer, m.GetResource(name="shop"))).resource == stored
    assert (await ask(peer, m.ListResources())).resources == (stored,)


@on_one_machine
async def test_an_invalid_resource_is_refused_by_its_field(peer: Peer) -> None:
    with pytest.raises(InvalidRequest, match=r"shop: spec\.colour: unknown field"):
        await apply(peer, colour="red")
    assert (await ask(peer, m.ListResources())).resources == ()


async def test_of_two_claims_one_wins(peer: Peer) -> None:
    stored = await apply(peer)
    claims = [
        write(peer, stored, phase=Phase.RESUMING, epoch=1, compute=compute) for compute in "abc"
    ]
    outcomes = await asyncio.gather(*claims, return_exceptions=True)
    assert sum(isinstance(outcome, Conflict) for outcome in outcomes) == 2
    winner = (await ask(peer, m.GetResource(name="shop"))).resource.status.compute
    assert winner in {o.status.compute for o in outcomes if isinstance(o, ServerlessDatabase)}


async def test_a_lower_epoch_is_refused(peer: Peer) -> None:
    stored = await write(peer, await apply(peer), epoch=2)
    with pytest.raises(StaleEpoch):
        await write(peer, stored, epoch=1)


async def test_a_watcher_hears_every_change_in_order(socket: Path) -> None:
    heard: asyncio.Queue[Any] = asyncio.Queue()

    async def hear(_: Peer, event: m.Event) -> None:
        heard.put_nowait(event)

    watcher = await dial(socket, {m.ResourceChanged: hear, m.ResourceDeleted: hear})
    other = await dial(socket)
    before = await apply(other, "first")
    listed = (await ask(watcher, m.WatchResources())).resources
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        # A real API server tells of what was just stored a moment later: by the list, or after it.
        told = listed or ((await heard.get()).resource,)
    assert told == (before,)
    stored = await apply(other, "second")
    claimed = await write(other, stored, phase=Phase.SUSPENDED, epoch=1)
    await apply(other, "second")
    await ask(other, m.DeleteResource(name="second"))
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        assert await heard.get() == m.ResourceChanged(resource=stored)
        assert await heard.get() == m.ResourceChanged(resource=claimed)
        assert await heard.get() == m.ResourceDeleted(name="second")
    await asyncio.gather(watcher.close(), other.close())


@on_one_machine
async def test_storage_is_located_and_its_loss_is_named(peer: Peer) -> None:
    await apply(peer)
    place: m.StoragePlace = await ask(peer, m.LocateStorage(name="shop"))
    assert (Path(place.directory) / "data" / "PG_VERSION").exists()
    assert (Path(place.directory) / "ownership").is_dir()
    assert (place.user_id is not None) == (os.geteuid() == 0)
    lose(place.directory)
    with pytest.raises(DataDamaged, match="shop: the data directory"):
        await ask(peer, m.LocateStorage(name="shop"))


async def test_each_database_has_a_user_id_of_its_own(peer: Peer) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives each database its own user id")
    names = ("a", "b", "c")
    for name in names:
        await apply(peer, name)
    places = [await ask(peer, m.LocateStorage(name=name)) for name in names]
    assert len({place.user_id for place in places}) == 3


@on_one_machine
async def test_verifiers_of_given_and_generated_passwords(peer: Peer) -> None:
    stored = await apply(peer, roles=[{"name": "app"}, {"name": "b", "password": "hunter2"}])
    assert "hunter2" not in stored.model_dump_json()
    verifiers = (await ask(peer, m.FetchVerifiers(name="shop"))).verifiers
    assert set(verifiers) == {"app", "b"}
    assert all(verifier.startswith("SCRAM-SHA-256$") for verifier in verifiers.values())
    assert (await ask(peer, m.FetchVerifiers(name="shop"))).verifiers == verifiers


async def test_login_facts_follow_from_the_resource_until_some_are_stored(peer: Peer) -> None:
    stored = await apply(peer)
    declared: LoginFacts = (await ask(peer, m.FetchLoginFacts(name="shop"))).facts
    verifiers = (await ask(peer, m.FetchVerifiers(name="shop"))).verifiers
    assert {role.name: role.verifier for role in declared.roles} == verifiers
    exported = LoginFacts(roles=(RoleFacts(name="app", verifier="v"),), databases=("x",))
    await ask(peer, m.StoreLoginFacts(name="shop", epoch=1, facts=exported))
    await write(peer, stored, epoch=1, observed_generation=1)
    assert (await ask(peer, m.FetchLoginFacts(name="shop"))).facts == exported


async def test_as_many_login_facts_as_there_may_be_are_stored(peer: Peer) -> None:
    """Each with all that can be said of a role, and a password like no other's."""
    stored = await apply(peer)
    roles, size = list[RoleFacts](), 0
    while size < FACTS_BYTES_MAX:
        role = RoleFacts(
            name=f"role-{len(roles)}",
            verifier=f"{uuid.uuid4()}{uuid.uuid4()}",
            can_login=False,
            is_admitted=False,
            valid_until_s=1.8e9,
            connection_limit=10_000,
        )
        roles.append(role)
        size += len(role.model_dump_json())
    exported = LoginFacts(roles=tuple(roles), databases=("app",), is_whole=False)
    await ask(peer, m.StoreLoginFacts(name="shop", epoch=1, facts=exported))
    await write(peer, stored, epoch=1, observed_generation=1)
    assert (await ask(peer, m.FetchLoginFacts(name="shop"))).facts == exported


@on_one_machine
async def test_an_awake_database_is_not_deleted(peer: Peer) -> None:
    stored = await write(peer, await apply(peer), phase=Phase.ACTIVE, epoch=1, compute="c")
    with pytest.raises(Refused, match="shop is Active"):
        await ask(peer, m.DeleteResource(name="shop"))
    await write(peer, stored, phase=Phase.SUSPENDED, epoch=1)
    await ask(peer, m.DeleteResource(name="shop"))
    with pytest.raises(NotFound):
        await ask(peer, m.GetResource(name="shop"))


@on_one_machine
async def test_kept_data_is_taken_up_again_and_deleted_data_is_not(peer: Peer) -> None:
    await write(peer, await apply(peer), epoch=5)
    place: m.StoragePlace = await ask(peer, m.LocateStorage(name="shop"))
    mark = Path(place.directory) / "data" / "mark"
    mark.write_text("")
    await ask(peer, m.DeleteResource(name="shop"))
    back = await apply(peer)
    assert mark.exists() and back.status.epoch == 5
    assert await ask(peer, m.LocateStorage(name="shop")) == place
    await ask(peer, m.DeleteResource(name="shop", data=True))
    fresh = await apply(peer)
    assert not mark.exists() and fresh.status.epoch == 0


@on_one_machine
async def test_kept_data_can_be_deleted_later(peer: Peer) -> None:
    await apply(peer)
    await ask(peer, m.DeleteResource(name="shop"))
    await ask(peer, m.DeleteResource(name="shop", data=True))
    with pytest.raises(NotFound):
        await ask(peer, m.DeleteResource(name="shop", data=True))


@on_one_machine
async def test_the_data_goes_with_the_resource_where_its_policy_says_so(peer: Peer) -> None:
    await write(peer, await apply(peer, deletionPolicy="Delete"), epoch=5)
    await ask(peer, m.DeleteResource(name="shop"))
    assert (await apply(peer)).status.epoch == 0


@pytest.mark.parametrize("socket", ["local", "fake", "kubernetes"], indirect=True)
async def test_namespaces_keep_databases_of_one_name_apart(peer: Peer) -> None:
    metadata = {"name": "shop", "namespace": "team"}
    there = await ask(peer, m.ApplyResource(resource={"metadata": metadata}))
    here = await apply(peer)
    assert (here.name, there.resource.name) == ("shop", "shop.team")
    places = [await ask(peer, m.LocateStorage(name=name)) for name in ("shop", "shop.team")]
    assert len({place.directory for place in places}) == 2
    await ask(peer, m.DeleteResource(name="shop", data=True))
    assert (await ask(peer, m.LocateStorage(name="shop.team"))) == places[1]


@on_one_machine
async def test_gone_is_confirmed_where_nothing_runs(peer: Peer) -> None:
    await apply(peer)
    assert await ask(peer, m.ConfirmGone(compute="of-an-earlier-one", database="shop")) == m.Done()


@pytest.mark.parametrize(
    "request_of",
    [
        m.GetResource,
        m.LocateStorage,
        m.FetchVerifiers,
        m.FetchLoginFacts,
    ],
)
async def test_an_unknown_name_is_not_found(peer: Peer, request_of: Any) -> None:
    with pytest.raises(NotFound, match="'ghost'"):
        await ask(peer, request_of(name="ghost"))
