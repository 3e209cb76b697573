"""Proxy, autoscaler and agents over mutual TLS, with a real Postgres that takes certificates."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from support.agent import WAIT_SECONDS_MAX, until
from support.certificates import Authority
from support.connections import Recorder
from support.network_agents import address_of
from support.network_town import NetworkTown, opened_network_town
from support.postgres import postmaster_of
from support.wire_client import query
from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_channel.client import dialled
from torpor_channel.tls import AUTOSCALER, COMPUTE, PROXY, Identity, Trust
from torpor_proxy.adapters.network_compute import NetworkComputes
from torpor_proxy.core import wire


@pytest.fixture
async def town() -> AsyncIterator[NetworkTown]:
    async with opened_network_town() as opened:
        yield opened


async def one(connection: psycopg.AsyncConnection[Any], sql: str, *values: Any) -> Any:
    row = await (await connection.execute(sql, values or None)).fetchone()
    return None if row is None else row[0]


async def test_a_session_sleeps_and_wakes_and_is_the_same(town: NetworkTown) -> None:
    async with await town.connect() as client, await town.connect() as other:
        row = await (
            await client.execute(
                "select version, client_dn from pg_stat_ssl where pid=pg_backend_pid()"
            )
        ).fetchone()
        assert row == ("TLSv1.3", f"/CN={PROXY}")
        await client.execute("set application_name = 'mine'; set work_mem = '7MB'")
        await client.execute("listen news")
        await client.execute("prepare p as select $1::int * 2")
        await town.fall_asleep()
        assert await one(other, "select 1") == 1
        assert await one(client, "execute p(21)") == 42
        assert await one(client, "show work_mem") == "7MB"
        await other.execute("notify news, 'after'")
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            async for notice in client.notifies():
                assert notice.payload == "after"
                break
    assert town.cluster.resources["shop"].status.epoch == 2


async def test_a_query_is_cancelled(town: NetworkTown) -> None:
    async with await town.connect() as client, await town.connect() as other:
        sleeping = asyncio.create_task(one(client, "select pg_sleep(600)"))
        running = "select count(*) from pg_stat_activity where query like '%pg_sleep(600)' "
        while not await one(other, f"{running} and state='active' and pid<>pg_backend_pid()"):
            await asyncio.sleep(0.02)
        await client.cancel_safe(timeout=WAIT_SECONDS_MAX)
        with pytest.raises(psycopg.errors.QueryCanceled):
            await sleeping
        assert await one(client, "select 'goes on'") == "goes on"


async def test_a_client_that_has_ended_its_side_gets_its_answers(town: NetworkTown) -> None:
    async with await town.connect() as client:
        with socket.socket(fileno=os.dup(client.fileno())) as raw:
            await asyncio.to_thread(hears_all_behind_its_end, raw)


def hears_all_behind_its_end(raw: socket.socket) -> None:
    raw.settimeout(WAIT_SECONDS_MAX)
    raw.sendall(query(f"select pg_sleep(0.2), repeat('x', {5 << 20})"))
    raw.shutdown(socket.SHUT_WR)
    said = b""
    while data := raw.recv(1 << 20):
        said += data
    kinds = b"".join(kind for kind, _ in wire.split(said)[0])
    assert kinds == b"TDCZ" and len(said) > 5 << 20


async def test_much_passes_both_ways(town: NetworkTown) -> None:
    async with await town.connect() as client:
        text = "x" * (5 << 20)
        assert await one(client, "select %s::text", text) == text


@pytest.mark.parametrize("direct_tls", [True, False])
async def test_a_real_postgres_takes_either_way_into_tls(
    town: NetworkTown, direct_tls: bool
) -> None:
    async with await town.connect() as client:
        await client.execute("select 1")
        state: m.AgentState = await town.compute.ask(m.AskAgentState())
        assert state.address is not None and state.address.direct_tls
        address = state.address.model_copy(update={"direct_tls": direct_tls})
        stream = await NetworkComputes(Identity(town.proxy_tls)).dial(address)
        gone = asyncio.Event()
        stream.when_gone(gone.set)
        stream.sink = sink = Recorder()
        stream.write(wire.startup([("user", "app"), ("database", "app")]))
        await until(lambda: sink.data[-6:-1] == b"Z\0\0\0\x05", "it is logged in")
        assert sink.data.startswith(b"R\0\0\0\x08\0\0\0\0")
        stream.close()
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            await gone.wait()


@pytest.mark.parametrize("victim", ["postgres", "agent"])
async def test_an_idle_session_outlives_a_kill(town: NetworkTown, victim: str) -> None:
    async with await town.connect() as client:
        await client.execute("set work_mem = '7MB'")
        await town.captured()
        await town.cluster.add_agent()
        if victim == "agent":
            await town.cluster.lose(town.compute.compute)
        else:
            os.kill(postmaster_of(town.agents.root / "default.shop"), signal.SIGKILL)
        await town.detached()
        assert await one(client, "show work_mem") == "7MB"


# --- who may not come in -----------------------------------------------------------------------


def straight(town: NetworkTown, **more: Any) -> dict[str, Any]:
    """To the compute itself."""
    host = address_of(town.compute).host
    return {"host": host, "user": "app", "dbname": "app", "connect_timeout": 10, **more}


async def refused(**connection: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as error:
        await psycopg.AsyncConnection.connect(**connection)
    return str(error.value)


def shown(authority: Authority, town: NetworkTown, name: str) -> dict[str, str]:
    """Of somebody with a certificate."""
    files = authority.folder(town.agents.root / f"stranger-{name}", name)
    return {"sslcert": str(files / "tls.crt"), "sslkey": str(files / "tls.key")}


async def test_a_compute_lets_in_the_proxy_and_nobody_else(town: NetworkTown) -> None:
    async with await town.connect() as client:
        await client.execute("select 1")
        ours, theirs = town.agents.authority, Authority("another")
        plain = straight(town, sslmode="disable", password="secret")
        assert "no encryption" in await refused(**plain)
        encrypted = straight(town, sslmode="require", password="secret")
        assert "requires a valid client certificate" in await refused(**encrypted)
        stranger = straight(town, sslmode="require", **shown(theirs, town, PROXY))
        assert "unknown ca" in (await refused(**stranger)).lower()
        for name in (COMPUTE, AUTOSCALER):
            other = straight(town, sslmode="require", **shown(ours, town, name))
            assert "certificate authentication failed" in await refused(**other)
        proxy = straight(town, sslmode="require", **shown(ours, town, PROXY))
        async with await psycopg.AsyncConnection.connect(**proxy) as allowed:
            assert await one(allowed, "select session_user") == "app"
        admin = await refused(**{**proxy, "user": "torpor_admin"})
        assert "certificate authentication failed" in admin


async def test_a_proxy_with_a_wrong_certificate_gets_nowhere(
    town: NetworkTown, caplog: pytest.LogCaptureFixture
) -> None:
    """And the autoscaler's log says why."""
    ours = (town.agents.tls / "ca.crt").read_bytes()
    for authority, name in ((town.agents.authority, COMPUTE), (Authority("another"), PROXY)):
        files = authority.folder(town.agents.root / "wrong", name)
        (files / "ca.crt").write_bytes(ours)
        with pytest.raises(Unavailable):
            async with dialled(town.autoscaler, {}, Trust(Identity(files), AUTOSCALER)) as peer:
                await peer.ask(m.RegisterProxy(proxy="another"), timeout_s=WAIT_SECONDS_MAX)
    await until(lambda: len(reasons(caplog)) == 2, "both are in the log")
    first, second = reasons(caplog)
    assert f"{COMPUTE!r}" in first and "certificate verify failed" in second


def reasons(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Why the autoscaler hung up."""
    found = [each for each in caplog.records if each.message == "stranger_refused"]
    return [str(vars(each)["reason"]) for each in found]


# --- certificates that change --------------------------------------------------------------------


async def test_another_ca_while_a_database_is_awake(town: NetworkTown) -> None:
    """Its Postgres learns of it within some seconds, without a restart."""
    async with await town.connect() as client:
        postmaster = postmaster_of(town.agents.root / "default.shop")
        the_next = Authority("the next")
        both = b"".join(
            (a / "ca.crt").read_bytes()
            for a in (town.agents.tls, the_next.folder(town.agents.root / "next", PROXY))
        )
        (town.agents.tls / "ca.crt").write_bytes(both)
        proxy = straight(town, sslmode="require", **shown(the_next, town, PROXY))
        async with asyncio.timeout(WAIT_SECONDS_MAX):
            while True:
                with contextlib.suppress(psycopg.OperationalError):
                    async with await psycopg.AsyncConnection.connect(**proxy):
                        break
                await asyncio.sleep(0.2)
        assert await one(client, "select 1") == 1
        assert postmaster_of(town.agents.root / "default.shop") == postmaster
