"""What the fencer takes for granted of a kubelet: its word when a container has ended, however.

On the cluster of KUBECONFIG, with the compute's image; what runs in it here is a shell.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.kube_cluster import Heard, client, own_namespace
from support.kube_people import pod_document
from torpor_api import messages as m
from torpor_autoscaler.adapters.kubernetes.cluster import KubernetesCluster
from torpor_kube.kinds import NODE, POD, SERVERLESS_DATABASE
from torpor_kube.login import chosen
from torpor_kube.port import Kube
from torpor_kube.server import ApiServer

IMAGE = "torpor/compute:"

READY_SECONDS_MAX = 60.0

DEAF = "trap '' TERM; while true; do sleep 1; done"
"""It does not end by being asked to."""

OUT_OF_MEMORY = "sleep 3; tail /dev/zero"
MEMORY = {"limits": {"memory": "32Mi"}}


@pytest.fixture
async def kube() -> AsyncIterator[ApiServer]:
    kubeconfig = os.environ.get("KUBECONFIG")
    if not kubeconfig:
        pytest.skip("KUBECONFIG names no cluster: no kubelet was asked")
    async with client(chosen(Path(kubeconfig))) as server:
        yield server


async def test_whatever_ends_a_compute_the_kubelet_says_so_and_then_it_is_gone(
    kube: ApiServer,
) -> None:
    image = await image_there(kube)
    async with own_namespace(kube) as system:
        head = {"name": "shop", "namespace": system}
        await kube.create(SERVERLESS_DATABASE, {"metadata": head, "spec": {}})
        cluster, heard = KubernetesCluster(kube, system_namespace=system), Heard()
        await cluster.start(heard)
        try:
            for name, script in (("deaf", DEAF), ("full", OUT_OF_MEMORY)):
                container = {
                    "name": "agent",
                    "image": image,
                    "command": ["bash", "-c", script],
                    "resources": MEMORY,
                }
                await kube.create(POD, pod_document(name, system, containers=[container]))
            await until_told(heard, "deaf", "full")
            asked = m.ConfirmGone(compute="deaf", database=f"shop.{system}")
            assert await cluster.ask(asked, timeout_s=60) == m.Done()
            async with asyncio.timeout(READY_SECONDS_MAX):
                while not all(agent.is_gone for agent in heard.agents.values()):
                    await asyncio.sleep(0.1)
        finally:
            await cluster.close()
            for name in ("deaf", "full"):
                patch = {"metadata": {"finalizers": None}}
                await kube.patch(POD, name, system, patch)


async def image_there(kube: Kube) -> str:
    """As a node has it already: nothing is pulled for a test."""
    for node in (await kube.page(NODE)).items:
        for image in node["status"].get("images") or []:
            for name in image.get("names") or []:
                if IMAGE in name:
                    return str(name)
    pytest.skip("no node has the compute's image: no kubelet was asked")


async def until_told(heard: Heard, *computes: str) -> None:
    async with asyncio.timeout(READY_SECONDS_MAX):
        while not set(computes) <= set(heard.agents):
            await asyncio.sleep(0.1)
