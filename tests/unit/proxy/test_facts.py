"""Who a role is: asleep by the export, and beyond its bound by a Postgres that is woken for it."""

from __future__ import annotations

from typing import Any, cast

import pytest

from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.phases import Phase
from torpor_proxy.executor.endpoint import Endpoint
from torpor_proxy.executor.facts import Facts
from torpor_proxy.settings import Settings

NOBODY = cast("Any", None)

APP, LATER = RoleFacts(name="app"), RoleFacts(name="later", can_login=False)


class FakeFleet:
    """A database whose Postgres knows both roles; the export has one of them."""

    name = "proxy"

    def __init__(self) -> None:
        self.wakes = 0

    async def wake(self, name: str, *_: object, timeout_s: float) -> m.Awake:
        self.wakes += 1
        address = m.ComputeAddress(agent="/run/c1.sock")
        info = m.EndpointInfo(name=name, phase=Phase.ACTIVE, epoch=1, address=address)
        return m.Awake(endpoint=info)

    async def role(self, _: object, role: str, *, timeout_s: float) -> RoleFacts | None:
        return {"app": APP, "later": LATER}.get(role)


def asked(fleet: FakeFleet, user: str, **facts: Any) -> Facts:
    exported = LoginFacts(roles=(APP,), databases=("app",), **facts)
    info = m.EndpointInfo(name="shop", phase=Phase.SUSPENDED, facts=exported)
    endpoint = Endpoint(info, Settings(), cast("Any", fleet), NOBODY, NOBODY, NOBODY)
    return Facts(endpoint, cast("Any", fleet), user, timeout_s=10.0)


@pytest.mark.parametrize(("user", "role"), [("app", APP), ("later", None)])
async def test_whole_facts_judge_everybody_asleep(user: str, role: RoleFacts | None) -> None:
    fleet = FakeFleet()
    assert await asked(fleet, user).of_role() == (role, ("app",))
    assert fleet.wakes == 0


async def test_of_whom_the_bound_has_had_room_all_is_known_asleep() -> None:
    """But not whether the database is there that he wants."""
    fleet = FakeFleet()
    assert await asked(fleet, "app", is_whole=False).of_role() == (APP, None)
    assert fleet.wakes == 0


@pytest.mark.parametrize(("user", "role"), [("later", LATER), ("nobody", None)])
async def test_postgres_is_woken_for_anybody_else(user: str, role: RoleFacts | None) -> None:
    fleet = FakeFleet()
    assert await asked(fleet, user, is_whole=False).of_role() == (role, None)
    assert fleet.wakes == 1


async def test_an_agent_is_asked_of_whom_the_export_does_not_say_enough() -> None:
    """It admits a role that somebody has made by SQL."""
    fleet = FakeFleet()
    facts = asked(fleet, "app")
    assert await facts.of_role(awake=True) == (APP, None) and fleet.wakes == 1
    assert await facts.of_role() == (APP, None) and fleet.wakes == 1
