"""Verbs on a cluster: which object is meant, what is asked of the API server, what is printed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from support.fake_kube.server import FakeKube
from support.verb_places import (
    SYSTEM,
    Autoscaler,
    add_database,
    add_namespaces,
    add_secret,
    kubeconfig,
    on_cluster,
    provide,
    requests_of,
)
from torpor_api import messages as m
from torpor_api.failures import InvalidRequest, NotFound, Refused, Unavailable
from torpor_cli.choosing import PLUGIN
from torpor_cli.main import torpor
from torpor_cli.place import NotAllowed
from torpor_kube.kinds import SERVERLESS_DATABASE
from torpor_kube.port import Document

MANIFEST = "kind: ServerlessDatabase\nmetadata: {name: new}\nspec: {idleTimeout: 90s}\n"

AWAKE = {"status": {"phase": "Active", "epoch": 1}}

CREDENTIALS = {
    "username": "app",
    "password": "s3 cret/",
    "host": "shop.default.svc",
    "port": "5432",
    "database": "app",
}


@pytest.fixture
async def kube() -> AsyncIterator[FakeKube]:
    async with FakeKube().serving() as fake:
        yield fake


@pytest.fixture
async def cluster(kube: FakeKube, tmp_path: Path) -> AsyncIterator[Autoscaler]:
    async with on_cluster(tmp_path, kube) as fake:
        yield fake


async def ran(*arguments: str, name: str = "torpor", stdin: str | None = None) -> Result:
    def run() -> Result:
        return CliRunner().invoke(torpor, arguments, stdin, prog_name=name)

    return await asyncio.to_thread(run)


def stored(kube: FakeKube, name: str, namespace: str = "default") -> Document | None:
    found = kube.objects.stored.get((SERVERLESS_DATABASE, namespace, name))
    return None if found is None else found.document


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.01)


# --- which place, and which database ----------------------------------------------------------


async def test_a_list_has_the_databases_of_all_namespaces_or_of_one(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    add_namespaces(kube, "team")
    add_database(kube, "blog", "team", phase="Active", epoch=7, whyAwake=["an open transaction"])
    lines = (await cluster.torpor("list")).stdout.splitlines()
    assert [line.split()[:3] for line in lines] == [
        ["NAME", "PHASE", "EPOCH"],
        ["shop", "Suspended", "0"],
        ["blog.team", "Active", "7"],
    ]
    assert lines[2].endswith("an open transaction")
    one = await cluster.torpor("list", "-n", "team", "-o", "json")
    assert [item["metadata"]["name"] for item in json.loads(one.stdout)["items"]] == ["blog"]


async def test_a_name_is_in_the_namespace_of_the_context_unless_it_says_another(
    kube: FakeKube, cluster: Autoscaler, tmp_path: Path
) -> None:
    add_namespaces(kube, "team")
    add_database(kube, "blog", "team")
    file = str(kubeconfig(tmp_path, kube, namespace="team"))

    async def name_of(*arguments: str) -> str:
        told = await ran("--kubeconfig", file, *arguments)
        return told.stdout.splitlines()[0].split()[-1]

    assert await name_of("status", "blog") == "blog.team"
    assert await name_of("status", "blog.team") == "blog.team"
    assert await name_of("status", "shop.default") == "shop"
    assert await name_of("-n", "default", "status", "shop") == "shop"
    assert await name_of("status", "shop", "-n", "default") == "shop"


async def test_the_plugin_of_kubectl_asks_the_cluster_of_the_current_context(
    cluster: Autoscaler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "kubernetes.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "kubeconfig")
    )
    assert "shop" in (await ran("list", name=PLUGIN)).stdout
    up = await ran("up", name=PLUGIN)
    assert up.exit_code == 2 and "on a cluster the chart installs" in up.stderr


async def test_what_can_not_be_meant(cluster: Autoscaler) -> None:
    both = await cluster.torpor("list", "--state", "/tmp")
    assert both.exit_code == 2 and "--state names a folder of this machine" in both.stderr
    unknown = await cluster.torpor("list", "--context", "elsewhere")
    assert isinstance(unknown.exception, InvalidRequest)
    assert "no context 'elsewhere'" in str(unknown.exception)
    assert "there is test, nowhere" in str(unknown.exception)
    away = await cluster.torpor("list", "--context", "nowhere")
    assert isinstance(away.exception, Unavailable)
    wrong = await cluster.torpor("status", "No_Name")
    assert isinstance(wrong.exception, InvalidRequest)
    missing = await cluster.torpor("status", "blog")
    assert isinstance(missing.exception, NotFound)
    assert "no database 'blog' in the namespace default" in str(missing.exception)


# --- apply and delete ---------------------------------------------------------------------------


async def test_apply_waits_for_the_operator_and_then_for_the_proxies(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    applying = asyncio.create_task(cluster.torpor("apply", "-f", "-", stdin=MANIFEST))
    await until(lambda: stored(kube, "new"))
    provide(kube, "new", storage={"generationOffset": 3})
    assert (await applying).stdout == "new created\n"
    # For computes the generations go on over data that was kept.
    assert cluster.asked == [m.AwaitKnown(name="new", generation=4)]
    made = stored(kube, "new")
    assert made is not None
    assert made["spec"]["idleTimeout"] == "1m30s" and "keepAwake" not in made["spec"]
    again = await cluster.torpor("apply", "-f", "-", stdin=MANIFEST)
    assert again.stdout == "new unchanged\n"
    other = MANIFEST.replace("90s", "2m")
    assert (await cluster.torpor("apply", "-f", "-", stdin=other)).stdout == "new changed\n"


async def test_apply_puts_a_file_without_a_namespace_into_the_chosen_one(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    add_namespaces(kube, "team")
    both = f"{MANIFEST}---\n{MANIFEST.replace('name: new', 'name: fixed, namespace: default')}"
    applying = asyncio.create_task(cluster.torpor("apply", "-n", "team", "-f", "-", stdin=both))
    await until(lambda: stored(kube, "new", "team"))
    provide(kube, "new", "team")
    await until(lambda: stored(kube, "fixed"))
    provide(kube, "fixed")
    assert (await applying).stdout == "new.team created\nfixed created\n"


async def test_delete_puts_to_sleep_first_and_returns_when_it_is_gone(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    provide(kube, "shop", phase="Active", epoch=3)
    result = await cluster.torpor("delete", "shop")
    assert cluster.asked == [m.Suspend(name="shop")]
    assert stored(kube, "shop") is None
    assert result.stdout.startswith("shop is deleted; its data is kept on the volume of its pool\n")


@pytest.mark.parametrize("right", ["/secrets/torpor-client-tls", "/portforward"])
async def test_who_may_only_delete_leaves_the_suspend_to_the_operator(
    kube: FakeKube, cluster: Autoscaler, right: str
) -> None:
    kube.objects.patch((SERVERLESS_DATABASE, "default", "shop"), AWAKE, "status")
    kube.faults.refuses = lambda method, path: path.endswith(right)
    told = await cluster.torpor("suspend", "shop")
    assert isinstance(told.exception, NotAllowed) and "is forbidden" in told.exception.message
    told = await cluster.torpor("delete", "shop", "--yes")
    assert told.exit_code == 0, told.stderr
    assert stored(kube, "shop") is None and cluster.asked == []


async def test_what_the_autoscaler_refuses_keeps_it_where_it_is(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    kube.objects.patch((SERVERLESS_DATABASE, "default", "shop"), AWAKE, "status")
    cluster.answers[m.Suspend] = Refused("it is kept awake")
    assert (await cluster.torpor("delete", "shop", "--yes")).exit_code == 1
    assert stored(kube, "shop") is not None


async def test_a_long_list_comes_in_parts(
    kube: FakeKube, cluster: Autoscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torpor_cli.kubernetes.api_server.PAGE_ITEMS_MAX", 2)
    for number in range(4):
        add_database(kube, f"db-{number}")
    told = await cluster.torpor("list", "-o", "json")
    names = [item["metadata"]["name"] for item in json.loads(told.stdout)["items"]]
    assert names == [f"db-{number}" for number in range(4)] + ["shop"]


async def test_delete_with_its_data_changes_the_policy_first(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    result = await cluster.torpor("delete", "shop", "--data")
    assert result.stdout == "shop is deleted, and all its data\n"
    path = "/apis/torpor.dev/v1alpha1/namespaces/default/serverlessdatabases/shop"
    assert path in requests_of(kube, "PATCH") and path in requests_of(kube, "DELETE")


# --- how clients connect ------------------------------------------------------------------------


async def test_a_uri_has_the_password_of_the_secret_and_the_endpoints_own_host(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    none_yet = await cluster.torpor("uri", "shop")
    assert isinstance(none_yet.exception, NotFound)
    labels = {"torpor.dev/database": "shop"}
    add_secret(kube, "shop-app", "default", CREDENTIALS, labels)
    inside = (await cluster.torpor("uri", "shop")).stdout
    assert inside == "postgresql://app:s3%20cret%2F@shop.default.svc:5432/app?sslmode=require\n"
    provide(kube, "shop", endpoint={"host": "shop.db.example.com", "port": 5432})
    outside = (await cluster.torpor("uri", "shop")).stdout
    assert "@shop.db.example.com:5432/app?sslmode=require" in outside
    other = await cluster.torpor("uri", "shop", "--role", "other")
    assert isinstance(other.exception, NotFound) and "there are those of app" in str(
        other.exception
    )


async def test_the_uri_of_the_console_is_in_torpors_own_namespace(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    secret = {"username": "torpor", "password": "s3 cret/", "port": "5432"}
    host = {"host": "torpor-proxy.torpor-system.svc"}
    add_secret(kube, "torpor-console", SYSTEM, secret | host)
    provide(kube, "shop")
    told = (await cluster.torpor("uri", "torpor")).stdout
    at = "torpor-proxy.torpor-system.svc:5432/torpor?sslmode=require"
    assert told == f"postgresql://torpor:s3%20cret%2F@{at}\n"
    nobody = await cluster.torpor("uri", "torpor", "--role", "app")
    assert isinstance(nobody.exception, NotFound) and "torpor, viewer" in str(nobody.exception)


# --- who can't be reached -----------------------------------------------------------------------


async def test_what_is_not_provided_for_or_has_no_autoscaler_says_so(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    new = {"metadata": {"name": "new", "namespace": "default"}, "spec": {}}
    kube.objects.create(SERVERLESS_DATABASE, new)
    unprovided = await cluster.torpor("why", "new")
    assert isinstance(unprovided.exception, Unavailable)
    assert "nothing is provided for new yet" in str(unprovided.exception)
    kube.forwarding.ports.clear()
    refused = await cluster.torpor("why", "shop")
    assert isinstance(refused.exception, Unavailable)
    assert f"the autoscaler in {SYSTEM} is not to be reached" in str(refused.exception)
    provide(kube, "shop", storage={"namespace": "other"})
    nobody = await cluster.torpor("why", "shop")
    assert isinstance(nobody.exception, NotFound | Unavailable)
