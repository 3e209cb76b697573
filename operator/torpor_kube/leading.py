"""An API server to which only the one that leads writes.

A process that was stopped, or whose node was, goes on in the middle of whatever it was doing. So
the clock is asked who leads in front of each write, and not only when the Lease is next renewed. A
write that was under way by then meets the compare-and-swap of whoever leads now.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import Any

from torpor_api.failures import Unavailable
from torpor_kube.kinds import Kind
from torpor_kube.port import Change, Document, Kube, Page

Leads = Callable[[], bool]


class WhileLeading:
    """The port of whoever may lose its Lease; it reads all the same."""

    def __init__(self, kube: Kube, leads: Leads) -> None:
        self._kube = kube
        self._leads = leads

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Document:
        return await self._kube.get(kind, name, namespace)

    async def page(self, kind: Kind, namespace: str = "", **chosen: Any) -> Page:
        return await self._kube.page(kind, namespace, **chosen)

    def changes(
        self, kind: Kind, namespace: str = "", **chosen: Any
    ) -> AsyncGenerator[Change, None]:
        return self._kube.changes(kind, namespace, **chosen)

    async def create(self, kind: Kind, document: Document) -> Document:
        self._refuse_unless_leading()
        return await self._kube.create(kind, document)

    async def apply(self, kind: Kind, document: Document, **how: Any) -> Document:
        self._refuse_unless_leading()
        return await self._kube.apply(kind, document, **how)

    async def patch(
        self, kind: Kind, name: str, namespace: str, patch: Document, **how: Any
    ) -> Document:
        self._refuse_unless_leading()
        return await self._kube.patch(kind, name, namespace, patch, **how)

    async def delete(self, kind: Kind, name: str, namespace: str = "", **which: Any) -> None:
        self._refuse_unless_leading()
        await self._kube.delete(kind, name, namespace, **which)

    def _refuse_unless_leading(self) -> None:
        if not self._leads():
            raise Unavailable("another one leads: nothing is written here any more")
