"""A cluster and its events for as long as a ``with`` block, over a client of their own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable

from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_autoscaler.adapters.kubernetes.events import ACTION, CONTROLLER, DatabaseEvents
from torpor_autoscaler.ports import Clock
from torpor_autoscaler.settings import OnKubernetes
from torpor_kube import names
from torpor_kube.events import Events
from torpor_kube.leading import WhileLeading
from torpor_kube.login import chosen
from torpor_kube.server import ApiServer


@contextlib.asynccontextmanager
async def to(
    place: OnKubernetes, clock: Clock, leads: Callable[[], bool]
) -> AsyncIterator[tuple[KubernetesCluster, DatabaseEvents]]:
    server = ApiServer(chosen(place.kubeconfig), manager=names.AUTOSCALER_MANAGER)
    kube = WhileLeading(server, leads)
    cluster = KubernetesCluster(
        kube, system_namespace=place.system_namespace, namespaces=place.namespaces
    )
    events = DatabaseEvents(
        Events(kube, clock, controller=CONTROLLER, instance=place.identity, action=ACTION)
    )
    try:
        yield cluster, events
    finally:
        await events.close()
        await cluster.close()
        await server.close()
