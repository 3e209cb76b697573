"""Where databases are. Verbs ask a place, and need not know which it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torpor_api.failures import Refused
from torpor_cli.client import QUICK_SECONDS_MAX, SLOW_SECONDS_MAX, Json
from torpor_cli.uri import Connection

if TYPE_CHECKING:  # It takes longer to import than most verbs do.
    from torpor_api.resource import ServerlessDatabase


class NotAllowed(Refused):
    """The person has no right to ask that; it says nothing of the database."""


class Place(Protocol):
    """One machine or one cluster: the same questions, and answers of the same shape.

    Questions are those of ``torpor_api.messages``, by name and as JSON; every refusal is a Failure.
    """

    flag: str
    """How to name this place to another verb, with a space before it, or nothing."""

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

    def psql(self, name: str, arguments: Sequence[str]) -> int:
        """Postgres's own client, connected; its exit status when it ends."""
        ...

    def told_of_kept_data(self, name: str) -> str:
        """Of a database that was just deleted without its data: where that is, and what to do."""
        ...
