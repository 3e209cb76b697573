"""Where the sessions of a log go: as which role, to which database. Pure but for what it is given.

On a place a session connects as the role of its own name, where the database declares one, and else
as the owner: the log of another server has that server's users.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from torpor_api.failures import InvalidRequest
from torpor_cli.replay.statement import Contents, Session

READ_ONLY: Final = "-c default_transaction_read_only=on"

APPLICATION: Final = "torpor replay"
"""Of sessions that had no application's name; the others keep theirs."""

Parameters = Mapping[str, str]

Connect = Callable[[str | None, str | None], Parameters]
"""libpq's parameters for a role and a database; None: the usual one."""


@dataclass(frozen=True, slots=True)
class Routes:
    """What a person has said of that, and which roles there are."""

    roles: Mapping[str, str | None]
    """By the log's user."""
    databases: Mapping[str, str | None]
    """By the log's database: those that are wanted; none: all."""
    declared: Collection[str] = ()
    """Roles that the database has."""
    role: str | None = None
    """Of users for whom nothing else is said."""
    only_reads: bool = False

    def of(self, session: Session) -> tuple[str | None, str | None]:
        """Role and database; None: the usual one."""
        own = session.user if session.user in self.declared and self.role is None else self.role
        return self.roles.get(session.user, own), self.databases.get(session.database)


class Targets:
    """For each session of the log the parameters of its client."""

    def __init__(self, connect: Connect, routes: Routes) -> None:
        self.routes = routes
        self._connect = connect
        self._known: dict[tuple[str | None, str | None], Parameters] = {}

    def reach(self, session: Session) -> Parameters:
        """Asked once for each route."""
        route = self.routes.of(session)
        if route not in self._known:
            self._known[route] = self._guarded(dict(self._connect(*route)))
        return {**self._known[route], "application_name": session.application or APPLICATION}

    def _guarded(self, parameters: dict[str, str]) -> dict[str, str]:
        if self.routes.only_reads:
            options = parameters.get("options", "")
            parameters["options"] = f"{options} {READ_ONLY}".strip()
        return parameters


def refuse_mixture(contents: Contents, wanted: Collection[str]) -> None:
    """Raises InvalidRequest where it is not clear which of the log's databases is meant, or where
    there is nothing to replay of what is meant."""
    there = contents.by_database
    known = ", ".join(f"{name} ({count:,} statements)" for name, count in there.most_common())
    missing = sorted(name for name in wanted if not there[name])
    if missing:
        raise InvalidRequest(
            f"--database {missing[0]}: the log has no statement of it: it has {known or 'none'}"
        )
    if not wanted and len(there) > 1:
        raise InvalidRequest(
            f"the log is of several databases: {known}",
            hint="say which is replayed: --database NAME, or NAME=TARGET",
        )


def pairs(option: str, given: Sequence[str], *, may_be_one: bool = False) -> dict[str, str | None]:
    """Of ``LOG=TARGET``, and None for a name alone where that ``may_be_one``. Raises
    InvalidRequest."""
    found: dict[str, str | None] = {}
    for text in given:
        name, equals, target = text.partition("=")
        if not name or (equals and not target) or not (equals or may_be_one):
            shape = "LOG or LOG=TARGET" if may_be_one else "LOG=ROLE"
            raise InvalidRequest(f"{option} {text!r}: write {shape}")
        if name in found:
            raise InvalidRequest(f"{option} {name}: is given twice")
        found[name] = target or None
    return found
