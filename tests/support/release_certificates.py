"""The keeper of one release's certificates, beside an API server, at any time."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

from support.fake_kube.server import FakeKube
from support.operating import SYSTEM
from torpor_kube import kinds
from torpor_kube.port import Document
from torpor_kube.server import ApiServer
from torpor_operator.authority import CertificateKeeper
from torpor_operator.core import server_certificates
from torpor_operator.core.certificates import LeafWanted
from torpor_operator.core.server_certificates import (
    NAMESPACES_SECRET,
    SERVER_SECRET,
    server_leaves,
)
from torpor_proxy.adapters.certificate import Certificate
from torpor_proxy.adapters.namespace_certificates import NamespaceCertificates

BEGINS = 1_700_000_000.0


class Release:
    """The keeper of its certificates, at any time, for any namespaces."""

    def __init__(self, fake: FakeKube, kube: ApiServer, folder: Path) -> None:
        self.fake = fake
        self.folder = folder
        self.time_s = BEGINS
        self.domains: Sequence[str] = ("db.example",)
        self.namespaces: Sequence[str] = ()
        own = folder / "own"
        self.keeper = CertificateKeeper(kube, self, SYSTEM, "torpor", self.server_leaves, own)

    def now(self) -> float:
        return self.time_s

    def wall_s(self) -> float:
        return self.time_s

    def server_leaves(self) -> list[LeafWanted]:
        return server_leaves(self.domains, self.namespaces, "proxy.system", "cluster.local")

    async def look(self, namespaces: Iterable[str]) -> float:
        self.namespaces = list(namespaces)
        return await self.keeper.look()

    def secret(self, name: str) -> dict[str, str] | None:
        stored = self.fake.objects.stored.get((kinds.SECRET, SYSTEM, name))
        encoded = (stored.document.get("data") or {}) if stored else None
        if encoded is None:
            return None
        return {key: base64.b64decode(value).decode() for key, value in encoded.items()}

    def shown(self) -> dict[str, str]:
        """By namespace: certificate and key."""
        parts = [
            self.secret(f"{NAMESPACES_SECRET}{part}") for part in range(server_certificates.PARTS)
        ]
        files = {file: text for part in parts for file, text in (part or {}).items()}
        return {file.removesuffix(".pem"): text for file, text in files.items()}

    def write(self, name: str, data: dict[str, str], **labels: str) -> None:
        """As a person does it, or another version of the operator; into what is there already as
        cert-manager does it."""
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in data.items()}
        key = (kinds.SECRET, SYSTEM, name)
        if key in self.fake.objects.stored:
            self.fake.objects.patch(key, {"data": encoded}, "")
        else:
            head = {"name": name, "namespace": SYSTEM, "labels": labels}
            self.fake.objects.create(kinds.SECRET, {"metadata": head, "data": encoded})

    def notes(self, reason: str = "NamesWithoutCertificate") -> list[str]:
        events: Iterable[Document] = self.fake.objects.all(kinds.EVENT, SYSTEM)
        return [one["note"] for one in events if one["reason"] == reason]

    def proxy(self) -> Certificate:
        """With all of it mounted."""
        mounted, own = self.folder / "namespaces", self.secret(SERVER_SECRET) or {}
        mounted.mkdir(exist_ok=True)
        for namespace, text in self.shown().items():
            (mounted / f"{namespace}.pem").write_text(text)
        for key, text in own.items():
            (self.folder / key).write_text(text)
        domains = (*self.domains, "svc", "svc.cluster.local")
        of_namespaces = NamespaceCertificates(mounted, domains)
        return Certificate(self.folder / "tls.crt", self.folder / "tls.key", of_namespaces)
