"""What the cluster's port promises on Kubernetes of login facts and verifiers: they are Secrets."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import cast

import pytest

from support.kube_people import provided
from support.kube_world import SYSTEM, World, opened
from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.failures import DataDamaged, StaleEpoch, Unavailable
from torpor_autoscaler.adapters.kubernetes.login_facts import FactsStore
from torpor_autoscaler.adapters.kubernetes.secrets import facts_of
from torpor_kube import names
from torpor_kube.kinds import SECRET, SERVERLESS_DATABASE, Kind
from torpor_kube.port import Document, Kube
from torpor_kube.server import ApiServer


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with opened() as there:
        yield there


async def test_verifiers_are_those_that_the_operator_made(world: World) -> None:
    await world.apply(roles=[{"name": "app"}, {"name": "ö/x"}])
    verifiers = (await world.ask(m.FetchVerifiers(name="shop"))).verifiers
    assert verifiers == {role: f"SCRAM-SHA-256${role}" for role in ("app", "ö/x")}


async def test_verifiers_that_are_not_made_yet_are_waited_for(world: World) -> None:
    await world.apply()
    await world.kube.delete(SECRET, "verifiers-default.shop", SYSTEM)
    with pytest.raises(Unavailable, match="there is no Secret"):
        await world.ask(m.FetchVerifiers(name="shop"))


async def test_a_role_without_a_password_costs_the_others_nothing(world: World) -> None:
    """Its passwordSecret is not there: the others wake the database all the same."""
    await world.apply(roles=[{"name": "app"}, {"name": "late"}])
    patch = {"data": {"late": None}}
    await world.kube.patch(SECRET, "verifiers-default.shop", SYSTEM, patch)
    verifiers = (await world.ask(m.FetchVerifiers(name="shop"))).verifiers
    assert verifiers == {"app": "SCRAM-SHA-256$app"}


async def test_facts_of_an_older_epoch_come_too_late(world: World) -> None:
    await world.apply()
    newer, older = LoginFacts(databases=("new",)), LoginFacts(databases=("old",))
    await world.ask(m.StoreLoginFacts(name="shop", epoch=2, facts=newer))
    with pytest.raises(StaleEpoch):
        await world.ask(m.StoreLoginFacts(name="shop", epoch=1, facts=older))
    stored: m.Stored = await world.ask(m.GetResource(name="shop"))
    await world.write(stored.resource, epoch=2, observed_generation=1)
    await world.until(lambda: world.heard.resources["shop"].status.epoch == 2)
    assert (await world.ask(m.FetchLoginFacts(name="shop"))).facts == newer


async def test_facts_that_nobody_can_read_are_said_to_be_damaged_and_the_next_replace_them(
    world: World,
) -> None:
    await world.apply()
    facts = LoginFacts(databases=("new",))
    await world.ask(m.StoreLoginFacts(name="shop", epoch=2, facts=facts))
    damage = {"data": {"facts.json": base64.b64encode(b"{").decode()}}
    await world.kube.patch(SECRET, "login-facts-default.shop", SYSTEM, damage)
    with pytest.raises(DataDamaged, match="login-facts"):
        await world.ask(m.FetchLoginFacts(name="shop"))
    await world.ask(m.StoreLoginFacts(name="shop", epoch=1, facts=facts))
    stored = await world.kube.get(SECRET, "login-facts-default.shop", SYSTEM)
    assert facts_of(stored) == (1, facts)


async def test_a_password_that_changes_during_sleep_is_in_force_at_once(world: World) -> None:
    stored = await world.apply()
    exported = LoginFacts(roles=(RoleFacts(name="app", verifier="old"),))
    await world.ask(m.StoreLoginFacts(name="shop", epoch=0, facts=exported))
    await world.write(stored, observed_generation=1)
    asked = m.FetchLoginFacts(name="shop")
    assert (await world.ask(asked)).facts == exported
    changed = provided(await world.document(), 1, generationOffset=1)
    await world.kube.apply(
        SERVERLESS_DATABASE, changed, manager=names.OPERATOR_MANAGER, subresource="status"
    )
    await world.until(lambda: world.heard.resources["shop"].metadata.generation == 2)
    assert world.heard.resources["shop"].status.observed_generation == 1
    (role,) = (await world.ask(asked)).facts.roles
    assert role.verifier == "SCRAM-SHA-256$app"


async def test_of_two_autoscalers_the_later_epochs_facts_stay(world: World) -> None:
    """The one that was slower had read before the other wrote."""
    await world.apply()
    late = Late(world.kube)
    quick, slow = FactsStore(world.kube, SYSTEM), FactsStore(cast(Kube, late), SYSTEM)
    newer, older = LoginFacts(databases=("new",)), LoginFacts(databases=("old",))
    await quick.store("shop", 1, older)
    storing = asyncio.create_task(slow.store("shop", 2, older))
    await late.has_read.wait()
    await quick.store("shop", 3, newer)
    late.may_write.set()
    with pytest.raises(StaleEpoch):
        await storing
    stored = await world.kube.get(SECRET, "login-facts-default.shop", SYSTEM)
    assert facts_of(stored) == (3, newer)


class Late:
    """It reads, and writes when the test lets it."""

    def __init__(self, kube: ApiServer) -> None:
        self._kube = kube
        self.has_read, self.may_write = asyncio.Event(), asyncio.Event()

    async def get(self, kind: Kind, name: str, namespace: str) -> Document:
        found = await self._kube.get(kind, name, namespace)
        self.has_read.set()
        return found

    async def patch(self, kind: Kind, name: str, namespace: str, patch: Document) -> Document:
        await self.may_write.wait()
        return await self._kube.patch(kind, name, namespace, patch)
