"""The real API server behind the port :class:`~torpor_kube.port.Kube`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

from torpor_kube.answers import failure_in_watch
from torpor_kube.documents import name_of, namespace_of
from torpor_kube.kinds import Kind
from torpor_kube.login import Login
from torpor_kube.port import Change, ChangeType, Document, Page, PatchForm
from torpor_kube.transport import REQUEST_S_MAX, Question, Transport

PAGE_ITEMS_MAX = 500
"""A list comes in parts, so that neither side holds 10,000 objects as one text."""

WATCH_S_MAX = 300
"""Then the server ends a watch, and the next connection may lead to another replica of it."""

APPLY = "application/apply-patch+yaml"


class ApiServer:
    """One client of it."""

    def __init__(
        self, login: Login, *, manager: str = "", request_s_max: float = REQUEST_S_MAX
    ) -> None:
        """``manager``: whose fields are that it creates and patches, in the objects'
        ``managedFields``; empty: the server names the program."""
        self._transport = Transport(login, request_s_max)
        self._by = {"fieldManager": manager} if manager else {}

    async def close(self) -> None:
        await self._transport.close()

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Document:
        return await self._transport.ask(Question("GET", kind.path(namespace, name)))

    async def page(
        self, kind: Kind, namespace: str = "", *, labels: str = "", name: str = "", rest: str = ""
    ) -> Page:
        query = {"limit": str(PAGE_ITEMS_MAX), "continue": rest, **_selected(labels, name)}
        found = await self._transport.ask(Question("GET", kind.path(namespace), query))
        metadata = found.get("metadata") or {}
        return Page(
            found.get("items") or [],
            str(metadata.get("resourceVersion", "")),
            str(metadata.get("continue") or ""),
        )

    async def changes(
        self,
        kind: Kind,
        namespace: str = "",
        *,
        labels: str = "",
        name: str = "",
        since: str = "",
        with_all: bool = False,
    ) -> AsyncGenerator[Change, None]:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_S_MAX),
            "resourceVersion": since,
            **_selected(labels, name),
        }
        if with_all:
            query |= {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
        question = Question("GET", kind.path(namespace), query)
        async with aclosing(self._transport.lines(question)) as lines:
            async for line in lines:
                if line["type"] == "ERROR":
                    raise failure_in_watch(line["object"], str(question))
                yield Change(ChangeType(line["type"]), line["object"])

    async def create(self, kind: Kind, document: Document) -> Document:
        path = kind.path(namespace_of(document))
        return await self._transport.ask(
            Question("POST", path, self._by, body=_typed(kind, document))
        )

    async def apply(
        self, kind: Kind, document: Document, *, manager: str, subresource: str = ""
    ) -> Document:
        path = kind.path(namespace_of(document), name_of(document), subresource)
        query = {"fieldManager": manager, "force": "true"}
        return await self._transport.ask(
            Question("PATCH", path, query, _typed(kind, document), APPLY)
        )

    async def patch(
        self,
        kind: Kind,
        name: str,
        namespace: str,
        patch: Document,
        *,
        form: PatchForm = PatchForm.MERGE,
        subresource: str = "",
    ) -> Document:
        path = kind.path(namespace, name, subresource)
        return await self._transport.ask(
            Question("PATCH", path, self._by, body=patch, content_type=form.value)
        )

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
        body: Document = {"apiVersion": "v1", "kind": "DeleteOptions"}
        conditions = {"uid": uid, "resourceVersion": resource_version}
        if any(conditions.values()):
            body["preconditions"] = {key: value for key, value in conditions.items() if value}
        if grace_s is not None:
            body["gracePeriodSeconds"] = grace_s
        await self._transport.ask(Question("DELETE", kind.path(namespace, name), body=body))


def _selected(labels: str, name: str) -> dict[str, str]:
    """As the API chooses objects."""
    return {
        **({"labelSelector": labels} if labels else {}),
        **({"fieldSelector": f"metadata.name={name}"} if name else {}),
    }


def _typed(kind: Kind, document: Document) -> Document:
    return {**document, "apiVersion": kind.api_version, "kind": kind.kind}
