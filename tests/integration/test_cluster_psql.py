"""`torpor psql` on a cluster: a real psql, by a port of a proxy that the API server forwards."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from support.fake_kube.server import FakeKube
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


async def psql(file: Path, *arguments: str) -> tuple[int | None, str, str]:
    """Its exit status, and what it says."""
    argv = (sys.executable, "-m", "torpor_cli.main", "--kubeconfig", str(file), "psql", *arguments)
    running = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    output, errors = await asyncio.wait_for(running.communicate(), WAIT_SECONDS_MAX)
    return running.returncode, output.decode(), errors.decode()


async def test_psql_reaches_a_database_whose_endpoint_is_inside_of_the_cluster(
    database: Database, tmp_path: Path
) -> None:
    known = database.connection()
    async with FakeKube().serving() as kube:
        add_namespaces(kube, SYSTEM)
        add_database(kube, database.name)
        credentials = {
            "username": known.role,
            "password": database.password,
            "host": f"{database.name}.default.svc",
            "port": "5432",
        }
        labels = {"torpor.dev/database": database.name}
        add_secret(kube, f"{database.name}-app", "default", credentials, labels)
        file = kubeconfig(tmp_path, kube)
        none = await psql(file, database.name, "-c", "select 1")
        assert (
            none[0] == 2 and "torpor: no proxy is ready in the namespace torpor-system" in none[2]
        )
        add_pod(kube, "proxy", "proxy-1")
        there = TcpAddress(database.up.host, database.up.port)
        kube.forwarding.ports[SYSTEM, "proxy-1", 5432] = there
        sql = "select current_user, repeat('x', 3000000)"
        status, output, errors = await psql(file, database.name, "-At", "-c", sql)
        assert (status, errors) == (0, "")
        assert output == f"{known.role}|{'x' * 3_000_000}\n"
        failed = await psql(file, database.name, "-c", "select 1/0")
        assert failed[0] == 1 and "division by zero" in failed[2]
