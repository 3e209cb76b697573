"""Looks at the certificates: reads the Secrets, asks the core, makes what is missing.

A Secret that somebody else made (cert-manager, a person) is left alone and used as it is.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torpor_api.failures import InvalidRequest, NotFound
from torpor_channel.issuing import Pair
from torpor_kube import names
from torpor_kube.documents import labels_of, name_of, version_of
from torpor_kube.kinds import POD, SECRET
from torpor_kube.port import NOT_THERE, Document, Kube
from torpor_operator.adapters.keys import (
    make_authority,
    make_leaf,
    read_authority,
    read_leaf,
    refuse_other_key,
)
from torpor_operator.core.actions import Tell, Weight
from torpor_operator.core.certificates import (
    SERVER_SECRET,
    Authorities,
    Authority,
    CertificateAction,
    DropPrevious,
    Issue,
    Leaf,
    LeafWanted,
    MakeAuthority,
    Promote,
    Trust,
    check_in_s,
    component_leaves,
    plan_authority,
    plan_leaves,
    with_room,
)
from torpor_operator.core.naming import MANAGED_BY
from torpor_operator.notes import Notes
from torpor_operator.ports import Clock
from torpor_operator.times import api_micro_time

log = logging.getLogger(__name__)

AUTHORITY_SECRET = "torpor-ca"

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
"""Of those that the certificate has no room for, in one line of the log."""

Data = dict[str, str]
"""Of a Secret, decoded."""


@dataclass(frozen=True, slots=True)
class Held:
    """A Secret that is there."""

    data: Data
    is_ours: bool
    version: str = NOT_THERE


class Unusable(InvalidRequest):
    """A Secret as somebody has written it, by which nothing can be signed or trusted."""

    def __init__(self, secret: str, why: str) -> None:
        super().__init__(f"Secret {secret}: {why}")
        self.secret = secret


class CertificateKeeper:
    """All of them, in the system namespace."""

    def __init__(
        self,
        kube: Kube,
        clock: Clock,
        namespace: str,
        instance: str,
        server_leaf: Callable[[], LeafWanted | None],
        own_folder: Path,
    ) -> None:
        self._kube = kube
        self._clock = clock
        self._namespace = namespace
        self._instance = instance
        self._server_leaf = server_leaf
        self._own_folder = own_folder
        self._nameless: tuple[str, ...] = ()
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
            note = f"{unusable.message}: put it right, or delete it and another one is made"
            about = self._secret(unusable.secret)
            await self._notes.tell(Tell(about, Weight.WARNING, "CertificateUnusable", note))
            log.warning("certificate_unusable", extra={"reason": unusable.message})
            if not self.ca_certificate and unusable.secret != SERVER_SECRET:
                shown = await self._read(SERVER_SECRET)
                self.ca_certificate = shown.data.get("ca.crt", "") if shown else ""
            return UNUSABLE_AGAIN_S

    async def _look(self) -> float:
        for _ in range(ROUNDS_MAX):
            held = await self._read(AUTHORITY_SECRET) or Held({}, is_ours=True)
            authority, known = held.data, _authorities(held)
            server = self._server_leaf()
            wanted = (*component_leaves(), *([server] if server else []))
            secrets = {one.secret: await self._read(one.secret) for one in wanted}
            wanted = tuple(
                [await self._with_room(one, secrets[one.secret], authority) for one in wanted]
            )
            ours = [one for one in wanted if _is_ours(secrets[one.secret])]
            leaves = {one.secret: _leaf(secrets[one.secret], authority) for one in ours}
            now = self._clock.wall_s()
            step = plan_authority(known, leaves, now) if held.is_ours else None
            if step is None and known is not None:
                self.ca_certificate = _known_by(secrets.get(SERVER_SECRET), authority)
                await self._keep_leaves(known, authority, secrets, leaves, ours, now)
                return check_in_s(known, leaves, now)
            assert step is not None, "without an authority one is made"
            await self._write(AUTHORITY_SECRET, _stepped(authority, step, now), held)
            log.info("authority_changed", extra={"step": type(step).__name__})
        return 1.0

    async def _with_room(
        self, wanted: LeafWanted, held: Held | None, authority: Data
    ) -> LeafWanted:
        """Says which names there is no room for, whenever they are others."""
        if not wanted.rest or not _is_ours(held):
            return wanted
        leaf = _leaf(held, authority)
        named, nameless = with_room(wanted, leaf.names if leaf else ())
        if nameless != self._nameless:
            self._nameless = nameless
            told = {"names": nameless[:NAMES_TOLD_MAX], "count": len(nameless)}
            log.warning("names_without_certificate", extra=told)
            if nameless:
                await self._notes.tell(_nameless(self._secret(SERVER_SECRET), nameless))
        return named

    async def _keep_leaves(
        self,
        known: Authorities,
        authority: Data,
        secrets: Mapping[str, Held | None],
        leaves: Mapping[str, Leaf | None],
        wanted: Sequence[LeafWanted],
        now: float,
    ) -> None:
        current = Pair(authority["tls.crt"], authority["tls.key"])
        trusted = bundle(authority)
        waiting = set[str]()
        made = {name: dict(held.data) if held else {} for name, held in secrets.items()}
        for action in plan_leaves(known, leaves, wanted, now):
            assert isinstance(action, Issue | Trust)
            data = made[action.leaf.secret]
            if isinstance(action, Issue):
                pair = make_leaf(current, action.leaf, now)
                data |= {"tls.crt": pair.certificate, "tls.key": pair.key}
            data["ca.crt"] = trusted
            await self._write(action.leaf.secret, data, secrets[action.leaf.secret])
            log.info("certificate_written", extra={"secret": action.leaf.secret})
            if isinstance(action, Issue):
                waiting.add(action.leaf.component)
        for component in waiting & HURRIED:
            await self._hurry(component, now)
        self._keep_own(made[OPERATOR_SECRET])

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

    def _secret(self, name: str) -> Document:
        """As far as an event needs it."""
        return {
            "apiVersion": SECRET.api_version,
            "kind": SECRET.kind,
            "metadata": {"name": name, "namespace": self._namespace},
        }

    async def _read(self, name: str) -> Held | None:
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
                raise Unusable(name, f"its {key} is no text, let alone PEM") from None
        is_ours = labels_of(secret).get(names.MANAGED_BY_LABEL) == MANAGED_BY
        return Held(data, is_ours, version_of(secret))

    async def _write(self, name: str, data: Data, before: Held | None) -> None:
        """Conflict where it is no more as it was read: another operator may be at it, too."""
        document: Document = {
            "metadata": {
                "name": name,
                "namespace": self._namespace,
                "resourceVersion": before.version if before else NOT_THERE,
                "labels": {names.NAME_LABEL: "torpor", names.MANAGED_BY_LABEL: MANAGED_BY},
            },
            "type": "kubernetes.io/tls",
            "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
        }
        await self._kube.apply(SECRET, document, manager=names.OPERATOR_MANAGER)


def _nameless(secret: Document, nameless: Sequence[str]) -> Tell:
    """On the Secret that the certificate is in."""
    note = (
        f"no room for {len(nameless)} names, verify-full fails with them: "
        f"{', '.join(nameless[:NAMES_TOLD_MAX])}"
    )
    return Tell(secret, Weight.WARNING, "NamesWithoutCertificate", note)


def bundle(authority: Data) -> str:
    """Everything that is trusted."""
    return "".join(authority.get(f"{slot}.crt", "") for slot in ("tls", "next", "previous"))


def _authorities(held: Held) -> Authorities | None:
    """None: one is to be made."""
    data = held.data
    if held.is_ours and not data:
        return None
    for key in ("tls.crt", "tls.key"):
        if key not in data:
            raise Unusable(AUTHORITY_SECRET, f"it has no {key}")
    found: dict[str, Authority] = {}
    for slot in ("tls", "next", "previous"):
        if f"{slot}.crt" in data:
            try:
                found[slot] = read_authority(data[f"{slot}.crt"])
            except ValueError:
                raise Unusable(AUTHORITY_SECRET, f"its {slot}.crt is no certificate") from None
    try:
        refuse_other_key(data["tls.crt"], data["tls.key"])
    except ValueError as error:
        raise Unusable(AUTHORITY_SECRET, f"its tls.key {error}") from None
    return Authorities(found["tls"], found.get("next"), found.get("previous"))


def _known_by(shown: Held | None, authority: Data) -> str:
    """What clients check the proxy's certificate against; shown: the Secret that it is in."""
    if shown is None or shown.is_ours:
        return bundle(authority)
    return shown.data.get("ca.crt", "")


def _is_ours(held: Held | None) -> bool:
    return held is None or held.is_ours


def _leaf(held: Held | None, authority: Data) -> Leaf | None:
    if held is None:
        return None
    data = held.data
    signers = [authority[key] for key in ("tls.crt", "previous.crt") if key in authority]
    try:
        return read_leaf(data["tls.crt"], data.get("ca.crt", ""), signers)
    except (KeyError, ValueError) as error:
        log.warning("certificate_unreadable", extra={"reason": str(error)})
        return None


def _stepped(authority: Data, step: CertificateAction, now: float) -> Data:
    """The authority's Secret after the step."""
    match step:
        case MakeAuthority(is_next):
            pair, slot = make_authority(now), "next" if is_next else "tls"
            kept = authority if is_next else {}
            return {**kept, f"{slot}.crt": pair.certificate, f"{slot}.key": pair.key}
        case Promote():
            return {
                "tls.crt": authority["next.crt"],
                "tls.key": authority["next.key"],
                "previous.crt": authority["tls.crt"],
            }
        case DropPrevious():
            return {key: text for key, text in authority.items() if key != "previous.crt"}
        case Issue() | Trust():
            raise AssertionError("a step of a leaf is none of the authority")
