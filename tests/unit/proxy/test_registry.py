"""The keys by which sessions are found."""

from __future__ import annotations

from time import monotonic
from typing import Any, cast

import pytest

from support.fakes.session import FakeHost, attached, new_session
from torpor_api.failures import NotFound
from torpor_api.identity import SessionId
from torpor_api.messages import EndpointInfo, ListSessions
from torpor_api.phases import Phase
from torpor_proxy.core.born import KERNEL_PROCESS_ID_MAX
from torpor_proxy.executor.host import State
from torpor_proxy.executor.registry import Registry
from torpor_proxy.settings import Settings


async def test_open_clients_know_themselves_by_different_process_ids() -> None:
    """Two computes, one after the other, may give the same number to their backends."""
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    sessions = [new_session(FakeHost())[0] for _ in range(3)]
    for session in sessions[:2]:
        session.identity.key = registry._new_key(session, 87)
    first, second = (session.identity.key for session in sessions[:2])
    assert first is not None and second is not None
    assert first[0] == 87 and second[0] > KERNEL_PROCESS_ID_MAX
    registry._left(sessions[0])
    assert registry._new_key(sessions[2], 87)[0] == 87


async def test_sessions_that_are_born_parked_in_two_proxies_have_different_process_ids() -> None:
    registries = [Registry(Settings(), cast("Any", None), cast("Any", None)) for _ in range(2)]
    first, second = (each._process_id(new_session(FakeHost())[0]) for each in registries)
    assert first != second and min(first, second) > KERNEL_PROCESS_ID_MAX


def asleep(uid: str, epoch: int) -> EndpointInfo:
    return EndpointInfo(name="shop", uid=uid, phase=Phase.SUSPENDED, epoch=epoch)


@pytest.mark.parametrize("epoch", [1, 7, 8])
async def test_another_uid_under_the_name_is_another_database(epoch: int) -> None:
    """Its epochs begin anew, or go on where its data was kept: they say nothing."""
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    registry.told(asleep("first", 7))
    before = registry.endpoints["shop"]
    registry.told(asleep("second", epoch))
    assert registry.endpoints["shop"] is not before
    assert registry.endpoints["shop"].gate.epoch == epoch


async def test_a_lower_epoch_of_the_same_uid_changes_nothing() -> None:
    """Somebody has read an older record; the database lives."""
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    registry.told(asleep("first", 7))
    before = registry.endpoints["shop"]
    registry.told(asleep("first", 1))
    assert registry.endpoints["shop"] is before and before.gate.epoch == 7


async def test_who_takes_the_proxy_up_may_know_a_lower_epoch() -> None:
    """API server and volume were restored from an older state: nobody serves the later one."""
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    registry.told(asleep("first", 7))
    before = registry.endpoints["shop"]
    registry.listed(asleep("first", 5))
    assert registry.endpoints["shop"] is before and before.gate.epoch == 5
    registry.told(asleep("first", 6))
    assert before.gate.epoch == 6


async def test_what_was_used_is_known_when_its_sessions_have_ended() -> None:
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    for name in ("shop", "unused"):
        registry.told(EndpointInfo(name=name, phase=Phase.ACTIVE, epoch=1))
    session, _ = await attached(FakeHost())
    shop = registry.endpoints["shop"]
    shop.joined(session)
    shop.moved(session, State.WAITING, State.ATTACHED)
    session.last_used = monotonic() - 7.0
    shop.moved(session, State.ATTACHED, State.ENDED)
    (told,) = registry.last_uses()
    assert told.name == "shop" and told.ago_s == pytest.approx(7.0, abs=1.0)


async def test_of_namespaces_of_which_nothing_is_heard_nothing_is_gone() -> None:
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    for name in ("a", "b", "a.blog", "b.shop"):
        registry.told(EndpointInfo(name=name, phase=Phase.SUSPENDED))
    registry.keep_only(["a"], ["blog"])
    assert sorted(registry.endpoints) == ["a", "a.blog"]


# --- how long queries take ---------------------------------------------------------------


def served(registry: Registry, name: str, *seconds: float) -> None:
    registry.told(EndpointInfo(name=name, phase=Phase.ACTIVE, epoch=1))
    registry.endpoints[name].tally.add(list(seconds))


async def test_totals_of_all_databases_never_fall() -> None:
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    registry.told(EndpointInfo(name="unused", phase=Phase.ACTIVE, epoch=1))
    served(registry, "shop", 0.5, 0.5)
    served(registry, "blog", 1.0)
    assert (registry.queried().count, registry.queried().sum_s) == (3, 2.0)
    registry.removed("shop")
    registry.removed("unused")
    assert (registry.queried().count, registry.queried().sum_s) == (3, 2.0)


async def test_the_first_that_are_used_may_be_told_by_name() -> None:
    settings = Settings(metrics_databases_max=2)
    registry = Registry(settings, cast("Any", None), cast("Any", None))
    registry.told(EndpointInfo(name="a", phase=Phase.ACTIVE, epoch=1))
    for name in ("shop", "blog", "attic"):
        served(registry, name, 0.5)
    assert registry.queried_by_database().keys() == {"shop", "blog"}
    served(registry, "a", 0.5)
    assert registry.queried_by_database().keys() == {"shop", "blog"}
    registry.removed("shop")
    assert registry.queried_by_database().keys() == {"blog", "attic"}
    nobody_asked = Registry(Settings(), cast("Any", None), cast("Any", None))
    served(nobody_asked, "shop", 0.5)
    assert nobody_asked.queried_by_database() == {}


async def test_one_session_is_ended_by_a_person_and_no_other() -> None:
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    registry.told(asleep("first", 7))
    endpoint = registry.endpoints["shop"]
    (kept, kept_client), (ended, ended_client) = (new_session(FakeHost()) for _ in range(2))
    for number, session in enumerate((kept, ended), 1):
        session.identity.number = SessionId(number)
        endpoint.sessions.add(session)
    registry.end_session("shop", 2)
    assert ended.state is State.ENDED and not ended_client.is_open
    assert b"C57P01\0" in ended_client.written
    assert kept.state is not State.ENDED and kept_client.is_open and not kept_client.written
    with pytest.raises(NotFound, match="no session 3 of shop"):
        registry.end_session("shop", 3)
    with pytest.raises(NotFound, match="no endpoint 'blog'"):
        registry.end_session("blog", 1)


async def test_sessions_are_listed_of_one_database_or_of_all_or_one_by_its_number() -> None:
    registry = Registry(Settings(), cast("Any", None), cast("Any", None))
    registry.told(asleep("first", 7))
    registry.told(asleep("other", 1).model_copy(update={"name": "blog"}))
    for number, name in enumerate(("shop", "blog", "blog"), 1):
        session = new_session(FakeHost())[0]
        session.identity.number = SessionId(number)
        registry.endpoints[name].sessions.add(session)

    def listed(name: str = "", number: int = 0) -> list[int]:
        told = registry.list_sessions(ListSessions(name=name, number=number))
        return [session.session for session in told.sessions]

    assert (listed(), listed("blog"), listed("", 2)) == ([1, 2, 3], [2, 3], [2])
    assert (listed("shop", 2), listed("blog", 2)) == ([], [2])
    with pytest.raises(NotFound, match="ghost"):
        listed("ghost")
