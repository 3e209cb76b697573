"""A cluster as a place of databases, by the rights of one person."""

from __future__ import annotations

import base64
import contextlib
import functools
import itertools
import shlex
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import click

from torpor_api.failures import InvalidRequest, NotFound, Refused, Unavailable
from torpor_api.identity import (
    CONSOLE_NAME,
    canonical_endpoint_name,
    endpoint_name,
    split_endpoint_name,
)
from torpor_api.manifest import parse_resource
from torpor_api.resource import DeletionPolicy, ServerlessDatabase, StorageStatus
from torpor_cli.client import QUICK_SECONDS_MAX, SLOW_SECONDS_MAX, Json
from torpor_cli.inside import Inside
from torpor_cli.kubernetes import components
from torpor_cli.kubernetes.api_server import ApiServer
from torpor_cli.kubernetes.carrying import Dial, carried
from torpor_cli.kubernetes.forward import forward
from torpor_cli.kubernetes.psql import run_psql
from torpor_cli.local.dashboard import address
from torpor_cli.local.sockets import Address
from torpor_cli.place import Reached
from torpor_cli.uri import CONSOLE_ROLE, Connection, console_database, inner_database
from torpor_kube.documents import metadata, name_of, namespace_of
from torpor_kube.kinds import SECRET, SERVERLESS_DATABASE
from torpor_kube.names import DATABASE_LABEL
from torpor_kube.port import Document

LOOK_EVERY_SECONDS = 0.2
"""While the operator makes or removes what belongs to a resource; each look is one request."""

PROVIDED_SECONDS_MAX = 30.0
"""For the operator to provide for a new resource: some tenths of a second on a healthy cluster."""

CONSOLE_SECRETS = {CONSOLE_ROLE: "torpor-console", "viewer": "torpor-console-show"}
"""By role; made by the operator in Torpor's own namespace."""

NOT_INSTALLED = ("could not find the requested resource", "page not found")
"""The API server's words for a kind, and for a group, that it does not know."""


def on_cluster(context: str | None, kubeconfig: Path | None, namespace: str | None) -> OnCluster:
    """The cluster of a context, by default of the current one; ``namespace``: not the context's."""
    options = {"context": context, "kubeconfig": kubeconfig, "namespace": namespace}
    given = {name: shlex.quote(str(each)) for name, each in options.items() if each is not None}
    flag = "".join(f" --{name} {value}" for name, value in given.items())
    of_kubectl = {name: value for name, value in options.items() if value and name != "namespace"}
    kubectl = [f"--{name}={value}" for name, value in of_kubectl.items()]
    return OnCluster(ApiServer(kubeconfig, context), namespace, flag, kubectl)


