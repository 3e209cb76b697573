"""One namespace under another name, so that a suite about ``default`` can be run beside others."""

from __future__ import annotations

import copy
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from torpor_kube.kinds import Kind
from torpor_kube.port import Change, Document, Kube, Page


@dataclass(frozen=True, slots=True)
class Moved:
    """A port: who asks for ``shown`` gets ``real``, and sees nothing of other namespaces."""

    kube: Kube
    shown: str
    real: str

    async def get(self, kind: Kind, name: str, namespace: str = "") -> Document:
        return self._shown(await self.kube.get(kind, name, self._real(kind, namespace)))

    async def page(
        self, kind: Kind, namespace: str = "", *, labels: str = "", name: str = "", rest: str = ""
    ) -> Page:
        where = self._real(kind, namespace or self.shown)
        found = await self.kube.page(kind, where, labels=labels, name=name, rest=rest)
        return Page([self._shown(one) for one in found.items], found.resource_version, found.rest)

    async def changes(
        self, kind: Kind, namespace: str = "", **how: Any
    ) -> AsyncGenerator[Change, None]:
        where = self._real(kind, namespace or self.shown)
        async with aclosing(self.kube.changes(kind, where, **how)) as changes:
            async for change in changes:
                yield Change(change.type, self._shown(change.document))

    async def create(self, kind: Kind, document: Document) -> Document:
        return self._shown(await self.kube.create(kind, self._moved(document)))

    async def apply(self, kind: Kind, document: Document, **how: Any) -> Document:
        return self._shown(await self.kube.apply(kind, self._moved(document), **how))

    async def patch(
        self, kind: Kind, name: str, namespace: str, patch: Document, **how: Any
    ) -> Document:
        where = self._real(kind, namespace)
        return self._shown(await self.kube.patch(kind, name, where, patch, **how))

    async def delete(self, kind: Kind, name: str, namespace: str = "", **how: Any) -> None:
        await self.kube.delete(kind, name, self._real(kind, namespace), **how)

    def _real(self, kind: Kind, namespace: str) -> str:
        if not kind.is_namespaced:
            return ""
        return self.real if namespace == self.shown else namespace

    def _moved(self, document: Document) -> Document:
        return _with_namespace(document, self.shown, self.real)

    def _shown(self, document: Document) -> Document:
        return _with_namespace(document, self.real, self.shown)


def _with_namespace(document: Document, before: str, after: str) -> Document:
    copied = copy.deepcopy(document)
    metadata = copied.get("metadata") or {}
    if metadata.get("namespace") == before:
        metadata["namespace"] = after
    return copied
