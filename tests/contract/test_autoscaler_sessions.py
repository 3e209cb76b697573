"""Sessions as people ask the autoscaler for them: of every database, one of them, and its end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from support.fakes.town import Town, apply, opened_town
from torpor_api import messages as m
from torpor_api.failures import NotFound


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with opened_town() as opened:
        for name in ("blog", "shop", "shoes"):
            apply(opened, name)
        await opened.start_autoscaler()
        yield opened


async def test_the_sessions_of_every_database_say_whose_they_are(town: Town) -> None:
    first, second = await town.register("proxy-1"), await town.register("proxy-2")
    first.connect("shop")
    first.connect("blog")
    second.connect("blog").pinned = "listens on jobs"
    told: m.SessionList = await town.person(m.Sessions(name=""))
    assert told.sessions[0].reason == "listens on jobs"
    assert sorted((s.proxy, s.session, s.database) for s in told.sessions) == [
        ("proxy-1", 1, "shop"),
        ("proxy-1", 2, "blog"),
        ("proxy-2", 1, "blog"),
    ]
    one: m.SessionList = await town.person(m.Sessions(name="", number=2))
    assert [(s.proxy, s.database) for s in one.sessions] == [("proxy-1", "blog")]
    assert one.total == 1


async def test_a_session_is_ended_by_the_proxy_that_has_it_and_no_other(town: Town) -> None:
    first, second = await town.register("proxy-1"), await town.register("proxy-2")
    kept, ended = first.connect("shop"), second.connect("shop")
    assert kept.number == ended.number
    end = m.EndSession(name="shop", proxy="proxy-2", number=ended.number)
    await town.person(end)
    assert ended.is_ended and not kept.is_ended
    with pytest.raises(NotFound, match="no session 1 of shop"):
        await town.person(end)
    with pytest.raises(NotFound, match="no proxy 'proxy-3'"):
        await town.person(end.model_copy(update={"proxy": "proxy-3"}))
    with pytest.raises(NotFound, match="no session 1 of blog"):
        await town.person(m.EndSession(name="blog", proxy="proxy-1", number=kept.number))
    assert not kept.is_ended


async def test_names_are_found_by_how_they_begin(town: Town) -> None:
    async def found(**asked: object) -> tuple[tuple[str, ...], bool]:
        told: m.Names = await town.person(m.AskNames.model_validate(asked))
        return told.names, told.has_more

    assert await found() == (("blog", "shoes", "shop"), False)
    assert await found(prefix="sho") == (("shoes", "shop"), False)
    assert await found(prefix="sho", limit=1) == (("shoes",), True)
    assert await found(prefix="shop", limit=1) == (("shop",), False)
    assert await found(prefix="z") == ((), False)
