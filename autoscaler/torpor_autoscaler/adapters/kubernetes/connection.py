"""A cluster for as long as a ``with`` block, over a client of its own."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_autoscaler.settings import OnKubernetes
from torpor_kube.login import chosen
from torpor_kube.server import ApiServer


@contextlib.asynccontextmanager
async def to(place: OnKubernetes) -> AsyncIterator[KubernetesCluster]:
    kube = ApiServer(chosen(place.kubeconfig))
    cluster = KubernetesCluster(
        kube, system_namespace=place.system_namespace, namespaces=place.namespaces
    )
    try:
        yield cluster
    finally:
        await cluster.close()
        await kube.close()
