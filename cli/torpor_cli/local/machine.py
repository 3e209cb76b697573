"""This machine as a place of databases: its running `torpor up` is asked."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from typing import TYPE_CHECKING, Any

from torpor_api.failures import InvalidRequest
from torpor_api.identity import canonical_endpoint_name
from torpor_cli import client
from torpor_cli.client import QUICK_SECONDS_MAX, SLOW_SECONDS_MAX, Json
from torpor_cli.local.dashboard import address
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.place import Reached

if TYPE_CHECKING:
    from torpor_api.resource import ServerlessDatabase
    from torpor_cli.inside import Inside
    from torpor_cli.uri import Connection


class OnMachine:
    """The databases of one state folder."""

    namespace: str | None = None

    def __init__(self, folder: StateFolder) -> None:
        self._folder = folder
        self.flag = folder.flag

    @property
    def inside(self) -> Inside:
        from torpor_cli.local.within import WithinMachine

        return WithinMachine(self._folder)

    def named(self, name: str) -> str:
        """``shop.default`` is ``shop``; what is no name at all is for whoever is asked about it."""
        return canonical_endpoint_name(name) or name

    def meant(self, resource: ServerlessDatabase) -> ServerlessDatabase:
        return resource

    def ask_cluster(
        self, request: str, *, timeout_s: float = QUICK_SECONDS_MAX, **body: Any
    ) -> Json:
        return client.ask_cluster(self._folder, request, timeout_s=timeout_s, **body)

    def ask_autoscaler(
        self, request: str, *, timeout_s: float = SLOW_SECONDS_MAX, **body: Any
    ) -> Json:
        return client.ask_autoscaler(self._folder, request, timeout_s=timeout_s, **body)

    def connection(
        self, name: str, role: str | None = None, database: str | None = None
    ) -> Connection:
        from torpor_cli.uri import connection_to

        return connection_to(self._folder, name, role, database)

    @contextlib.asynccontextmanager
    async def reached(self, name: str) -> AsyncIterator[Reached]:
        yield Reached(lambda role, database: self.connection(name, role, database).parameters())

    def psql(self, name: str, arguments: Sequence[str]) -> int:
        """Takes the place of this process."""
        from torpor_cli.local.postgres_binaries import installed

        environment = self.connection(name).environment()
        own = os.environ.get("PGOPTIONS")
        if own:
            environment["PGOPTIONS"] += f" {own}"
        program = installed().program("psql")
        os.execve(program, [program, *arguments], {**os.environ, **environment})

    def names(self, prefix: str, limit: int, *, timeout_s: float) -> Sequence[str]:
        told = self.ask_autoscaler("AskNames", timeout_s=timeout_s, prefix=prefix, limit=limit)
        found: list[str] = told["names"]
        return found

    def dashboard(self, port: int | None, announce: Callable[[str, float], None]) -> None:
        if port is not None:
            hint = "`torpor up --dashboard HOST:PORT` chooses one"
            raise InvalidRequest("--port is for a cluster: here the dashboard has its port", hint)
        told = self.ask_autoscaler("AskDashboard", timeout_s=QUICK_SECONDS_MAX)
        announce(address(told["host"], told["port"], told["link"]), told["valid_s"])
