"""A pool whose volume is not made says so, and so do the databases that would be on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds
from torpor_kube.port import Document
from torpor_operator.core import claims
from torpor_operator.core.claims import CLAIM_WAIT_S
from unit.operators.test_pool import NOW, plan, pod, pool

CLAIM = "torpor-pool-default"


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Where pods wait for nobody in vain for long."""
    monkeypatch.setattr("torpor_operator.core.pool.CLAIM_WAIT_S", 0.0)
    async with serving() as fake:
        add_pool(fake)
        async with operating(fake, tmp_path) as world:
            yield world


def bind(world: World) -> None:
    key = (kinds.VOLUME_CLAIM, SYSTEM, CLAIM)
    world.fake.objects.patch(key, {"status": {"phase": "Bound"}}, "status")


def condition(document: Document | None, type: str) -> dict[str, Any]:
    found = ((document or {}).get("status") or {}).get("conditions") or []
    return next((one for one in found if one["type"] == type), {})


def storage_ready(world: World, name: str) -> tuple[str | None, str | None]:
    found = condition(world.database(name), "StorageReady")
    return found.get("status"), found.get("reason")


def test_a_claim_is_waited_for_in_vain_after_a_while() -> None:
    new = pod("a", is_ready=False, created_at=NOW - 1)
    found = plan(new, wanted=1, is_claim_bound=False)
    assert not found.waits_for_claim and found.again_in_s == CLAIM_WAIT_S - 1
    old = pod("a", is_ready=False, created_at=NOW - CLAIM_WAIT_S)
    assert plan(old, wanted=1, is_claim_bound=False).waits_for_claim
    assert not plan(old, wanted=1).waits_for_claim


def test_a_claim_that_nobody_waits_for_is_no_fault() -> None:
    assert not plan(is_claim_bound=False).waits_for_claim


def test_once_it_was_waited_for_in_vain_that_stays_so_until_there_is_a_volume() -> None:
    said = pool()
    said["status"]["conditions"] = [
        {"type": "Ready", "status": "False", "reason": claims.CLAIM_PENDING, "message": "m"}
    ]
    assert plan(document=said, is_claim_bound=False).waits_for_claim
    assert not plan(document=said).waits_for_claim


async def test_its_pool_and_its_databases_say_what_to_do_until_it_is_bound(world: World) -> None:
    world.make("shop")
    await world.until("its storage is not", lambda: storage_ready(world, "shop")[0] == "False")
    ready = condition(world.get(kinds.WARM_POOL, "default", SYSTEM), "Ready")
    said = condition(world.database("shop"), "StorageReady")
    assert (ready["status"], ready["reason"]) == ("False", "ClaimPending")
    assert (said["reason"], said["message"]) == ("ClaimPending", ready["message"])
    for words in (f"describe pvc {CLAIM} -n {SYSTEM}", "ReadWriteMany", "storage.mode dedicated"):
        assert words in said["message"]
    bind(world)
    await world.until("it is", lambda: storage_ready(world, "shop") == ("True", "Assigned"))


async def test_a_database_with_a_volume_of_its_own_does_not_wait_for_its_pool_s(
    world: World,
) -> None:
    world.make("shop")
    world.make("own", storage={"mode": "dedicated", "size": "1Gi"})
    await world.until("the one waits", lambda: storage_ready(world, "shop")[0] == "False")
    await world.until("the other is provided for", lambda: storage_ready(world, "own")[0])
    assert storage_ready(world, "own") == ("True", "Assigned")
