"""The Secrets that certificates are in, in the system namespace."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from torpor_api.failures import InvalidRequest, NotFound
from torpor_channel.issuing import Pair
from torpor_kube import names
from torpor_kube.documents import annotations_of, labels_of, version_of
from torpor_kube.kinds import SECRET
from torpor_kube.port import NOT_THERE, Document, Kube
from torpor_operator.adapters.keys import read_leaf, refuse_other_key
from torpor_operator.core.certificates import Leaf, Place
from torpor_operator.core.naming import MANAGED_BY

log = logging.getLogger(__name__)

_PEM = (".crt", ".key", ".pem")

ISSUED_ANNOTATION = "cert-manager.io/certificate-name"
"""cert-manager writes into a Secret that is there, and leaves in it whatever it does not know."""

Data = dict[str, str]
"""Of a Secret, decoded."""


@dataclass(frozen=True, slots=True)
class Held:
    """A Secret that is there."""

    data: Data
    is_ours: bool
    version: str = NOT_THERE
    is_taken: bool = False
    """It was ours, and what is left of ours is to go."""


class Unusable(InvalidRequest):
    """A Secret as somebody has written it, by which nothing can be signed or trusted."""

    def __init__(self, secret: str, why: str) -> None:
        super().__init__(f"Secret {secret}: {why}")
        self.secret = secret


class CertificateSecrets:
    """By name; nothing is remembered but what was found out about a version."""

    def __init__(self, kube: Kube, namespace: str) -> None:
        self._kube = kube
        self._namespace = namespace
        self._known: dict[str, tuple[object, dict[Place, Leaf | None]]] = {}
        """By Secret: the version and the signers that it holds for. To check a signature takes a
        tenth of a millisecond, and there may be thousands."""

    async def read(self, name: str, *, lenient: bool = False) -> Held | None:
        """Raises Unusable where a part that should be text is none, unless the rest is enough."""
        try:
            secret = await self._kube.get(SECRET, name, self._namespace)
        except NotFound:
            return None
        encoded: dict[str, str] = secret.get("data") or {}
        data: Data = {}
        for key, value in encoded.items():
            try:
                data[key] = base64.b64decode(value).decode()
            except ValueError:
                # What is no PEM is a keystore, say, that cert-manager puts beside.
                if key.endswith(_PEM) and not lenient:
                    raise Unusable(name, f"its {key} is no text, let alone PEM") from None
        is_ours = labels_of(secret).get(names.MANAGED_BY_LABEL) == MANAGED_BY
        is_taken = is_ours and ISSUED_ANNOTATION in annotations_of(secret)
        return Held(data, is_ours and not is_taken, version_of(secret), is_taken)

    async def leaves(
        self, places: Iterable[Place], held: dict[str, Held | None], signers: Sequence[str]
    ) -> dict[Place, Leaf | None]:
        """What is there, in Secrets that were read; those in one of them follow upon each other.

        ``signers``: the certificates of the authorities that may have signed it."""
        found: dict[Place, Leaf | None] = {}
        for name, its_places in groupby(places, key=lambda place: place.secret):
            secret = held[name]
            valid_for = (secret.version if secret else NOT_THERE, *signers)
            if self._known.get(name, ("",))[0] != valid_for:
                self._known[name] = (valid_for, {})
            known = self._known[name][1]
            for place in its_places:
                if place not in known:
                    known[place] = _leaf(place, secret, signers)
                    await asyncio.sleep(0)  # The renewal of the Lease has its turn in between.
                found[place] = known[place]
        return found

    async def write(self, name: str, data: Data, before: Held | None) -> None:
        """Conflict where it is no more as it was read: another operator may be at it, too."""
        document = self._head(name, before)
        document["metadata"]["labels"] = {
            names.NAME_LABEL: "torpor",
            names.MANAGED_BY_LABEL: MANAGED_BY,
        }
        document["type"] = _type_of(data)
        document["data"] = {
            key: base64.b64encode(text.encode()).decode() for key, text in data.items()
        }
        await self._kube.apply(SECRET, document, manager=names.OPERATOR_MANAGER)

    def _head(self, name: str, before: Held | None) -> Document:
        """Of an apply to what was read."""
        version = before.version if before else NOT_THERE
        return {
            "metadata": {"name": name, "namespace": self._namespace, "resourceVersion": version}
        }

    async def let_go(self, name: str, held: Held) -> Held | None:
        """Our fields go, but for those that somebody else has written as well: a ``ca.crt`` of ours
        says nothing about a certificate that is not. What is there then."""
        document = {**self._head(name, held), "type": _type_of(held.data)}
        await self._kube.apply(SECRET, document, manager=names.OPERATOR_MANAGER)
        return await self.read(name)

    async def delete(self, name: str, held: Held) -> None:
        """As it was read, or Conflict; one that is gone already is as good."""
        with contextlib.suppress(NotFound):
            await self._kube.delete(SECRET, name, self._namespace, resource_version=held.version)

    def reference(self, name: str) -> Document:
        """As far as an event needs it."""
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {"name": name, "namespace": self._namespace},
        }


def _type_of(data: Data) -> str:
    return "kubernetes.io/tls" if "tls.crt" in data else "Opaque"


def files_of(place: Place, pair: Pair) -> Data:
    """What a Secret has of a certificate. That of a namespace is in one file with its key, so that
    no volume ever shows one without the other."""
    if place.namespace:
        return {_file_of(place.namespace): pair.certificate + pair.key}
    return {"tls.crt": pair.certificate, "tls.key": pair.key}


def kept_files(data: Data, namespaces: Sequence[str]) -> Data:
    """What stays in a Secret that has the certificates of these namespaces: nothing of one that has
    no database any more. One for nobody's namespace stays as it is."""
    if not any(namespaces):
        return dict(data)
    return {file: data[file] for file in map(_file_of, namespaces) if file in data}


def _file_of(namespace: str) -> str:
    return f"{namespace}.pem"


def _leaf(place: Place, held: Held | None, signers: Sequence[str]) -> Leaf | None:
    """None where it has to be made, whatever somebody has written there."""
    if held is None:
        return None
    if place.namespace:
        certificate = key = held.data.get(_file_of(place.namespace), "")
        trusted = None
    else:
        certificate, key = held.data.get("tls.crt", ""), held.data.get("tls.key", "")
        trusted = held.data.get("ca.crt", "")
    if not certificate and place.namespace:
        return None
    try:
        refuse_other_key(certificate, key)
        return read_leaf(certificate, trusted, signers)
    except ValueError as error:
        fields = {"secret": place.secret, "namespace": place.namespace, "reason": str(error)}
        log.warning("certificate_unreadable", extra=fields)
        return None
