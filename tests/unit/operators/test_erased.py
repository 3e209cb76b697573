"""An end in its steps: what its record says between the erase and the object's going."""

from __future__ import annotations

from typing import Any

import pytest

from support.operating import SYSTEM, World
from torpor_kube import kinds
from torpor_operator.core.actions import Erase
from torpor_operator.core.seen_pods import SeenPod
from unit.operators.test_kept_data import database, erased, make_namespace, provided, status

OTHERS_FINALIZER = "example.com/backup"


@pytest.fixture
async def asleep(world: World) -> World:
    """Data of seven epochs, which is to go with its resource."""
    make_namespace(world)
    await provided(world, deletionPolicy="Delete")
    world.say("shop", "team", phase="Suspended", epoch=7, observedGeneration=1)
    await world.settled()
    return world


def storage_ready(world: World) -> dict[str, Any]:
    (found,) = [one for one in status(world)["conditions"] if one["type"] == "StorageReady"]
    return dict(found)


async def test_whose_it_was_is_on_record_until_it_goes(asleep: World) -> None:
    """Another Torpor on the cluster leaves it alone by that."""
    found = database(asleep)
    assert found is not None
    mark = {"metadata": {"finalizers": [*found["metadata"]["finalizers"], OTHERS_FINALIZER]}}
    asleep.fake.objects.patch((kinds.SERVERLESS_DATABASE, "team", "shop"), mark, "")
    reasons: list[str] = []
    asleep.others.on_erase = lambda pod, order: told(reasons, storage_ready(asleep)["reason"])
    await erased(asleep, is_over)
    assert reasons == ["Assigned"]
    assert storage_ready(asleep)["reason"] == "Erased"
    assert "up to epoch 7" in storage_ready(asleep)["message"]
    assert status(asleep)["storage"]["namespace"] == SYSTEM
    assert len(asleep.others.erased) == 1


def is_over(world: World) -> bool:
    found = database(world)
    return found is not None and found["metadata"]["finalizers"] == [OTHERS_FINALIZER]


async def told(reasons: list[str], reason: str) -> None:
    reasons.append(reason)


async def test_whoever_claims_it_after_the_erase_has_that_erased_as_well(asleep: World) -> None:
    async def claim(pod: SeenPod, order: Erase) -> None:
        if order.epoch == 8:
            asleep.say("shop", "team", phase="Resuming", epoch=8, compute="c1")

    asleep.others.on_erase = claim
    asleep.others.on_suspend = lambda key: asleep.say(
        "shop", "team", phase="Suspended", epoch=8, compute=None
    )
    await erased(asleep)
    assert [order.epoch for _, order in asleep.others.erased] == [8, 9]
