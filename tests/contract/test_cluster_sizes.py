"""A compute's size on Kubernetes: what the API server is asked, and what the fleet is told."""

from __future__ import annotations

from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from support.kube_people import RUNNING
from support.kube_world import SYSTEM, World, opened
from torpor_api import messages as m
from torpor_api.failures import NotFound
from torpor_kube import watching
from torpor_kube.kinds import POD

COMPUTE = "compute-default-a"
GIB = 1 << 30


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(watching, "RETRY_S_MIN", 0.01)
    async with opened() as there:
        await there.people.make_pool()
        yield there


def container(cpu: str, memory: str) -> dict[str, Any]:
    return {
        "name": "agent",
        "image": "none:0",
        "resources": {
            "requests": {"cpu": "50m", "memory": "192Mi"},
            "limits": {"cpu": cpu, "memory": memory},
        },
    }


async def running(world: World) -> None:
    await world.people.make_pod(COMPUTE, node="n1", containers=[container("1", "4Gi")])
    await world.people.say_of_pod(COMPUTE, **RUNNING)
    await world.until(lambda: COMPUTE in world.heard.agents)


async def resize(world: World, cu: str) -> None:
    assert await world.ask(m.ResizeCompute(compute=COMPUTE, cu=Decimal(cu))) == m.Done()


async def kubelet_gives(world: World, cpu: str, memory: str, **more: Any) -> None:
    status = {**RUNNING["containerStatuses"][0], "resources": container(cpu, memory)["resources"]}
    await world.people.say_of_pod(COMPUTE, **{**RUNNING, "containerStatuses": [status], **more})


def told(world: World) -> m.AgentSize:
    size = world.heard.agents[COMPUTE].size
    assert size is not None
    return size


async def test_a_size_that_it_has_costs_no_write(world: World) -> None:
    await running(world)
    before = await world.kube.get(POD, COMPUTE, SYSTEM)
    await resize(world, "1")
    assert await world.kube.get(POD, COMPUTE, SYSTEM) == before
    assert told(world) == m.AgentSize(cpu_milli=1000, memory_bytes=4 * GIB)
    assert world.heard.agents[COMPUTE].node == "n1"


async def test_a_resize_changes_resources_alone_and_the_kubelet_s_word_is_told(
    world: World,
) -> None:
    await running(world)
    await kubelet_gives(world, "1", "4Gi")
    before = await world.kube.get(POD, COMPUTE, SYSTEM)
    await resize(world, "2")
    pod = await world.kube.get(POD, COMPUTE, SYSTEM)
    (asked,) = pod["spec"]["containers"]
    assert asked["resources"]["limits"] == {"cpu": "2000m", "memory": str(8 * GIB)}
    assert asked["image"] == "none:0" and pod["status"] == before["status"]
    assert told(world).cpu_milli == 1000
    await kubelet_gives(world, "2", "8Gi")
    await world.until(lambda: told(world).cpu_milli == 2000)


async def test_what_was_said_of_the_former_size_is_no_answer_to_the_next(world: World) -> None:
    await running(world)
    await resize(world, "64")
    pending = {
        "type": "PodResizePending",
        "status": "True",
        "reason": "Infeasible",
        "message": "Node didn't have enough capacity",
        "observedGeneration": 2,
    }
    await kubelet_gives(world, "1", "4Gi", conditions=[*RUNNING["conditions"], pending])
    await world.until(lambda: "enough capacity" in told(world).refusal)
    assert told(world).is_for_want_of_room
    await resize(world, "2")
    assert told(world).refusal == ""


async def test_a_compute_that_is_not_there_has_no_size(world: World) -> None:
    with pytest.raises(NotFound):
        await resize(world, "2")
