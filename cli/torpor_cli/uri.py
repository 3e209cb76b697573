"""The connection of a client: where, as whom, and to which database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from torpor_api.failures import NotFound, Unavailable
from torpor_api.identity import CONSOLE_NAME
from torpor_cli.client import ask_cluster
from torpor_cli.local.secrets import password_of
from torpor_cli.local.sockets import Address, parse_address
from torpor_cli.local.state_folder import StateFolder, listen_address
from torpor_cli.output import name_of

_VARIABLES = {
    "dbname": "DATABASE",
    "application_name": "APPNAME",
    "connect_timeout": "CONNECT_TIMEOUT",
}
"""Those whose names are not their parameters' without underscores."""

CONSOLE_ROLE = "torpor"
"""Its administrator; of ``torpor_api.console``, which takes longer to import than a verb may."""


@dataclass(frozen=True, slots=True)
class Connection:
    """What a client must know."""

    endpoint: str
    address: Address
    role: str
    database: str
    password: str | None = None
    is_host_its_own: bool = False
    """The host names this database alone, and TLS says so to the proxy. Otherwise ``options`` say
    which is meant: every driver can send them."""

    @property
    def uri(self) -> str:
        password = "" if self.password is None else ":" + quote(self.password, safe="")
        return (
            f"postgresql://{quote(self.role, safe='')}{password}@{self.address}"
            f"/{quote(self.database, safe='')}{self._routing}"
        )

    @property
    def _routing(self) -> str:
        if self.is_host_its_own:
            return "?sslmode=require"
        # The console's name says it already.
        is_console = self.endpoint == CONSOLE_NAME
        return "" if is_console else f"?options=endpoint%3D{self.endpoint}"

    def parameters(self) -> dict[str, str]:
        """As libpq calls them."""
        return {
            "host": self.address.host,
            "port": str(self.address.port),
            "user": self.role,
            "password": self.password or "",
            "dbname": self.database,
            "options": f"endpoint={self.endpoint}",
        }

    def environment(self) -> dict[str, str]:
        """For libpq: a password in the arguments would be seen by every user of the machine."""
        return environment_of(self.parameters())


def environment_of(parameters: Mapping[str, str]) -> dict[str, str]:
    """libpq's variables for parameters of a connection."""
    return {
        f"PG{_VARIABLES.get(name) or name.upper().replace('_', '')}": text
        for name, text in parameters.items()
    }


def connection_to(
    folder: StateFolder, name: str, role: str | None = None, database: str | None = None
) -> Connection:
    """The connection as ``role`` (else the first database's owner), with its password; to the
    operator console, by its reserved name."""
    if name == CONSOLE_NAME:
        inner = console_database(database)
        role = role or CONSOLE_ROLE
    else:
        resource = ask_cluster(folder, "GetResource", name=name)["resource"]
        first = inner_database(resource, database)
        inner, role = first["name"], role or first["owner"]
    listen = listen_address(folder)
    if not listen:
        raise Unavailable("`torpor up` is still starting", hint="try again in a moment")
    password = password_of(folder.secrets, name, role)
    return Connection(name, parse_address(listen), role, inner, password)


def console_database(wanted: str | None) -> str:
    """The one that the console has. Raises NotFound."""
    if wanted in (None, CONSOLE_NAME):
        return CONSOLE_NAME
    raise NotFound(f"the operator console has no database {wanted!r}: leave it out")


def inner_database(resource: dict[str, Any], wanted: str | None) -> dict[str, str]:
    """The one that is wanted, else the first declared. Raises NotFound."""
    databases: list[dict[str, str]] = resource["spec"]["databases"]
    for database in databases:
        if wanted in (None, database["name"]):
            return database
    raise NotFound(
        f"{name_of(resource)} declares no database {wanted!r}: "
        f"it has {', '.join(database['name'] for database in databases)}"
    )
