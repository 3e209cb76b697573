"""Wires the agent together and runs it until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from torpor_api.failures import InvalidRequest
from torpor_api.identity import ComputeId
from torpor_api.logs import log_as_json
from torpor_api.messages import ComputeAddress
from torpor_channel.server import Server
from torpor_compute import settings as settings_of
from torpor_compute.adapters.children import Children
from torpor_compute.adapters.postgres import PostgresProcess, PostgresSettings
from torpor_compute.adapters.sql import AdminSql
from torpor_compute.adapters.volume import FileVolume
from torpor_compute.answers import Listeners, handlers_of
from torpor_compute.core.access_rules import hba_text, ident_text
from torpor_compute.core.postgres_options import PORT
from torpor_compute.executor import Agent
from torpor_compute.settings import Settings


def main(argv: Sequence[str]) -> int:
    try:
        settings = settings_of.parse(argv, os.environ)
    except InvalidRequest as refused:
        sys.stderr.write(refused.message + "\n")
        return 2
    _log_as(settings.compute)
    asyncio.run(run(settings))
    return 0


async def run(settings: Settings) -> None:
    """Listens last: whoever can connect finds an agent that can start at once."""
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    postgres = PostgresProcess(_prepare(settings), Children())
    listeners = Listeners()
    agent = Agent(
        settings.compute,
        ComputeAddress(
            socket_directory=str(settings.run_directory),
            port=PORT,
            agent=str(settings.listen),
            user_id=os.geteuid(),
        ),
        postgres,
        sql_of=lambda: AdminSql(settings.run_directory),
        volume_of=lambda storage: FileVolume(
            Path(storage.directory), settings.compute, settings.postgres_version
        ),
        tell=listeners.tell,
        max_connections=settings.max_connections,
    )
    # The first use of a thread takes 2 ms, which the claim shall not have to wait for.
    await asyncio.to_thread(os.getpid)
    server = Server(handlers_of(agent, listeners))
    await server.listen(settings.listen)
    await asked_to_end.wait()
    await agent.end()
    await server.close()


def _log_as(compute: ComputeId) -> None:
    """Every line names the compute: all agents of a machine write to one log."""

    def name_it(record: logging.LogRecord) -> bool:
        record.compute = compute
        return True

    log_as_json()
    for handler in logging.getLogger().handlers:
        handler.addFilter(name_it)


def _prepare(settings: Settings) -> PostgresSettings:
    """The folder of Postgres's socket, and the rules of who may log in, written ahead of need."""
    folder = settings.run_directory
    folder.mkdir(mode=0o711, parents=True, exist_ok=True)
    places = PostgresSettings(
        program=settings.postgres,
        socket_directory=folder,
        hba_file=folder / "pg_hba.conf",
        ident_file=folder / "pg_ident.conf",
        start_seconds_max=settings.start_seconds_max,
    )
    _write(places.hba_file, hba_text())
    _write(places.ident_file, ident_text(settings.agent_user, settings.proxy_user))
    return places


def _write(path: Path, text: str) -> None:
    """Readable for the tenant's user id, writable for ours only, whatever the umask says."""
    path.write_text(text)
    os.chmod(path, 0o644)
