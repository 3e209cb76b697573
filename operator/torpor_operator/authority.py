"""Looks at the certificates: reads the Secrets, asks the core, makes what is missing.

A Secret that somebody else made (cert-manager, a person) is left alone: a certificate is used as it
is, an authority from when everybody trusts it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from torpor_api.failures import NotFound
from torpor_channel.issuing import Pair
from torpor_kube import names
from torpor_kube.documents import name_of
from torpor_kube.kinds import POD
from torpor_kube.port import Document, Kube
from torpor_kube.times import Clock, api_micro_time
from torpor_operator.adapters.keys import make_leaf
from torpor_operator.authority_secrets import Given, authorities_in, bundle, given_in, stepped
from torpor_operator.certificate_secrets import (
    CertificateSecrets,
    Data,
    Held,
    Unusable,
    files_of,
    kept_files,
)
from torpor_operator.core.actions import Tell, Weight
from torpor_operator.core.certificates import (
    AUTHORITY_SECRET,
    GIVEN_SECRET,
    Authorities,
    Authority,
    Issue,
    Leaf,
    LeafWanted,
    Place,
    Trust,
    check_in_s,
    component_leaves,
    plan_authority,
    plan_leaves,
)
from torpor_operator.core.naming import MANAGED_BY
from torpor_operator.core.server_certificates import SERVER_SECRET, has_room, with_room
from torpor_operator.notes import Notes

log = logging.getLogger(__name__)

OPERATOR_SECRET = "torpor-operator-tls"

CERTIFICATE_ANNOTATION = "torpor.dev/certificate-written"
"""On the pods of components: when one of their certificates was last made."""

HURRIED = frozenset({"autoscaler", "proxy"})
"""Whose pods are there before their certificates; those of computes are made after them."""

ROUNDS_MAX = 4
"""Steps of the authority in one look: the first one is made and used at once."""

UNUSABLE_AGAIN_S = 60.0
"""After a Secret that can't be used: nobody tells when somebody else's is put right."""

NAMES_TOLD_MAX = 20
"""Of the namespaces that there is no room for, in one line of the log."""


@dataclass(frozen=True, slots=True)
class Found:
    """What one look starts from."""

    known: Authorities
    authority: Data
    read: Mapping[str, Held | None]
    leaves: Mapping[Place, Leaf | None]
    now: float


class CertificateKeeper:
    """All of them, in the system namespace."""

    def __init__(
        self,
        kube: Kube,
        clock: Clock,
        namespace: str,
        instance: str,
        server_leaves: Callable[[], Sequence[LeafWanted]],
        own_folder: Path,
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._namespace = namespace
        self._secrets = CertificateSecrets(kube, namespace)
        self._instance = instance
        self._server_leaves = server_leaves
        self._own_folder = own_folder
        self._left_out: list[str] = []
        """Namespaces that there was no room for when last somebody was told."""
        self._notes = Notes(kube, clock, MANAGED_BY)
        self.ca_certificate = ""
        """By which clients know the proxy, in PEM; empty before the first look, and where somebody
        else's certificate comes without: then whatever the clients trust anyway."""

    async def look(self) -> float:
        """Seconds after which to look again though nothing has changed.

        A Secret that can't be used is told, and holds up what needs no new certificate as little as
        an operator that is away.
        """
        try:
            return await self._look()
        except Unusable as unusable:
            await self._tell_unusable(unusable)
            if not self.ca_certificate:
                shown = await self._secrets.read(SERVER_SECRET, lenient=True)
                self.ca_certificate = shown.data.get("ca.crt", "") if shown else ""
            return UNUSABLE_AGAIN_S

    async def _look(self) -> float:
        for _ in range(ROUNDS_MAX):
            now = self._clock.wall_s()
            held = await self._secrets.read(AUTHORITY_SECRET)
            authority, known = held.data if held else {}, authorities_in(held)
            given, wish = await self._given(known, now)
            wanted = [*component_leaves(), *self._server_leaves()]
            # Also before the namespaces are known: what clients trust is asked for from then on.
            secrets = dict.fromkeys((SERVER_SECRET, *_secrets_of(wanted)))
            read = {name: await self._secrets.read(name) for name in secrets}
            wanted = await self._own_work(wanted, read)
            signers = [authority[key] for key in ("tls.crt", "previous.crt") if key in authority]
            leaves = await self._secrets.leaves([one.place for one in wanted], read, signers)
            step = plan_authority(known, leaves, wish, now)
            if step is None and known is not None:
                self.ca_certificate = _known_by(read.get(SERVER_SECRET), authority)
                found = Found(known, authority, read, leaves, now)
                left_out = await self._keep_all(found, wanted)
                due = {place: leaf for place, leaf in leaves.items() if place not in left_out}
                return check_in_s(known, due, wish, now)
            assert step is not None, "without an authority one is made"
            await self._secrets.write(AUTHORITY_SECRET, stepped(authority, step, given, now), held)
            log.info("authority_changed", extra={"step": type(step).__name__})
        return 1.0

    async def _given(
        self, known: Authorities | None, now: float
    ) -> tuple[Given | None, Authority | None]:
        """What somebody else has made, and which authority there is to be by that; None: one of our
        own. Where it can't be used all stays as it is, unless there is nothing yet."""
        try:
            given = given_in(await self._secrets.read(GIVEN_SECRET), now)
        except Unusable as unusable:
            if known is None:
                raise
            await self._tell_unusable(unusable)
            return None, known.next or known.current
        return given, given.authority if given else None

    async def _tell_unusable(self, unusable: Unusable) -> None:
        note = f"{unusable.message}: put it right, or delete it and another one is made"
        about = self._secrets.reference(unusable.secret)
        await self._notes.tell(Tell(about, Weight.WARNING, "CertificateUnusable", note))
        log.warning(
            "certificate_unusable", extra={"secret": unusable.secret, "reason": unusable.message}
        )

    async def _own_work(
        self, wanted: Sequence[LeafWanted], read: dict[str, Held | None]
    ) -> list[LeafWanted]:
        """Without what somebody else has made. Where that is the proxy's certificate, clients are
        shown it and nothing else: those of namespaces go."""
        for name, held in read.items():
            if held is not None and held.is_taken:
                read[name] = await self._secrets.let_go(name, held)
                log.info("certificate_taken_over", extra={"secret": name})
        if not _is_ours(read.get(SERVER_SECRET)):
            of_namespaces = _secrets_of(one for one in wanted if one.namespace)
            for name in of_namespaces:
                if (held := read[name]) is not None and held.is_ours:
                    await self._secrets.delete(name, held)
                    log.info("certificates_deleted", extra={"secret": name})
            wanted = [one for one in wanted if not one.namespace]
        return [one for one in wanted if _is_ours(read[one.secret])]

    async def _keep_all(self, found: Found, wanted: Sequence[LeafWanted]) -> set[Place]:
        """Those that there is no room for. First the parts' own, which wait for nothing else."""
        own = [one for one in wanted if one.is_client]
        await self._keep(found, own)
        if (held := await self._secrets.read(OPERATOR_SECRET)) is not None:
            self._keep_own(held.data)
        shown = [one for one in wanted if not one.is_client]
        left_out = await self._keep(found, [_named(one, found.leaves[one.place]) for one in shown])
        await self._tell_left_out(sorted(place.namespace for place in left_out))
        return left_out

    async def _keep(self, found: Found, wanted: Sequence[LeafWanted]) -> set[Place]:
        """The same, of these; each Secret is written once."""
        left_out, waiting = set[Place](), set[str]()
        actions = plan_leaves(found.known, found.leaves, wanted, found.now)
        for name, of_it in groupby(actions, key=lambda action: action.leaf.secret):
            before = found.read[name]
            namespaces = [one.namespace for one in wanted if one.secret == name]
            data = kept_files(before.data, namespaces) if before else {}
            for action in of_it:
                if await self._put(found, action, data):
                    waiting.add(action.leaf.component)
                elif isinstance(action, Issue):
                    left_out.add(action.leaf.place)
            if data != (before.data if before else {}):
                await self._secrets.write(name, data, before)
                log.info("certificate_written", extra={"secret": name})
        for component in waiting & HURRIED:
            await self._hurry(component, found.now)
        return left_out

    async def _put(self, found: Found, action: Issue | Trust, data: Data) -> bool:
        """Whether a certificate was made that was not there."""
        place = action.leaf.place
        if not place.namespace:
            data["ca.crt"] = bundle(found.authority)
        if not isinstance(action, Issue):
            return False
        current = Pair(found.authority["tls.crt"], found.authority["tls.key"])
        files = files_of(place, make_leaf(current, action.leaf, found.now))
        await asyncio.sleep(0)  # There may be thousands, and the renewal of the Lease between them.
        others = sum(len(text) for file, text in data.items() if file not in files)
        own = sum(map(len, files.values()))
        if not has_room(others, own, is_new=found.leaves[place] is None):
            return False
        data |= files
        return True

    async def _tell_left_out(self, namespaces: list[str]) -> None:
        """Whenever they are others."""
        if namespaces == self._left_out:
            return
        self._left_out = namespaces
        told = namespaces[:NAMES_TOLD_MAX]
        fields = {"namespaces": told, "count": len(namespaces)}
        log.warning("namespaces_without_certificate", extra=fields)
        if namespaces:
            about = self._secrets.reference(SERVER_SECRET)
            await self._notes.tell(_without_certificate(about, namespaces))

    async def _hurry(self, component: str, now: float) -> None:
        """A kubelet brings a Secret to a pod within a minute or two, and at once where the pod
        changes: a new Torpor need not wait for its certificates, and the first client in a new
        namespace not for its name.
        """
        ours = f"{names.NAME_LABEL}=torpor,{names.INSTANCE_LABEL}={self._instance}"
        of_it = f"{names.COMPONENT_LABEL}={component}"
        pods = await self._kube.page(POD, self._namespace, labels=f"{ours},{of_it}")
        for pod in pods.items:
            patch = {"metadata": {"annotations": {CERTIFICATE_ANNOTATION: api_micro_time(now)}}}
            try:
                await self._kube.patch(POD, name_of(pod), self._namespace, patch)
            except NotFound:
                continue

    def _keep_own(self, data: Data) -> None:
        """As files, for this process' own connections to autoscaler and agents."""
        for key in ("tls.key", "tls.crt", "ca.crt"):
            if key not in data:
                raise Unusable(OPERATOR_SECRET, f"it has no {key}")
        self._own_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name in ("tls.key", "tls.crt", "ca.crt"):
            path = self._own_folder / name
            if not path.exists() or path.read_text() != data[name]:
                path.touch(mode=0o600)
                path.write_text(data[name])


def _secrets_of(wanted: Iterable[LeafWanted]) -> list[str]:
    return list(dict.fromkeys(one.secret for one in wanted))


def _named(wanted: LeafWanted, leaf: Leaf | None) -> LeafWanted:
    """With the names that it has room for."""
    return with_room(wanted, leaf.names if leaf else ()) if wanted.rest else wanted


def _without_certificate(secret: Document, namespaces: Sequence[str]) -> Tell:
    note = (
        f"no room for the certificates of {len(namespaces)} namespaces, verify-full fails in them: "
        f"{', '.join(namespaces[:NAMES_TOLD_MAX])}"
    )
    return Tell(secret, Weight.WARNING, "NamesWithoutCertificate", note)


def _known_by(shown: Held | None, authority: Data) -> str:
    """What clients check the proxy's certificate against; shown: the Secret that it is in."""
    if shown is None or shown.is_ours:
        return bundle(authority)
    return shown.data.get("ca.crt", "")


def _is_ours(held: Held | None) -> bool:
    return held is None or held.is_ours
