"""Passwords: given, generated, kept, and readable by their owner only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from torpor_api.failures import NotFound
from torpor_api.resource import Role
from torpor_api.scram import parse_verifier, verifier_of
from torpor_cli.local.secrets import Secrets, password_of


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path)


def store(secrets: Secrets, *roles: Role) -> None:
    secrets.store("shop", secrets.plan("shop", roles))


def test_a_generated_password_stays(secrets: Secrets, tmp_path: Path) -> None:
    store(secrets, Role(name="app"))
    password, verifiers = password_of(tmp_path, "shop", "app"), secrets.verifiers("shop")
    again = secrets.plan("shop", [Role(name="app")])
    assert not secrets.would_change("shop", again)
    assert len(password) >= 32
    assert secrets.verifiers("shop") == verifiers


def test_a_given_password_replaces_it_and_the_verifier_fits(
    secrets: Secrets, tmp_path: Path
) -> None:
    store(secrets, Role(name="app"))
    given = [Role(name="app", password="hunter2")]
    assert secrets.would_change("shop", secrets.plan("shop", given))
    store(secrets, *given)
    assert password_of(tmp_path, "shop", "app") == "hunter2"
    verifier = parse_verifier(secrets.verifiers("shop")["app"])
    assert verifier is not None
    assert verifier == verifier_of("hunter2", verifier.salt, verifier.iterations)


def test_an_unchanged_given_password_keeps_its_salt(secrets: Secrets) -> None:
    given = [Role(name="app", password="hunter2")]
    store(secrets, *given)
    assert not secrets.would_change("shop", secrets.plan("shop", given))


def test_a_new_role_changes_only_itself(secrets: Secrets) -> None:
    store(secrets, Role(name="app"))
    before = secrets.verifiers("shop")
    store(secrets, Role(name="app"), Role(name="reader"))
    assert secrets.verifiers("shop")["app"] == before["app"]
    assert secrets.verifiers("shop")["reader"] != before["app"]


def test_only_the_owner_may_read_them(secrets: Secrets, tmp_path: Path) -> None:
    store(secrets, Role(name="app"))
    assert stat.S_IMODE((tmp_path / "shop.json").stat().st_mode) == 0o600


def test_an_unknown_name_or_role_is_named(secrets: Secrets, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no database 'shop'"):
        password_of(tmp_path, "shop", "app")
    store(secrets, Role(name="app"))
    with pytest.raises(NotFound, match="'nobody': it has app"):
        password_of(tmp_path, "shop", "nobody")
