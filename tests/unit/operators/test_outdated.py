"""A database that runs on a compute of an older template says so, until it runs on another one."""

from __future__ import annotations

from typing import Any

from support.operating import SYSTEM, World
from torpor_channel.metrics import Metrics
from torpor_kube import kinds
from torpor_kube.names import OUTDATED_ANNOTATION
from torpor_operator.main import tell_metrics


def up_to_date(world: World) -> list[dict[str, Any]]:
    conditions = (world.database("shop").get("status") or {}).get("conditions") or []
    return [one for one in conditions if one["type"] == "UpToDate"]


async def awake(world: World) -> str:
    """The compute that serves it."""
    world.make("shop")
    await world.until("a compute is made", world.pods)
    await world.until("it is served", lambda: "binding" in world.database("shop").get("status", {}))
    compute: str = world.pods()[0]["metadata"]["name"]
    world.say("shop", phase="Active", epoch=1, compute=compute, observedGeneration=1)
    await world.settled()
    return compute


def change_pool(world: World) -> None:
    key = (kinds.WARM_POOL, SYSTEM, "default")
    world.fake.objects.patch(key, {"spec": {"image": "torpor/compute:newer"}}, "")


def newer(world: World) -> list[str]:
    """Computes of the newer image."""
    return [
        one["metadata"]["name"]
        for one in world.pods()
        if one["spec"]["containers"][0]["image"] == "torpor/compute:newer"
    ]


async def test_it_says_so_until_it_sleeps(world: World) -> None:
    compute = await awake(world)
    assert up_to_date(world) == []
    change_pool(world)
    await world.until("it is outdated", lambda: up_to_date(world))
    (said,) = up_to_date(world)
    assert (said["status"], said["reason"]) == ("False", "OlderTemplate")
    assert compute in said["message"] and "torpor switchover" in said["message"]
    world.say("shop", phase="Suspended", compute=None)
    await world.until("nothing is outdated", lambda: not up_to_date(world))


def annotated(world: World) -> set[str]:
    """Computes that the autoscaler takes for outdated."""
    found = [one["metadata"] for one in world.pods()]
    return {one["name"] for one in found if OUTDATED_ANNOTATION in one.get("annotations", {})}


def want(world: World, strategy: str) -> None:
    key = (kinds.WARM_POOL, SYSTEM, "default")
    world.fake.objects.patch(key, {"spec": {"updateStrategy": strategy}}, "")


async def test_the_autoscaler_is_told_of_it_on_its_pod(world: World) -> None:
    compute = await awake(world)
    assert not annotated(world)
    change_pool(world)
    await world.until("it is told", lambda: compute in annotated(world))
    await world.until("a newer one is made", lambda: newer(world))
    assert not annotated(world) & set(newer(world))


async def test_not_where_the_pool_leaves_it_to_the_next_sleep(world: World) -> None:
    compute = await awake(world)
    want(world, "OnSleep")
    change_pool(world)
    await world.until("it is outdated", lambda: up_to_date(world))
    await world.settled()
    assert not annotated(world)
    want(world, "WhenIdle")
    await world.until("it is told", lambda: compute in annotated(world))
    want(world, "OnSleep")
    await world.until("it is taken back", lambda: not annotated(world))
    assert up_to_date(world)


async def test_another_strategy_alone_makes_nothing_outdated(world: World) -> None:
    await awake(world)
    want(world, "OnSleep")
    await world.settled()
    assert not up_to_date(world) and not annotated(world)


async def test_how_many_are_outdated_is_a_metric(world: World) -> None:
    metrics = Metrics()
    tell_metrics(metrics, world.operator)

    def outdated() -> float:
        lines = [line.split() for line in metrics.text().decode().splitlines()]
        name = 'torpor_computes{state="outdated"}'
        return next(float(line[1]) for line in lines if line[0] == name)

    await awake(world)
    assert outdated() == 0
    change_pool(world)
    await world.until("it is outdated", lambda: outdated() == 1)
    world.say("shop", phase="Suspended", compute=None)
    await world.until("nothing is outdated", lambda: outdated() == 0)


async def test_one_that_has_moved_to_another_compute_is_not(world: World) -> None:
    await awake(world)
    change_pool(world)
    await world.until("it is outdated", lambda: up_to_date(world))
    await world.until("a newer one is made", lambda: newer(world))
    world.say("shop", epoch=2, compute=newer(world)[0])
    await world.until("it is not any more", lambda: not up_to_date(world))
