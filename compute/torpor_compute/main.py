"""Wires the agent together and runs it until SIGTERM or SIGINT, or in a pod until it is used up."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from torpor_api.failures import Failure, InvalidRequest
from torpor_api.identity import ComputeId
from torpor_api.logs import log_to_stderr
from torpor_api.messages import ComputeAddress, ComputeUse, StoragePlace
from torpor_channel.admission import Admission
from torpor_channel.health import answering
from torpor_channel.server import Server
from torpor_channel.tls import PROXY, Identity
from torpor_compute import settings as settings_of
from torpor_compute.adapters import cgroup
from torpor_compute.adapters.children import Children
from torpor_compute.adapters.metrics import AgentMetrics
from torpor_compute.adapters.new_volume import Seed
from torpor_compute.adapters.postgres import PostgresProcess, PostgresSettings
from torpor_compute.adapters.server_tls import ServerTls
from torpor_compute.adapters.sql import AdminSql
from torpor_compute.adapters.volume import FileVolume
from torpor_compute.answers import Listeners, handlers_of, rights
from torpor_compute.core.access_rules import hba_text, ident_text
from torpor_compute.core.claim import Claim
from torpor_compute.core.lifecycle import State
from torpor_compute.core.postgres_options import DIRECT_TLS_SINCE, PORT
from torpor_compute.executor import Agent
from torpor_compute.ports import Serving
from torpor_compute.refilling import Refilling
from torpor_compute.rehearsal import rehearse
from torpor_compute.sampling import Sampling
from torpor_compute.settings import Settings

log = logging.getLogger(__name__)

CA_LOOK_SECONDS = 10.0
"""Between two looks for a new CA. A rotation leaves the old one valid for much longer than that."""


def main(argv: Sequence[str]) -> int:
    try:
        settings = settings_of.parse(argv, os.environ)
    except InvalidRequest as invalid:
        sys.stderr.write(f"torpor_compute: {invalid.message}\n")
        return 2
    cgroup.enter(settings.cgroup)
    told_as = LogIdentity(settings.compute)
    log_to_stderr("agent", os.environ, told_as.fields)
    try:
        return asyncio.run(run(settings, told_as))
    except Failure as failure:
        # Whoever started the process starts it again, or another one.
        fields = {"kind": failure.kind, "reason": failure.message, "hint": failure.hint}
        log.error("not_started", extra=fields)
        return 2 if isinstance(failure, InvalidRequest) else 1


class LogIdentity:
    """Whom each line of the log names: all agents of a machine write to one."""

    def __init__(self, compute: ComputeId) -> None:
        self.fields: dict[str, object] = {"compute": compute}

    def became(self, _: State, claim: Claim | None, __: Serving | None) -> None:
        """The agent serves one claim in its life."""
        if claim is not None:
            self.fields |= {"database": claim.database, "epoch": claim.epoch}


async def run(settings: Settings, told_as: LogIdentity) -> int:
    """The exit status. Listens last: whoever can connect finds an agent that can start at once."""
    asked_to_end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked_to_end.set)
    identity = None if settings.tls is None else Identity(settings.tls)
    places = _prepare(settings)
    postgres = PostgresProcess(places, Children())
    container = cgroup.of_compute(settings.cgroup, has_own_container=settings.has_own_container)
    listeners, watchers = Listeners(), Listeners()
    refilling = Refilling(is_on=bool(settings.refills))
    sampling = Sampling(
        postgres,
        watchers.tell,
        lambda: not watchers.is_empty,
        container,
        may_look=lambda: not refilling.is_under_way,
    )
    metrics = AgentMetrics()
    agent = Agent(
        settings.compute,
        _address(settings, places),
        postgres,
        sql_of=lambda: AdminSql(settings.run_directory),
        volume_of=lambda storage: _volume(settings, storage, container),
        tell=listeners.tell,
        max_connections=settings.max_connections,
        linger_seconds=settings.linger_seconds,
        became=(told_as.became, refilling.became, sampling.became, metrics.became),
    )
    # The first use of a thread takes 2 ms, which the claim shall not have to wait for.
    await asyncio.to_thread(os.getpid)
    rehearse(_address(settings, places))
    handlers = handlers_of(agent, listeners, watchers, sampling, refilling)
    admission = None if identity is None else Admission(identity, rights(handlers))
    server = Server(handlers, admission)
    await server.listen(settings.listen)
    async with (
        _renewing_ca(postgres, is_needed=places.tls is not None),
        answering(settings.health, why_not_ready=str, metrics=metrics.told),
    ):
        await _until_end(agent, asked_to_end, settings)
    await sampling.end()
    await refilling.end()
    await agent.end(settings.end_seconds_max)
    await server.close()
    return int(agent.lifetime.has_failed and settings.ends_by_itself)


async def _until_end(agent: Agent, asked_to_end: asyncio.Event, settings: Settings) -> None:
    """Told to end, a Postgres goes on for as long as its sessions may need to move elsewhere."""
    events = [asked_to_end, *([agent.lifetime.is_over] if settings.ends_by_itself else [])]
    waiting = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    if asked_to_end.is_set() and settings.leave_seconds > 0:
        agent.leave(settings.leave_seconds)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(settings.leave_seconds):
                await agent.lifetime.may_leave.wait()


@contextlib.asynccontextmanager
async def _renewing_ca(postgres: PostgresProcess, *, is_needed: bool) -> AsyncIterator[None]:
    async def renew() -> None:
        while is_needed:
            await asyncio.sleep(CA_LOOK_SECONDS)
            try:
                postgres.renew_ca()
            except OSError as error:
                # In the middle of a change: the next look finds it done.
                log.warning("ca_unreadable", extra={"reason": str(error)})

    task = asyncio.create_task(renew())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _address(settings: Settings, places: PostgresSettings) -> ComputeAddress:
    if places.tls is None:
        return ComputeAddress(
            socket_directory=str(settings.run_directory),
            port=PORT,
            agent=settings.advertised,
            compute=settings.compute,
            user_id=os.geteuid(),
        )
    return ComputeAddress(
        host=settings.advertise,
        port=PORT,
        agent=settings.advertised,
        compute=settings.compute,
        certificate_sha256=places.tls.sha256,
        direct_tls=int(settings.postgres_version) >= DIRECT_TLS_SINCE,
    )


def _volume(
    settings: Settings, storage: StoragePlace, container: Callable[[], ComputeUse] | None
) -> FileVolume:
    seed = None
    if storage.may_create and settings.template is not None:
        seed = Seed(settings.template, storage.user_id)
    directory, version = Path(storage.directory), settings.postgres_version
    return FileVolume(directory, settings.compute, version, seed, container)


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
        host=settings.advertise,
        tls=None if settings.tls is None else ServerTls(folder, settings.tls / "ca.crt"),
    )
    proxy = settings.proxy_user if settings.tls is None else PROXY
    _write(places.hba_file, hba_text(over_network=settings.tls is not None))
    _write(places.ident_file, ident_text(settings.agent_user, proxy))
    return places


def _write(path: Path, text: str) -> None:
    """Readable for the tenant's user id, writable for ours only, whatever the umask says."""
    path.write_text(text)
    os.chmod(path, 0o644)
