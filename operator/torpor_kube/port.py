"""The API server as a port: seven verbs on plain dicts.

Every verb raises a ``torpor_api.failures.Failure``, and ends within the time limit of whoever
made the client. What they mean here: NotFound (404), Conflict (409: written in between, or there
already), InvalidRequest (400, 422), Refused (403), Expired (410), Unavailable (everything else:
the outcome is unknown, unless the message says that nothing was done).
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from torpor_api.failures import Unavailable
from torpor_kube.kinds import Kind

Document: TypeAlias = dict[str, Any]
"""One object as the API has it."""


class Expired(Unavailable):
    """The server no longer knows what has happened since that resourceVersion: list again."""


class PatchForm(StrEnum):
    """How a patch is meant."""

    MERGE = "application/merge-patch+json"
    """RFC 7396: lists are replaced whole. With ``metadata.resourceVersion``: compare-and-swap."""
    STRATEGIC = "application/strategic-merge-patch+json"
    """Lists are merged by their keys; for the server's own kinds only."""


class ChangeType(StrEnum):
    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a watch."""

    type: ChangeType
    document: Document
    """After the change; of one that was deleted, its last state. Of a bookmark only metadata."""


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list."""

    items: list[Document]
    resource_version: str
    rest: str = ""
    """The token that the next page is asked with; empty: this was the last."""


class Kube(Protocol):
    """One API server."""

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Document:
        """As it is now, not as some cache remembers it."""

    async def page(
        self, kind: Kind, namespace: str = "", *, labels: str = "", name: str = "", rest: str = ""
    ) -> Page:
        """The objects with these labels (``a=b,c``), or the one of this name; all namespaces where
        none is named."""

    def changes(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        name: str = "",
        since: str = "",
        with_all: bool = False,
    ) -> AsyncGenerator[Change, None]:
        """What happens after ``since``, until the server or the inactivity timeout ends it.

        ``with_all``: first every object as ADDED, then a bookmark with :data:`ALL_SENT`.
        """

    async def create(self, kind: Kind, document: Document) -> Document:
        """Conflict where it is there already."""

    async def apply(
        self, kind: Kind, document: Document, *, manager: str, subresource: str = ""
    ) -> Document:
        """Server-side apply, by force: these fields are the manager's, and what it had applied
        before and is not in ``document`` goes. With ``metadata.resourceVersion``: only to that
        version (Conflict); where nothing is there it is made anew all the same, but for a
        subresource (NotFound)."""

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Document,
        *,
        form: PatchForm = PatchForm.MERGE,
        subresource: str = "",
    ) -> Document: ...

    async def delete(
        self,
        kind: Kind,
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        resource_version: str = "",
        grace_s: int | None = None,
    ) -> None:
        """Asked for; with finalizers it takes longer. Conflict where it is not that object
        (``uid``) or not in that version; NotFound where it is gone already."""


NOT_THERE = "1"
"""As the ``metadata.resourceVersion`` of an apply: only where nothing of that name is there yet. No
object has this version: it is that of an empty store."""

ALL_SENT = "k8s.io/initial-events-end"
"""The annotation of the bookmark that ends the list in front of a watch."""
