"""What a replay is aimed at: a database of a place, or whatever a URI names."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from torpor_api.failures import InvalidRequest
from torpor_cli.place import Place, Reached
from torpor_cli.replay.targets import READ_ONLY
from torpor_cli.replay.watch import Watch
from torpor_cli.uri import environment_of

SCHEMES = ("postgresql", "postgres")

SERVICE_LABEL = "svc"
"""The third one of a Service's name, behind its own and its namespace's."""

HOW_URIS_ARE = (
    "--uri can't be read: write one like postgresql://user@host:5432/database, "
    "with %40 for an @, %2F for a / in a name or a password"
)


@dataclass(slots=True)
class Aim:
    """Where clients connect, and whose sleep is watched."""

    place: Place
    name: str | None
    uri: str | None
    only_reads: bool = field(kw_only=True)

    def __post_init__(self) -> None:
        """Raises InvalidRequest."""
        if self.uri is None:
            return
        try:
            parts = urlsplit(self.uri)
            # Behind a / or # of a password that is not written as %2F, the rest of it is a path.
            is_uri = parts.scheme in SCHEMES and "@" not in "".join(parts[2:])
        except ValueError:
            is_uri = False
        if not is_uri:
            raise InvalidRequest(HOW_URIS_ARE)

    @property
    def shown(self) -> str:
        """For people: without a password."""
        if self.uri is None:
            return self.name or ""
        parts = urlsplit(self.uri)
        host = parts.netloc.rpartition("@")[2]
        return f"{host}{parts.path}"

    @property
    def way(self) -> str:
        """What to do where it can't be reached, if that is known."""
        labels = (urlsplit(self.uri or "").hostname or "").split(".")
        if SERVICE_LABEL not in labels[2:3]:
            return ""
        return (
            "names of Services are known inside of their cluster alone: from elsewhere give "
            "--to NAME without --uri, or a URI with the address of the proxies' load balancer and "
            "options=endpoint%3DNAME"
        )

    def watch(self) -> Watch | None:
        """None: nothing is known of what a URI names."""
        return None if self.name is None else Watch(self.place, self.name)

    def refuse_roles(self, users: Mapping[str, str | None], role: str | None) -> None:
        """Raises InvalidRequest."""
        if self.uri is not None and (users or role):
            raise InvalidRequest(
                "--user and --role are for --to NAME alone: a URI has one user and his password"
            )

    def declared_roles(self) -> frozenset[str]:
        """None of what only a URI names. Raises NotFound where there is no such database."""
        if self.name is None:
            return frozenset()
        resource = self.place.ask_cluster("GetResource", name=self.name)["resource"]
        if self.uri is not None:
            return frozenset()
        return frozenset(each["name"] for each in resource["spec"]["roles"])

    @contextlib.asynccontextmanager
    async def reached(self) -> AsyncIterator[Reached]:
        """For clients in this process."""
        if self.uri is not None:
            yield Reached(self._by_uri)
        elif self.name is not None:
            async with self.place.reached(self.name) as reached:
                yield reached

    @contextlib.asynccontextmanager
    async def environment(self) -> AsyncIterator[Mapping[str, str]]:
        """The same for programs: the first database, as its owner."""
        async with self.reached() as reached:
            parameters = dict(reached.connect(None, None))
            if self.only_reads:
                parameters["options"] = f"{parameters.get('options', '')} {READ_ONLY}".strip()
            yield environment_of(parameters)

    def _by_uri(self, _: str | None, database: str | None) -> dict[str, str]:
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict

        try:
            found = {name: str(value) for name, value in conninfo_to_dict(self.uri or "").items()}
        except ProgrammingError:  # What it says may have the password in it.
            raise InvalidRequest(HOW_URIS_ARE) from None
        return found | ({} if database is None else {"dbname": database})
