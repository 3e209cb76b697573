"""Verbs asked on either place, of an autoscaler that answers as a test says."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from support.certificates import Authority
from support.fake_kube.server import FakeKube
from support.ports import free_address
from torpor_api import messages as m
from torpor_api.failures import Failure
from torpor_api.resource import ServerlessDatabase
from torpor_channel.admission import Admission
from torpor_channel.peer import Peer
from torpor_channel.server import Server
from torpor_channel.tls import AUTOSCALER, CLIENT, Identity
from torpor_cli.local.state_folder import StateFolder
from torpor_cli.main import torpor
from torpor_kube.kinds import NAMESPACE, POD, SECRET, SERVERLESS_DATABASE
from torpor_kube.names import AUTOSCALER_PORT, OPERATOR_MANAGER

SYSTEM = "torpor-system"

ASKED = (
    *(m.Switchover, m.Resize, m.Wake, m.Suspend, m.AwaitKnown, m.AskUses),
    *(m.Sessions, m.EndSession, m.Why, m.AskDecisions),
    *(m.AskFleet, m.AskNames, m.AskComputes, m.AskTransitions, m.AskDashboard),
)

ASKED_OF_CLUSTER = (m.ListResources, m.GetResource, m.DeleteResource)
"""On one machine; on a cluster the API server has the resources."""

SHOP = ServerlessDatabase.model_validate({"metadata": {"name": "shop"}})


class Autoscaler:
    """Answers each question with what ``answers`` has for it: a message, or a failure."""

    def __init__(self, *options: str) -> None:
        self._options = options
        self.asked: list[m.Message] = []
        self.answer_fleet: Callable[[m.AskFleet], m.FleetPage] | None = None
        """Where the answer depends on the question."""
        self.kube: FakeKube | None = None
        self.answers: dict[type[m.Message], m.Message | Failure] = {
            m.Suspend: m.Done(),
            m.AwaitKnown: m.Done(),
            m.Resize: m.Resized(cu=Decimal("0.5")),
            m.Sessions: m.SessionList(),
            m.EndSession: m.Done(),
            m.ListResources: m.Resources(resources=(SHOP,)),
            m.GetResource: m.Stored(resource=SHOP),
            m.DeleteResource: m.Done(),
        }

    def declare(self, *names: str) -> None:
        """On a cluster, where each name is looked up before the autoscaler is asked."""
        if self.kube is not None:
            for name in names:
                add_database(self.kube, name)

    async def answer(self, _: Peer, asked: m.Message) -> m.Message:
        self.asked.append(asked)
        if isinstance(asked, m.AskFleet) and self.answer_fleet is not None:
            return self.answer_fleet(asked)
        answer = self.answers[type(asked)]
        if isinstance(answer, Failure):
            raise answer
        return answer

    async def torpor(self, *arguments: str, stdin: str | None = None) -> Result:
        argv = [*arguments, *self._options]
        return await asyncio.to_thread(CliRunner().invoke, torpor, argv, stdin)


@contextlib.asynccontextmanager
async def on_machine(folder: Path) -> AsyncIterator[Autoscaler]:
    """On the sockets where a running `torpor up` has its own."""
    fake = Autoscaler("--state", str(folder))
    state = StateFolder(folder)
    state.run.mkdir(parents=True)
    async with contextlib.AsyncExitStack() as ending:
        places = {state.autoscaler_socket: ASKED, state.cluster_socket: ASKED_OF_CLUSTER}
        for path, asked in places.items():
            server = Server(dict.fromkeys(asked, fake.answer))
            await server.listen(path)
            ending.push_async_callback(server.close)
        yield fake


@contextlib.asynccontextmanager
async def on_cluster(folder: Path, kube: FakeKube) -> AsyncIterator[Autoscaler]:
    """In a pod behind the API server, with the certificates of a release; and the database shop."""
    fake = Autoscaler("--kubeconfig", str(kubeconfig(folder, kube)))
    fake.kube = kube
    authority, address = Authority(), free_address()
    add_namespaces(kube, SYSTEM)
    add_pod(kube, "autoscaler", "autoscaler-0")
    add_pod(kube, "autoscaler", "autoscaler-1", leader="true")
    kube.forwarding.ports[SYSTEM, "autoscaler-1", AUTOSCALER_PORT] = address
    files = authority.folder(folder / "client", CLIENT).iterdir()
    add_secret(kube, "torpor-client-tls", SYSTEM, {file.name: file.read_text() for file in files})
    add_database(kube, "shop")
    server_identity = Identity(authority.folder(folder / "autoscaler", AUTOSCALER))
    admission = Admission(server_identity, {CLIENT: ASKED})
    server = Server(dict.fromkeys(ASKED, fake.answer), admission)
    await server.listen(address)
    try:
        yield fake
    finally:
        await server.close()


def kubeconfig(folder: Path, kube: FakeKube, *, namespace: str = "", user: str = "me") -> Path:
    """With two contexts: ``test`` is the server's, ``nowhere`` leads to nobody."""
    place = {"cluster": "test", "user": user, **({"namespace": namespace} if namespace else {})}
    dead = f"http://{free_address()}"
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "clusters": [
            {"name": "test", "cluster": {"server": kube.url}},
            {"name": "dead", "cluster": {"server": dead}},
        ],
        "users": [{"name": user, "user": {"token": user}}],
        "contexts": [
            {"name": "test", "context": place},
            {"name": "nowhere", "context": place | {"cluster": "dead"}},
        ],
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(document))
    return file


def add_namespaces(kube: FakeKube, *names: str) -> None:
    for name in names:
        kube.objects.create(NAMESPACE, {"metadata": {"name": name}})


def add_database(kube: FakeKube, name: str, namespace: str = "default", **status: Any) -> None:
    """Declared, and provided for by the operator."""
    document = {
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"roles": [{"name": "app"}], "deletionPolicy": "Retain"},
    }
    kube.objects.create(SERVERLESS_DATABASE, document)
    provide(kube, name, namespace, **status)


def provide(kube: FakeKube, name: str, namespace: str = "default", **status: Any) -> None:
    """As the operator."""
    storage = {"directory": f"/volumes/{name}", "userId": 100001, "namespace": SYSTEM}
    document = {
        "metadata": {"name": name, "namespace": namespace},
        "status": {"storage": storage | status.pop("storage", {}), **status},
    }
    key = (SERVERLESS_DATABASE, namespace, name)
    kube.objects.apply(key, document, OPERATOR_MANAGER, "status")


def add_secret(
    kube: FakeKube,
    name: str,
    namespace: str,
    values: dict[str, str],
    labels: dict[str, str] | None = None,
) -> None:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    head = {"name": name, "namespace": namespace, "labels": labels or {}}
    kube.objects.create(SECRET, {"metadata": head, "data": data})


def add_pod(kube: FakeKube, component: str, name: str, **own: str) -> None:
    """Ready; ``own``: labels of ours."""
    labels = {"app.kubernetes.io/name": "torpor", "app.kubernetes.io/component": component}
    labels |= {f"torpor.dev/{label}": value for label, value in own.items()}
    head = {"name": name, "namespace": SYSTEM, "labels": labels}
    kube.objects.create(POD, {"metadata": head, "spec": {}})
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    kube.objects.patch((POD, SYSTEM, name), ready, "status")


def requests_of(kube: FakeKube, method: str) -> Sequence[str]:
    return [each.split(" ", 1)[1] for each in kube.requests if each.startswith(method)]
