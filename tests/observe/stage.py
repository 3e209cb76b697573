"""Everything that has metrics, at work: `torpor up`, an agent with a port, an operator.

The operator works against an API server in this process, since it needs a Kubernetes; all of it is
on this machine's loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from support.operating import add_pool, operating, serving
from support.ports import free_address
from support.postgres import binaries
from support.up import WAIT_SECONDS_MAX, Database, Up, running_up, until
from torpor_channel.address import TcpAddress
from torpor_channel.health import answering
from torpor_channel.metrics import Metrics
from torpor_cli.client import ask_autoscaler
from torpor_operator.main import tell_leader, tell_metrics

WAKES = 3
"""By a session that was held: their first rows are seen."""

RESOURCES = 3
"""That the operator looks after."""


@dataclass(frozen=True, slots=True)
class Stage:
    up: Up
    jobs: dict[str, str]
    """Who is to be scraped, and where."""


@contextlib.contextmanager
def set_up(folder: Path) -> Iterator[Stage]:
    port = free_pair()
    with (
        running_up("--metrics", str(port), "--no-limits") as up,
        an_agent(folder / "agent") as agent,
        an_operator(folder) as operator,
    ):
        proxy, autoscaler = (TcpAddress("127.0.0.1", port + n) for n in (0, 1))
        jobs = {"proxy": proxy, "autoscaler": autoscaler, "agent": agent, "operator": operator}
        yield Stage(up, {job: str(address) for job, address in jobs.items()})


def free_pair() -> int:
    """A port that is free, as is the next one."""
    while True:
        port = free_address().port
        with contextlib.suppress(OSError):
            socket.create_server(("127.0.0.1", port + 1)).close()
            return port


@contextlib.contextmanager
def an_agent(folder: Path) -> Iterator[TcpAddress]:
    """Warm, as the ones of `torpor up` are, and asked by nobody."""
    folder.mkdir()
    health = free_address()
    argv = [sys.executable, "-m", "torpor_compute", "--compute", "watched"]
    argv += ["--listen", str(folder / "agent.sock"), "--run-dir", str(folder / "run")]
    argv += ["--postgres", str(binaries().directory), "--postgres-version", binaries().major]
    argv += ["--proxy-user", "nobody", "--health", str(health)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log)
    try:
        until((folder / "agent.sock").exists, "the agent listens", WAIT_SECONDS_MAX)
        yield health
    finally:
        process.terminate()
        process.wait(WAIT_SECONDS_MAX)


@contextlib.contextmanager
def an_operator(folder: Path) -> Iterator[TcpAddress]:
    """In a thread of its own, looking after some resources again and again."""
    begun: Future[None] = Future()
    health, told = free_address(), threading.Event()
    thread = threading.Thread(target=_operate, args=(folder, health, begun, told))
    thread.start()
    try:
        begun.result(WAIT_SECONDS_MAX)
        yield health
    finally:
        told.set()
        thread.join(WAIT_SECONDS_MAX)


def _operate(folder: Path, health: TcpAddress, begun: Future[None], told: threading.Event) -> None:
    async def operate() -> None:
        metrics = Metrics("operator")
        tell_leader(metrics, lambda: True)
        async with serving() as fake, answering(health, str, metrics.told):
            add_pool(fake)
            async with operating(fake, folder / "operator") as world:
                tell_metrics(metrics, world.operator)
                for number in range(RESOURCES):
                    world.make(f"d{number}")
                await world.settled()
                begun.set_result(None)
                turn = 0
                while not told.is_set():
                    # Each change is looked at.
                    turn += 1
                    world.say("d0", epoch=turn)
                    await asyncio.sleep(0.5)

    try:
        asyncio.run(operate())
    except BaseException as error:
        if not begun.done():
            begun.set_exception(error)
        raise


def play(up: Up) -> None:
    """What the life of databases brings: each kind of transition, waits, and refusals."""
    shop = up.database()
    with psycopg.connect(shop.uri(), autocommit=True) as session:
        _sleep_and_wake(shop, session)
        _move(shop, session)
        _lose(shop, session)
        _refuse(shop)


def _sleep_and_wake(shop: Database, session: psycopg.Connection[tuple[object, ...]]) -> None:
    for _ in range(WAKES):
        shop.captured(session.info.backend_pid)
        shop.fall_asleep()
        session.execute("select 2")


def _move(shop: Database, session: psycopg.Connection[tuple[object, ...]]) -> None:
    ask_autoscaler(shop.up.folder, "Switchover", name=shop.name)
    session.execute("select 3")


def _lose(shop: Database, session: psycopg.Connection[tuple[object, ...]]) -> None:
    """Its compute ends under an idle session, which goes on."""
    shop.captured(session.info.backend_pid)
    before = shop.epoch
    os.kill(shop.agent, signal.SIGKILL)
    # What is sent before the loss is noticed would be lost with it.
    until(lambda: shop.epoch > before, "another compute is claimed")
    session.execute("select 4")


def _refuse(shop: Database) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(shop.uri(), password="wrong")
    socket.create_connection((shop.up.host, shop.up.port), WAIT_SECONDS_MAX).close()