class OnCluster:
    """The databases of the namespaces that the person may see."""

    def __init__(
        self, api: ApiServer, namespace: str | None, flag: str, kubectl: Sequence[str] = ()
    ) -> None:
        """``kubectl``: its options for the same cluster."""
        self._api = api
        self.namespace = namespace
        self.flag = flag
        self._kubectl = kubectl

    def named(self, name: str) -> str:
        if name == CONSOLE_NAME:
            return name
        if canonical_endpoint_name(name) is None:
            raise InvalidRequest(f"{name!r} is no database: write NAME or NAME.NAMESPACE")
        own, _, namespace = name.partition(".")
        return endpoint_name(own, namespace or self._own_namespace)

    def meant(self, resource: ServerlessDatabase) -> ServerlessDatabase:
        """In the person's namespace, where the file names none."""
        if "namespace" in resource.metadata.model_fields_set:
            return resource
        inside = resource.metadata.model_copy(update={"namespace": self._own_namespace})
        return resource.model_copy(update={"metadata": inside})

    def ask_cluster(
        self, request: str, *, timeout_s: float = QUICK_SECONDS_MAX, **body: Any
    ) -> Json:
        match request:
            case "ListResources":
                return {"resources": self._list()}
            case "GetResource":
                return {"resource": self._get(body["name"]).as_json()}
            case "ApplyResource":
                document = self._api.apply(SERVERLESS_DATABASE, body["resource"])
                return {"resource": _read(document).as_json()}
            case "DeleteResource":
                self._delete(body["name"], data=body["data"], timeout_s=timeout_s)
                return {}
        raise InvalidRequest(f"a cluster does not answer {request}")

    def ask_autoscaler(
        self, request: str, *, timeout_s: float = SLOW_SECONDS_MAX, **body: Any
    ) -> Json:
        if not body.get("name"):
            return components.ask_autoscaler(self._api, self._system, request, body, timeout_s)
        storage = self._provided(body["name"], is_new=request == "AwaitKnown")
        if request == "AwaitKnown":
            # For computes generations go on over kept data, and with each new password.
            body["generation"] += storage.generation_offset
        return components.ask_autoscaler(self._api, storage.namespace, request, body, timeout_s)

    def connection(
        self, name: str, role: str | None = None, database: str | None = None
    ) -> Connection:
        if name == CONSOLE_NAME:
            return self._console(role, console_database(database))
        resource = self._get(name).as_json()
        inner = inner_database(resource, database)
        secret = self._credentials(name, role or inner["owner"])
        endpoint = _endpoint(resource, secret)
        user, password = secret["username"], secret["password"]
        return Connection(name, endpoint, user, inner["name"], password, is_host_its_own=True)

    @contextlib.asynccontextmanager
    async def reached(self, name: str) -> AsyncIterator[Reached]:
        async with carried(self.connection(name).address.port, self._dial(name)) as host:
            yield Reached(
                lambda role, database: (
                    self.connection(name, role, database).parameters() | {"host": host}
                ),
                through="the API server",
            )

    def psql(self, name: str, arguments: Sequence[str]) -> int:
        return run_psql(self.connection(name), self._dial(name), arguments)

    def dashboard(self, port: int | None, announce: Callable[[str, float], None]) -> None:
        told = components.ask_autoscaler(
            self._api, self._system, "AskDashboard", {}, QUICK_SECONDS_MAX
        )
        link, valid_s = told["link"], told["valid_s"]
        if told["hosts"] and port is None:
            announce(f"https://{told['hosts'][0]}/#enter={link}", valid_s)
            return
        dial = functools.partial(
            components.dashboard_port, self._api, self._system, int(told["port"])
        )
        forward(dial, port, lambda own: announce(address(own.host, own.port, link), valid_s))

    def names(self, prefix: str, limit: int, *, timeout_s: float) -> Sequence[str]:
        """Of the API server, which alone knows what this person may see."""
        found = self._api.names(SERVERLESS_DATABASE, self.namespace or "")
        own = self._own_namespace
        # A name without its namespace is one of the person's own.
        each = (name if namespace == own else f"{name}.{namespace}" for namespace, name in found)
        return list(itertools.islice((name for name in each if name.startswith(prefix)), limit))

    @property
    def inside(self) -> Inside:
        from torpor_cli.kubernetes.within import WithinCluster

        return WithinCluster(self._api, self.namespace, lambda: self._system, self._kubectl)

    def _console(self, role: str | None, database: str) -> Connection:
        secret_name = CONSOLE_SECRETS.get(role or CONSOLE_ROLE)
        if secret_name is None:
            roles = ", ".join(CONSOLE_SECRETS)
            raise NotFound(f"the operator console has no role {role!r}: it has {roles}")
        secret = _decoded(self._api.get(SECRET, secret_name, self._system))
        address = Address(secret["host"], int(secret["port"]))
        user, password = secret["username"], secret["password"]
        return Connection(CONSOLE_NAME, address, user, database, password, is_host_its_own=True)

    @functools.cached_property
    def _system(self) -> str:
        """Torpor's own namespace, as any database says that is provided for."""
        found = self._api.first(SERVERLESS_DATABASE, self.namespace or "", _is_provided)
        if found is None:
            raise Unavailable("no database of this namespace is provided for yet")
        return str(found["status"]["storage"]["namespace"])

    def _dial(self, name: str) -> Dial:
        is_console = name == CONSOLE_NAME
        system = self._system if is_console else self._provided(name, is_new=False).namespace
        return functools.partial(components.proxy_port, self._api, system)

    @property
    def _own_namespace(self) -> str:
        return self.namespace or self._api.namespace

    def _list(self) -> list[Json]:
        try:
            documents = self._api.listed(SERVERLESS_DATABASE, self.namespace or "")
        except Refused as refused:
            raise Refused(refused.message, hint="name a namespace: -n NAMESPACE") from None
        except NotFound as missing:
            raise _as_not_installed(missing) from None
        resources = []
        for document in documents:
            try:
                resources.append(_read(document).as_json())
            except InvalidRequest as fault:
                click.echo(f"not shown, for it can't be read: {fault.message}", err=True)
        return resources

    def _document(self, name: str) -> Document:
        own, namespace = split_endpoint_name(name)
        try:
            return self._api.get(SERVERLESS_DATABASE, own, namespace)
        except NotFound as missing:
            if any(words in missing.message for words in NOT_INSTALLED):
                raise _as_not_installed(missing) from None
            raise NotFound(
                f"no database {own!r} in the namespace {namespace}",
                hint="`torpor list` shows those there are",
            ) from None

    def _get(self, name: str) -> ServerlessDatabase:
        return _read(self._document(name))

    def _provided(self, name: str, *, is_new: bool) -> StorageStatus:
        """What the operator has provided; for a new resource it is waited for."""
        deadline = time.monotonic() + (PROVIDED_SECONDS_MAX if is_new else 0.0)
        while True:
            status = self._get(name).status
            if status.storage is not None:
                return status.storage
            if time.monotonic() >= deadline:
                own, namespace = split_endpoint_name(name)
                said = "; ".join(one.message for one in status.conditions if one.message)
                raise Unavailable(
                    f"nothing is provided for {name} yet{': ' + said if said else ''}",
                    hint=f"kubectl describe serverlessdatabase {own} --namespace {namespace}",
                )
            time.sleep(LOOK_EVERY_SECONDS)

    def _credentials(self, name: str, role: str) -> dict[str, str]:
        """The Secret of a role, decoded."""
        own, namespace = split_endpoint_name(name)
        known = []
        for secret in self._api.listed(SECRET, namespace, labels=f"{DATABASE_LABEL}={own}"):
            found = _decoded(secret)
            if found.get("username") == role:
                return found
            known += [found["username"]] if "username" in found else []
        raise NotFound(
            f"there are no credentials of the role {role!r} of {name}"
            + (f": there are those of {', '.join(known)}" if known else " yet")
        )

    def _delete(self, name: str, *, data: bool, timeout_s: float) -> None:
        """Returns when it is gone. Its events say what holds it up."""
        document = self._document(name)
        own, namespace = name_of(document), namespace_of(document)
        policy = {"deletionPolicy": DeletionPolicy.DELETE.value}
        if data and document["spec"].get("deletionPolicy") != policy["deletionPolicy"]:
            self._api.merge(SERVERLESS_DATABASE, own, namespace, {"spec": policy})
        uid = str(metadata(document)["uid"])
        self._api.delete(SERVERLESS_DATABASE, own, namespace, uid=uid)
        deadline = time.monotonic() + timeout_s
        while self._is_there(name, uid):
            if time.monotonic() >= deadline:
                raise Unavailable(
                    f"{name} is not gone after {timeout_s:g} s, and goes on its own when it can",
                    hint=f"kubectl describe serverlessdatabase {own} --namespace {namespace}",
                )
            time.sleep(LOOK_EVERY_SECONDS)

    def _is_there(self, name: str, uid: str) -> bool:
        try:
            return str(metadata(self._document(name))["uid"]) == uid
        except NotFound:
            return False


def _is_provided(document: Document) -> bool:
    return bool((document.get("status") or {}).get("storage"))


def _read(document: Document) -> ServerlessDatabase:
    """A field of a newer release is passed over."""
    return parse_resource(document, knows_all=False)


def _decoded(secret: Document) -> dict[str, str]:
    data: dict[str, str] = secret.get("data") or {}
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def _endpoint(resource: Json, secret: dict[str, str]) -> Address:
    """As its status says: the name for clients outside, where the release has a domain."""
    found = resource["status"]["endpoint"] or {"host": secret["host"], "port": secret["port"]}
    return Address(found["host"], int(found["port"]))


def _as_not_installed(missing: NotFound) -> Unavailable:
    return Unavailable(
        f"Torpor's custom resources are not in this cluster: {missing.message}",
        hint="helm install torpor ./manifests/chart/torpor -n torpor-system --create-namespace",
    )
