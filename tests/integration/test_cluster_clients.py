"""Clients on this machine of a cluster's database: by a port of a proxy that the API server
forwards."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from support.fake_kube.server import FakeKube
from support.postgres_log import as_csv, took
from support.up import WAIT_SECONDS_MAX, Database
from support.verb_places import (
    SYSTEM,
    add_database,
    add_namespaces,
    add_pod,
    add_secret,
    kubeconfig,
)
from torpor_channel.address import TcpAddress


async def torpor(file: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Its exit status, and what it says."""
    argv = (sys.executable, "-m", "torpor_cli.main", "--kubeconfig", str(file), *arguments)
    running = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    output, errors = await asyncio.wait_for(running.communicate(), 3 * WAIT_SECONDS_MAX)
    return running.returncode, output.decode(), errors.decode()


def add_inside(kube: FakeKube, database: Database) -> None:
    """As the operator would; its host's name is known in the cluster only."""
    add_namespaces(kube, SYSTEM)
    add_database(kube, database.name)
    credentials = {
        "username": database.connection().role,
        "password": database.password,
        "host": f"{database.name}.default.svc",
        "port": "5432",
    }
    labels = {"torpor.dev/database": database.name}
    add_secret(kube, f"{database.name}-app", "default", credentials, labels)


def add_proxy(kube: FakeKube, database: Database) -> None:
    add_pod(kube, "proxy", "proxy-1")
    there = TcpAddress(database.up.host, database.up.port)
    kube.forwarding.ports[SYSTEM, "proxy-1", 5432] = there


async def test_psql(database: Database, tmp_path: Path) -> None:
    async with FakeKube().serving() as kube:
        add_inside(kube, database)
        file = kubeconfig(tmp_path, kube)
        none = await torpor(file, "psql", database.name, "-c", "select 1")
        assert (
            none[0] == 2 and "torpor: no proxy is ready in the namespace torpor-system" in none[2]
        )
        add_proxy(kube, database)
        sql = "select current_user, repeat('x', 3000000)"
        status, output, errors = await torpor(file, "psql", database.name, "-At", "-c", sql)
        assert (status, errors) == (0, "")
        assert output == f"{database.connection().role}|{'x' * 3_000_000}\n"
        failed = await torpor(file, "psql", database.name, "-c", "select 1/0")
        assert failed[0] == 1 and "division by zero" in failed[2]


async def test_replay(database: Database, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    told = took(2, 1, "execute s: select $1::int", detail="parameters: $1 = '1'", session_id="2")
    log.write_text(as_csv([took(1, 1, "statement: create table t (a int)"), told]))
    async with FakeKube().serving() as kube:
        add_inside(kube, database)
        file = kubeconfig(tmp_path, kube)
        arguments = ("replay", str(log), "--to", database.name, "--speed", "max")
        status, _, errors = await torpor(file, *arguments)
        assert status == 1 and "no proxy is ready" in errors
        add_proxy(kube, database)
        status, output, errors = await torpor(file, *arguments)
        assert status == 0, errors
        assert "2 of 2 statements of 2 sessions" in output and "through the API server" in output
        assert "the autoscaler was not heard" in output
