"""A defect in what is done for one database costs no other one anything."""

from __future__ import annotations

import asyncio
from random import Random
from types import ModuleType

import pytest

from simulation import virtual_time
from simulation.town import Town
from torpor_api import messages as m
from torpor_api.failures import Unavailable
from torpor_autoscaler.executor import DEFECT_PAUSE_S
from torpor_autoscaler.lifecycle import endpoints, life
from torpor_autoscaler.lifecycle.database import Database


@pytest.mark.parametrize("place", [(life, "resume"), (endpoints, "info")])
def test_it_begins_again_and_no_other_is_touched(
    place: tuple[ModuleType, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    module, name = place
    sound = getattr(module, name)

    def broken(database: Database) -> object:
        if database.name == "bad":
            raise ArithmeticError("a defect")
        return sound(database)

    async def story() -> None:
        town = Town(Random(0))
        for database in ("bad", "good"):
            town.cluster.apply({"metadata": {"name": database}, "spec": {}})
        with monkeypatch.context() as defect:
            defect.setattr(module, name, broken)
            town.begin()
            awake = await _wake(town, "good")
            assert awake.endpoint.address is not None
            with pytest.raises(Unavailable, match="internal error"):
                await _wake(town, "bad")
        await asyncio.sleep(2 * DEFECT_PAUSE_S)
        assert (await _wake(town, "bad")).endpoint.address is not None
        await town.life.end()
        await town.network.close()

    virtual_time.run(story(), lambda: None)


async def _wake(town: Town, name: str) -> m.Awake:
    return await town.life.autoscaler.desk.wake(m.Wake(name=name, cause="a test"))
