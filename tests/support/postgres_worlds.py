"""A Postgres that a contract test may start, stop and break: one in memory, and a real one.

The real adapter kills whatever children its process has (that is its task), so each test of it runs
in a process of its own: see :func:`alone`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from support.fakes.compute import FakeCompute
from support.postgres import binaries, postmaster_of, processes_on
from torpor_api.failures import StartFailed, Unavailable
from torpor_api.messages import StoragePlace
from torpor_api.sizes import Size
from torpor_compute.adapters.children import Children
from torpor_compute.adapters.postgres import PostgresProcess, PostgresSettings
from torpor_compute.core.access_rules import ADMIN, hba_text, ident_text
from torpor_compute.ports import Launch, Postgres

ALONE_SECONDS_MAX = 200.0

START_SECONDS_MAX = 90.0

WITHOUT_END = "DO $$ BEGIN LOOP END LOOP; END $$"


class Client(Protocol):
    """Somebody who is connected."""

    process: int

    async def ping(self) -> None:
        """Raises where its session has ended."""

    def toil(self) -> None:
        """Something without end: it does not notice by itself that the postmaster is dead."""

    async def leave(self) -> None: ...


class World(Protocol):
    """A Postgres that has not been started, and the data for it."""

    postgres: Postgres
    launch: Launch

    async def connect(self) -> Client:
        """Raises Unavailable where nobody is let in."""

    def spoil(self) -> None:
        """It does not start any more."""

    def mend(self) -> None: ...

    def kill(self) -> None:
        """The postmaster dies, and nobody has asked it to."""

    def left(self) -> list[int]:
        """Processes of it that live."""


class FakeClient:
    def __init__(self, compute: FakeCompute, process: int) -> None:
        self.process = process
        self._compute = compute

    async def ping(self) -> None:
        if self.process not in self._compute.postgres.clients:
            raise ConnectionError("its session has ended")

    def toil(self) -> None:
        """In memory every process ends with the postmaster."""

    async def leave(self) -> None:
        self._compute.postgres.disconnect(self.process)


class FakeWorld:
    def __init__(self) -> None:
        self._compute = FakeCompute()
        self.postgres: Postgres = self._compute.postgres
        self.launch = Launch(StoragePlace(directory="/v"), Size(Decimal(1), Decimal(1)))

    async def connect(self) -> Client:
        return FakeClient(self._compute, await self._compute.postgres.connect("app"))

    def spoil(self) -> None:
        self._compute.postgres.starts = [StartFailed("it does not come up")]

    def mend(self) -> None:
        """One start has failed, and there is no other one in the list."""

    def kill(self) -> None:
        self._compute.postgres.die("was ended by signal SIGKILL")

    def left(self) -> list[int]:
        return sorted(self.postgres.processes()) if self._compute.postgres.is_running else []


class RealClient:
    def __init__(self, connection: Any) -> None:
        self.process: int = connection.get_server_pid()
        self._connection = connection

    async def ping(self) -> None:
        await self._connection.execute("SELECT 1")

    def toil(self) -> None:
        self._toil = asyncio.create_task(self._connection.execute(WITHOUT_END))
        self._toil.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def leave(self) -> None:
        await self._connection.close()


class RealWorld:
    """``storage`` is a volume as the cluster provisions it; ``run`` a folder for the socket."""

    def __init__(self, storage: StoragePlace, run: Path, program: Path) -> None:
        hba, ident = run / "pg_hba.conf", run / "pg_ident.conf"
        user = pwd.getpwuid(os.geteuid()).pw_name
        hba.write_text(hba_text())
        ident.write_text(ident_text(user, user))
        settings = PostgresSettings(program, run, hba, ident, START_SECONDS_MAX)
        self.postgres: Postgres = PostgresProcess(settings, Children())
        self.launch = Launch(storage, Size(Decimal(1), Decimal(1)))
        self._run = run
        self._directory = Path(storage.directory)
        self._settings_file = self._directory / "data" / "postgresql.auto.conf"
        self._connections: list[Any] = []

    async def connect(self) -> Client:
        try:
            made = await asyncpg.connect(
                host=str(self._run), user=ADMIN, database="postgres", ssl=False
            )
        except (OSError, asyncpg.PostgresError) as error:
            raise Unavailable(str(error)) from None
        self._connections.append(made)
        return RealClient(made)

    def spoil(self) -> None:
        self._settings_file.write_text("this is no setting\n")

    def mend(self) -> None:
        self._settings_file.write_text("")

    def kill(self) -> None:
        os.kill(postmaster_of(self._directory), signal.SIGKILL)

    def left(self) -> list[int]:
        return processes_on(self._directory)

    async def close(self) -> None:
        for connection in self._connections:
            connection.terminate()
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await self.postgres.gone()
        assert not self.left()


@contextlib.asynccontextmanager
async def real_world(storage: StoragePlace, run: Path, program: Path) -> AsyncIterator[RealWorld]:
    world = RealWorld(storage, run, program)
    try:
        yield world
    finally:
        await world.close()


def alone(module: str, test: str, storage: StoragePlace, run: Path) -> None:
    """The contract's test on a real Postgres, in a process of its own."""
    program = f"import sys; from {module} import play; play(*sys.argv[1:])"
    arguments = [test, storage.model_dump_json(), str(run), str(binaries().program("postgres"))]
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", program, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
        timeout=ALONE_SECONDS_MAX,
        check=False,
    )
    assert process.returncode == 0, process.stderr
