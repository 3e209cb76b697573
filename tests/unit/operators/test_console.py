"""The console's roles: made once, kept, rotated by whoever writes or deletes a Secret."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.fake_kube.server import FakeKube
from support.operating import SYSTEM, World, add_pool, operating, serving
from torpor_api.console import ConsoleRight, read_roles
from torpor_api.scram import parse_verifier, verifier_of
from torpor_kube import kinds
from torpor_operator.core.console import ROLES_FILE, ROLES_SECRET

HOST = "torpor.db.example.com"

SECRETS = {"torpor": "torpor-console", "viewer": "torpor-console-show"}


@pytest.fixture
async def fake() -> AsyncIterator[FakeKube]:
    async with serving() as fake:
        add_pool(fake)
        yield fake


def data(world: World, name: str) -> dict[str, str]:
    secret = world.get(kinds.SECRET, name, SYSTEM) or {"data": {}}
    return {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}


def verifies(world: World, role: str, password: str) -> bool:
    """Whether a proxy would take it."""
    text = data(world, ROLES_SECRET).get(ROLES_FILE, "{}")
    found = read_roles(text.encode()).get(role)
    verifier = None if found is None else parse_verifier(found.verifier)
    return verifier is not None and verifier_of(password, verifier.salt) == verifier


async def test_each_role_has_a_secret_and_proxies_have_no_password(world: World) -> None:
    await world.until("proxies have them", lambda: data(world, ROLES_SECRET))
    for role, name in SECRETS.items():
        found = data(world, name)
        assert found["username"] == role and found["host"] == HOST
        assert found["uri"].startswith(f"postgresql://{role}:")
        assert found["uri"].endswith(f"@{HOST}:5432/torpor?sslmode=require")
        assert verifies(world, role, found["password"])
        assert found["password"] not in str(data(world, ROLES_SECRET))
    roles = read_roles(data(world, ROLES_SECRET)[ROLES_FILE].encode())
    assert {name: role.right for name, role in roles.items()} == {
        "torpor": ConsoleRight.ADMIN,
        "viewer": ConsoleRight.SHOW,
    }


async def test_whoever_deletes_the_secret_gets_another_password(world: World) -> None:
    await world.until("it is made", lambda: data(world, ROLES_SECRET))
    before = data(world, "torpor-console")["password"]
    world.delete(kinds.SECRET, "torpor-console", SYSTEM)
    await world.until("it is made anew", lambda: data(world, "torpor-console"))
    after = data(world, "torpor-console")["password"]
    assert after != before
    await world.until("proxies know it", lambda: verifies(world, "torpor", after))
    assert not verifies(world, "torpor", before)


async def test_a_password_that_a_person_writes_counts(world: World) -> None:
    await world.until("it is made", lambda: data(world, ROLES_SECRET))
    written = {"password": base64.b64encode(b"a new one").decode()}
    key = (kinds.SECRET, SYSTEM, "torpor-console")
    world.fake.objects.patch(key, {"data": written}, "")
    await world.until("proxies know it", lambda: verifies(world, "torpor", "a new one"))
    uri = "postgresql://torpor:a%20new%20one@"
    await world.until("its URI has it", lambda: uri in data(world, "torpor-console")["uri"])


async def test_verifiers_that_are_spoilt_are_made_anew(world: World) -> None:
    await world.until("they are made", lambda: data(world, ROLES_SECRET))
    password = data(world, SECRETS["viewer"])["password"]
    spoilt = {ROLES_FILE: base64.b64encode(b"{").decode()}
    world.fake.objects.patch((kinds.SECRET, SYSTEM, ROLES_SECRET), {"data": spoilt}, "")

    def is_mended() -> bool:
        text = data(world, ROLES_SECRET)[ROLES_FILE]
        return text != "{" and verifies(world, "viewer", password)

    await world.until("they are mended", is_mended)


async def test_a_secret_of_somebody_else_is_left_alone(fake: FakeKube, tmp_path: Path) -> None:
    given = {"password": base64.b64encode(b"given").decode()}
    metadata = {"name": "torpor-console", "namespace": SYSTEM}
    fake.objects.create(kinds.SECRET, {"metadata": metadata, "data": given})
    async with operating(fake, tmp_path) as world:
        await world.until("proxies know it", lambda: verifies(world, "torpor", "given"))
        await world.settled()
        assert data(world, "torpor-console") == {"password": "given"}


async def test_without_a_console_nothing_is_made(fake: FakeKube, tmp_path: Path) -> None:
    async with operating(fake, tmp_path, has_console=False) as world:
        world.make("shop")
        await world.until("all is looked at", lambda: world.get(kinds.SECRET, "shop-app"))
        await world.settled()
        assert not data(world, ROLES_SECRET) and not data(world, "torpor-console")
