"""Logs, volumes and shells on a cluster: which pod is asked for what, by a person's own rights."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support import fleet_rows as rows
from support.fake_kube.server import FakeKube
from support.verb_places import (
    SYSTEM,
    Autoscaler,
    add_database,
    add_namespaces,
    add_pod,
    on_cluster,
    provide,
)
from torpor_api import messages as m
from torpor_api.failures import NotFound, Refused
from torpor_api.identity import proxy_name
from torpor_cli.kubernetes.cluster import on_cluster as cluster_place
from torpor_cli.logs.source import OfAgent
from torpor_cli.place import NotAllowed


@pytest.fixture
async def kube() -> AsyncIterator[FakeKube]:
    async with FakeKube().serving() as fake:
        yield fake


@pytest.fixture
async def cluster(kube: FakeKube, tmp_path: Path) -> AsyncIterator[Autoscaler]:
    async with on_cluster(tmp_path, kube) as fake:
        fake.answers |= rows.ANSWERS
        yield fake


@pytest.fixture
def volume(kube: FakeKube, cluster: Autoscaler, tmp_path: Path) -> Path:
    """Of shop, which sleeps; one warm compute of its pool has mounted it, as have those of others
    their own."""
    made = tmp_path / "volume"
    (made / "log").mkdir(parents=True)
    (made / "log" / "postgres.log").write_text("2027-01-01 12:00:00 UTC [1] LOG:  ready\n")
    provide(kube, "shop", storage={"directory": str(made), "claim": "torpor-pool-default"})
    add_pod(kube, "compute", "compute-large-x", pool="large")
    add_pod(kube, "compute", "compute-default-own", pool="default", dedicated="true")
    add_pod(kube, "compute", "compute-default-a", pool="default")
    add_pod(kube, "compute", "compute-default-b", pool="default")
    return made


async def test_the_log_of_one_that_sleeps_is_read_where_its_volume_is_mounted(
    kube: FakeKube, cluster: Autoscaler, volume: Path
) -> None:
    told = await cluster.torpor("logs", "shop")
    assert told.exit_code == 0, told.output
    assert told.stdout == "2027-01-01 12:00:00 UTC [1] LOG:  ready\n"
    assert [pod for pod, _ in kube.containers.ran] == ["compute-default-a"]


async def test_an_awake_one_is_read_in_its_own_compute(
    kube: FakeKube, cluster: Autoscaler, volume: Path
) -> None:
    storage = {"directory": str(volume)}
    provide(kube, "shop", phase="Active", epoch=3, compute="compute-default-b", storage=storage)
    assert (await cluster.torpor("logs", "shop")).exit_code == 0
    assert [pod for pod, _ in kube.containers.ran] == ["compute-default-b"]


async def test_a_log_that_is_long_is_read_from_its_end(
    kube: FakeKube, cluster: Autoscaler, volume: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torpor_cli.kubernetes.within.VOLUME_LOG_BYTES_MAX", 5000)
    lines = [f"2027-01-01 12:00:00 UTC [1] LOG:  line {number:04}" for number in range(1000)]
    (volume / "log" / "postgres.log").write_text("\n".join(lines) + "\n")
    told = (await cluster.torpor("logs", "shop")).stdout.splitlines()
    assert told[-1] == lines[-1] and 90 < len(told) < 120


async def test_where_nothing_was_ever_said_that_is_said(cluster: Autoscaler, volume: Path) -> None:
    (volume / "log" / "postgres.log").unlink()
    missing = await cluster.torpor("logs", "shop")
    assert isinstance(missing.exception, NotFound)


async def test_what_nobody_has_mounted_is_refused_with_what_to_do(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    refused = await cluster.torpor("logs", "shop")
    assert isinstance(refused.exception, Refused)
    assert refused.exception.hint.startswith("`torpor resume shop --kubeconfig ")


async def test_who_may_run_nothing_in_pods_hears_which_right_is_missing(
    kube: FakeKube, cluster: Autoscaler, volume: Path
) -> None:
    kube.faults.refuses = lambda method, path: path.endswith("/exec")
    refused = await cluster.torpor("logs", "shop")
    assert isinstance(refused.exception, NotAllowed)
    assert "pods/exec" in refused.exception.hint
    assert refused.exception.message.endswith("/exec is forbidden: exceeded quota")
    assert "Handshake" not in refused.exception.message


async def test_the_agents_log_is_its_containers(kube: FakeKube, cluster: Autoscaler) -> None:
    lines = [
        ("2027-01-01T12:00:00.000000001Z", '{"event": "warm"}'),
        ("2027-01-01T12:00:00.500000000Z", '{"event": "claimed"}'),
    ]
    kube.containers.logs[SYSTEM, "c2"] = lines
    told = await cluster.torpor("logs", "compute/c2", "-o", "json")
    assert told.exit_code == 0, told.output
    first, second = map(json.loads, told.stdout.splitlines())
    assert (first["source"], second["line"]) == ("compute/c2", '{"event": "claimed"}')
    assert second["at"] == "2027-01-01T12:00:00.500000+00:00"


async def test_what_is_new_in_a_containers_log_is_told_once(
    kube: FakeKube, cluster: Autoscaler, tmp_path: Path
) -> None:
    lines = [("2027-01-01T12:00:00.100000000Z", "first")]
    kube.containers.logs[SYSTEM, "c2"] = lines
    place = cluster_place(None, tmp_path / "kubeconfig", None)
    reader = await asyncio.to_thread(lambda: place.inside.log(OfAgent("c2"), since_s=None))

    async def read() -> list[str]:
        return [text for _, text in await asyncio.to_thread(reader.read)]

    assert await read() == ["first"]
    assert await read() == []
    lines.append(("2027-01-01T12:00:00.200000000Z", "same second"))
    lines.append(("2027-01-01T12:00:07.000000000Z", "later"))
    assert await read() == ["same second", "later"]


async def test_a_sessions_lines_are_those_of_its_proxys_pod(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    pinned = rows.PINNED.model_copy(update={"proxy": proxy_name("torpor-proxy-a", 7)})
    cluster.answers[m.Sessions] = m.SessionList(sessions=(pinned,), total=1)
    told = await cluster.torpor("logs", "session/17")
    assert isinstance(told.exception, NotFound), told.output
    assert "the pod of proxy-torpor-proxy-a-7 is gone" in told.exception.message
    for pod in ("torpor-proxy-a-7", "torpor-proxy-a", "torpor-proxy"):
        add_pod(kube, "proxy", pod)
    kube.containers.logs[SYSTEM, "torpor-proxy-a"] = [
        ("2027-01-01T12:00:00.100000000Z", '{"event": "session_refused", "session": 17}'),
        ("2027-01-01T12:00:00.200000000Z", '{"event": "session_refused", "session": 170}'),
    ]
    told = await cluster.torpor("logs", "session/17")
    assert told.stdout == '{"event": "session_refused", "session": 17}\n'


async def test_volumes_are_those_of_the_databases_that_are_shown(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    add_namespaces(kube, "team")
    add_database(kube, "blog", "team", storage={"claim": "torpor-data-team.blog"})
    told = json.loads((await cluster.torpor("get", "volumes", "-o", "json")).stdout)
    assert [(each["name"], each["claim"]) for each in told["items"]] == [
        ("shop", ""),
        ("blog.team", "torpor-data-team.blog"),
    ]
    only = await cluster.torpor("get", "volumes", "-n", "team", "-o", "name")
    assert only.stdout == "volume/blog.team\n"


async def test_a_shell_is_kubectls_in_the_pod_in_the_data_directory(
    kube: FakeKube,
    cluster: Autoscaler,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/argv\nexit 3\n')
    kubectl.chmod(0o755)
    monkeypatch.setenv("PATH", str(kubectl.parent), prepend=os.pathsep)
    provide(kube, "shop", phase="Active", epoch=3, compute="c1")
    told = await cluster.torpor("shell", "shop", "psql", "-c", "select 1")
    assert told.exit_code == 3, told.output
    argv = (tmp_path / "argv").read_text().splitlines()
    assert argv[:2] == [f"--kubeconfig={tmp_path}/kubeconfig", "exec"]
    assert argv[3:6] == ["c1", f"--namespace={SYSTEM}", "--container=compute"]
    assert "/volumes/shop/data" in argv and "PGHOST=/run/torpor" in argv
    assert argv[-3:] == ["psql", "-c", "select 1"]


async def test_a_namespace_shows_only_its_own_of_the_fleet(
    kube: FakeKube, cluster: Autoscaler
) -> None:
    add_namespaces(kube, "team")
    add_database(kube, "blog", "team")
    cluster.answers[m.AskFleet] = m.FleetPage(
        databases=(rows.database("blog.team"), rows.awake("shop", "c1")), at=""
    )
    told = json.loads((await cluster.torpor("top", "-n", "team", "-o", "json")).stdout)
    assert [row["name"] for row in told["databases"]] == ["blog.team"]
    assert [row["compute"] for row in told["computes"]] == ["c2"]
