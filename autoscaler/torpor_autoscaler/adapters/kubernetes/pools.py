"""The warm pools: their bounds are told to the fleet, what is wanted of them is kept in them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from torpor_api.messages import SetWarmPool
from torpor_api.warm_pool import PoolSize
from torpor_autoscaler.lifecycle.stock import Bounds, PoolRecord
from torpor_autoscaler.ports import ClusterFacts
from torpor_kube import names
from torpor_kube.documents import name_of
from torpor_kube.kinds import WARM_POOL
from torpor_kube.port import Document, Kube
from torpor_kube.watching import Watch


class Pools:
    """All of the system's namespace; a few, of which each claim changes the operator's part."""

    def __init__(self, kube: Kube, system: str) -> None:
        self._kube = kube
        self._system = system
        self._fleet: ClusterFacts | None = None
        self._pools: dict[str, PoolRecord] = {}
        self.watch = Watch(kube, WARM_POOL, record_from, self, namespace=system)

    def start(self, fleet: ClusterFacts) -> None:
        self._fleet = fleet
        self.watch.start()

    async def close(self) -> None:
        await self.watch.close()

    async def say(self, word: SetWarmPool) -> None:
        """What is left out is taken out of the record. Raises NotFound."""
        said = {"decision": word.decision, "learned": word.learned}
        status = {"wanted": word.size, **{name: text for name, text in said.items() if text}}
        head = {"name": word.pool, "namespace": self._system}
        await self._kube.apply(
            WARM_POOL,
            {"metadata": head, "status": status},
            manager=names.AUTOSCALER_MANAGER,
            subresource="status",
        )

    # --- from the watch --------------------------------------------------------------------

    def listed(self, all: Iterable[PoolRecord]) -> None:
        self._know({pool.name: pool for pool in all})

    def changed(self, one: PoolRecord) -> None:
        if one != self._pools.get(one.name):
            self._know({**self._pools, one.name: one})

    def deleted(self, one: PoolRecord) -> None:
        self._know({name: pool for name, pool in self._pools.items() if name != one.name})

    def _know(self, pools: dict[str, PoolRecord]) -> None:
        assert self._fleet is not None
        self._pools = pools
        self._fleet.pools_known(pools.values())


def record_from(pool: Document) -> PoolRecord:
    """Where somebody has written a size past the rules, that of a pool that says none counts."""
    status: dict[str, Any] = pool.get("status") or {}
    try:
        size = PoolSize.model_validate((pool.get("spec") or {}).get("size") or {}, extra="ignore")
    except ValidationError:
        size = PoolSize()
    return PoolRecord(
        name_of(pool),
        Bounds(size.min, size.max, 1 - size.misses_per_thousand / 1000),
        wanted=int(status.get("wanted") or 0),
        learned=str(status.get("learned") or ""),
    )
