"""Whoever records how databases are used hears of those that are awake."""

from __future__ import annotations

from support.fakes.town import apply, opened_town, sampling
from torpor_api import messages as m
from torpor_api.phases import Phase


async def test_databases_are_told_of_while_they_are_awake() -> None:
    async with opened_town(on_network=False) as town:
        for name in ("blog", "shop"):
            apply(town, name, idleTimeout="200ms")
        await town.start_agent()
        await town.start_autoscaler()
        proxy = await town.register()
        assert await town.person(m.AskUses()) == m.Uses()
        async with sampling(proxy):
            session = proxy.connect("shop")
            await proxy.attach(session)
            session.is_busy = True
            told: m.Uses = await town.person(m.AskUses())
            assert [use.name for use in told.uses] == ["shop"]
            assert await town.person(m.AskUses(after="shop")) == m.Uses()
            session.is_busy = False
            await town.until("suspended", lambda: town.status().phase is Phase.SUSPENDED)
        assert await town.person(m.AskUses()) == m.Uses()
