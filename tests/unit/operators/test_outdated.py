"""A database that runs on a compute of an older template says so, until it runs on another one."""

from __future__ import annotations

from typing import Any

from support.operating import SYSTEM, World
from torpor_kube import kinds


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


async def test_one_that_has_moved_to_another_compute_is_not(world: World) -> None:
    await awake(world)
    change_pool(world)
    await world.until("it is outdated", lambda: up_to_date(world))
    await world.until("a newer one is made", lambda: newer(world))
    world.say("shop", epoch=2, compute=newer(world)[0])
    await world.until("it is not any more", lambda: not up_to_date(world))
