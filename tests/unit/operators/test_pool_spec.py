"""The spec of a pool that a newer release wrote, or that somebody got past the schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_kube import kinds


def ready(world: World) -> dict[str, Any]:
    status = (world.get(kinds.WARM_POOL, "default", SYSTEM) or {}).get("status") or {}
    found = [one for one in status.get("conditions") or () if one["type"] == "Ready"]
    return found[0] if found else {}


async def test_a_field_of_a_newer_release_is_passed_over(tmp_path: Path) -> None:
    """Custom resources are upgraded before the operator is, and give defaults to old objects."""
    async with serving() as fake:
        add_pool(fake, fromTheFuture="", storage={"size": "10Gi", "fromTheFuture": True})
        async with operating(fake, tmp_path) as world:
            await world.until("a compute is started", world.pods)


async def test_one_that_can_not_be_read_says_so_and_is_read_once_it_can(tmp_path: Path) -> None:
    async with serving() as fake:
        add_pool(fake, size={"min": "many"})
        async with operating(fake, tmp_path) as world:
            await world.until("it is told", lambda: ready(world).get("reason") == "Invalid")
            assert "spec.size.min" in ready(world)["message"]
            assert world.pods() == []
            patch = {"spec": {"size": {"min": 1}}}
            fake.objects.patch((kinds.WARM_POOL, SYSTEM, "default"), patch, "")
            await world.until("a compute is started", world.pods)


async def test_labels_that_are_torpors_own_are_passed_over_where_a_pool_has_them(
    tmp_path: Path,
) -> None:
    """A release that knew no better let them in."""
    async with serving() as fake:
        labels = {"app.kubernetes.io/name": "mine", "torpor.dev/database": "x", "team": "a"}
        add_pool(fake, podLabels=labels)
        async with operating(fake, tmp_path) as world:
            await world.until("a compute is started", world.pods)
            made = world.pods()[0]["metadata"]["labels"]
            assert (made["app.kubernetes.io/name"], made["team"]) == ("torpor", "a")
            assert "torpor.dev/database" not in made
