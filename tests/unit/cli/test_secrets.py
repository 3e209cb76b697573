"""Passwords: given, generated, kept, and readable by their owner only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from support.limits import files_of_at_most
from torpor_api.failures import NotFound, StorageFull
from torpor_api.resource import Role
from torpor_api.scram import parse_verifier, verifier_of
from torpor_cli.local.secrets import Secrets, password_of


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    return Secrets(tmp_path)


def store(secrets: Secrets, *roles: Role) -> None:
    with secrets.replaced("shop", secrets.plan("shop", roles)):
        pass


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


# --- an apply that does not come to its end ------------------------------------------------------


def cut_off(secrets: Secrets, tmp_path: Path, *roles: Role) -> None:
    """As kill -9 leaves it between the catalog and the passwords."""
    with secrets.replaced("shop", secrets.plan("shop", roles)):
        staged = {path: path.read_bytes() for path in tmp_path.glob("*.partial")}
        before = {path: path.read_bytes() for path in tmp_path.glob("*.json")}
    (tmp_path / "shop.json").unlink()
    for path, content in (staged | before).items():
        path.write_bytes(content)
    assert staged


def test_a_failed_apply_leaves_the_old_passwords(secrets: Secrets, tmp_path: Path) -> None:
    store(secrets, Role(name="app", password="old"))
    entries = secrets.plan("shop", [Role(name="app", password="new")])
    with pytest.raises(StorageFull), secrets.replaced("shop", entries):
        raise StorageFull("the catalog")
    assert password_of(tmp_path, "shop", "app") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["shop.json"]


def test_a_full_disk_is_told_before_the_catalog_is_written(
    secrets: Secrets, tmp_path: Path
) -> None:
    entries = secrets.plan("shop", [Role(name="app")])
    with files_of_at_most(10), pytest.raises(StorageFull, match=r"no room for .*shop"):
        with secrets.replaced("shop", entries):
            pytest.fail("the catalog would be written")
    assert list(tmp_path.iterdir()) == []


def test_cut_off_after_the_catalog_a_new_role_has_its_password(
    secrets: Secrets, tmp_path: Path
) -> None:
    store(secrets, Role(name="app", password="old"))
    cut_off(secrets, tmp_path, Role(name="app", password="old"), Role(name="b", password="new"))
    secrets.settle({"shop": ["app", "b"]})
    assert password_of(tmp_path, "shop", "b") == "new"
    assert secrets.verifiers("shop").keys() == {"app", "b"}
    assert [path.name for path in tmp_path.iterdir()] == ["shop.json"]


@pytest.mark.parametrize("roles", [{"shop": ["app"]}, {}])
def test_cut_off_before_the_catalog_nothing_has_changed(
    secrets: Secrets, tmp_path: Path, roles: dict[str, list[str]]
) -> None:
    store(secrets, Role(name="app", password="old"))
    wanted = [Role(name="app", password="new"), Role(name="b")]
    cut_off(secrets, tmp_path, *wanted)
    secrets.settle(roles)
    assert password_of(tmp_path, "shop", "app") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["shop.json"]
    assert secrets.would_change("shop", secrets.plan("shop", wanted))


def test_an_unknown_name_or_role_is_named(secrets: Secrets, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no database 'shop'"):
        password_of(tmp_path, "shop", "app")
    store(secrets, Role(name="app"))
    with pytest.raises(NotFound, match="'nobody': it has app"):
        password_of(tmp_path, "shop", "nobody")
