"""Where databases are. Verbs ask a place, and need not know which it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from torpor_api.failures import Refused
from torpor_cli.client import QUICK_SECONDS_MAX, SLOW_SECONDS_MAX, Json

if TYPE_CHECKING:  # It takes longer to import than most verbs do.
    from torpor_api.resource import ServerlessDatabase
    from torpor_cli.inside import Inside
    from torpor_cli.uri import Connection


@dataclass(frozen=True, slots=True)
class Reached:
    """How to connect to a database from here."""

    connect: Callable[[str | None, str | None], dict[str, str]]
    """libpq's parameters, for a role (else the owner) and a database (else the first)."""
    through: str = ""
    """What is on the way, besides the network."""


class NotAllowed(Refused):
    """The person has no right to ask that; it says nothing of the database."""


class Place(Protocol):
    """One machine or one cluster: the same questions, and answers of the same shape.

    Questions are those of ``torpor_api.messages``, by name and as JSON; every refusal is a Failure.
    """

    flag: str
    """How to name this place to another verb, with a space before it, or nothing."""

    namespace: str | None
    """Only databases of this one are shown; None: all that there are."""

    @property
    def inside(self) -> Inside:
        """What lies behind the questions: volumes, logs, and the computes' own environments."""
        ...

    def named(self, name: str) -> str:
        """The endpoint name of the database that a person means by ``name``."""
        ...

    def meant(self, resource: ServerlessDatabase) -> ServerlessDatabase:
        """As a person means it who has written it into a file for this place."""
        ...

    def ask_cluster(
        self, request: str, *, timeout_s: float = QUICK_SECONDS_MAX, **body: Any
    ) -> Json:
        """Ask about resources."""
        ...

    def ask_autoscaler(
        self, request: str, *, timeout_s: float = SLOW_SECONDS_MAX, **body: Any
    ) -> Json:
        """Ask for a wake, a suspend or a reason, or until something is known."""
        ...

    def connection(
        self, name: str, role: str | None = None, database: str | None = None
    ) -> Connection:
        """What a client connects with: as ``role``, else as the first database's owner."""
        ...

    def reached(self, name: str) -> AbstractAsyncContextManager[Reached]:
        """For clients in this process, as long as the block: also where the endpoint is known
        inside of a cluster only. One that can't be reached says so when a client connects."""
        ...

    def psql(self, name: str, arguments: Sequence[str]) -> int:
        """Postgres's own client, connected; its exit status when it ends."""
        ...

    def names(self, prefix: str, limit: int, *, timeout_s: float) -> Sequence[str]:
        """Of the databases that are shown, those that begin so: for whoever is typing one."""
        ...

    def dashboard(self, port: int | None, announce: Callable[[str, float], None]) -> None:
        """Announces where the dashboard opens, and for how many seconds that link is good. Returns
        once it can be reached without us: on a cluster it may take us, on ``port`` of this machine,
        until Ctrl-C."""
        ...
