"""The resource store on SQLite: what it remembers, and over which accidents."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.failures import Conflict, DataDamaged, NotFound, StaleEpoch
from torpor_api.phases import Phase
from torpor_api.resource import DatabaseStatus, ServerlessDatabase
from torpor_cli.local.rules import Birth, Kept
from torpor_cli.local.store import Store

BIRTH = Birth(uid="u-1", at="2026-01-01T00:00:00Z")


def database(name: str = "shop", idle: str = "5s") -> ServerlessDatabase:
    return ServerlessDatabase.model_validate(
        {"metadata": {"name": name}, "spec": {"idleTimeout": idle}}
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "catalog.sqlite")
    yield opened
    opened.close()


def apply(store: Store, wanted: ServerlessDatabase) -> tuple[ServerlessDatabase, bool]:
    return store.apply(wanted, BIRTH, new_passwords=False)


def test_only_the_owner_may_read_it(store: Store, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "catalog.sqlite").stat().st_mode) == 0o600


def test_every_write_has_a_version_of_its_own(store: Store) -> None:
    first, _ = apply(store, database("a"))
    second, _ = apply(store, database("b"))
    third = store.write_status("a", first.metadata.resource_version, DatabaseStatus(epoch=1))
    versions = [int(r.metadata.resource_version) for r in (first, second, third)]
    assert versions == sorted(set(versions))


def test_an_apply_that_changes_nothing_writes_nothing(store: Store) -> None:
    first, was_change = apply(store, database())
    again, is_change = apply(store, database())
    assert (was_change, is_change) == (True, False)
    assert again == first


def test_of_two_writers_one_loses(store: Store) -> None:
    version = apply(store, database())[0].metadata.resource_version
    store.write_status("shop", version, DatabaseStatus(phase=Phase.RESUMING, epoch=1, compute="a"))
    with pytest.raises(Conflict):
        store.write_status("shop", version, DatabaseStatus(epoch=1, compute="b"))
    assert store.get("shop").status.compute == "a"


def test_what_was_written_is_there_after_a_new_opening(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    store = Store(path)
    version = apply(store, database())[0].metadata.resource_version
    written = store.write_status("shop", version, DatabaseStatus(epoch=4))
    # No close: a killed process does not close either.
    again = Store(path)
    assert again.all() == (written,)
    other, _ = apply(again, database("other"))
    assert int(other.metadata.resource_version) > int(written.metadata.resource_version)
    again.close()
    store.close()


def test_a_deleted_resource_leaves_epoch_and_generation_with_its_volume(store: Store) -> None:
    store.add_volume("shop", 40_001)
    store.set_provisioned("shop")
    apply(store, database())
    changed, _ = apply(store, database(idle="6s"))
    store.write_status("shop", changed.metadata.resource_version, DatabaseStatus(epoch=9))
    store.delete("shop")
    with pytest.raises(NotFound):
        store.get("shop")
    assert store.volume("shop").kept == Kept(epoch=9, generation=2)
    back, _ = apply(store, database())
    assert (back.status.epoch, back.metadata.generation) == (9, 3)
    assert store.volume("shop").user_id == 40_001


def test_facts_of_an_earlier_epoch_are_refused(store: Store) -> None:
    newer = LoginFacts(roles=(RoleFacts(name="app"),), databases=("app",))
    store.store_facts("shop", 5, newer)
    store.store_facts("shop", 5, newer)
    with pytest.raises(StaleEpoch):
        store.store_facts("shop", 4, LoginFacts())
    assert store.facts("shop") == newer


def test_facts_that_nobody_can_read_are_said_to_be_damaged_and_the_next_replace_them(
    store: Store,
) -> None:
    store.store_facts("shop", 5, LoginFacts())
    store._db.execute("UPDATE login_facts SET body = '{'")
    with pytest.raises(DataDamaged, match="shop"):
        store.facts("shop")
    store.store_facts("shop", 5, LoginFacts(databases=("app",)))
    assert store.facts("shop") == LoginFacts(databases=("app",))


def test_what_a_newer_release_has_said_beside_them_is_no_loss_after_a_rollback(
    store: Store,
) -> None:
    store.store_facts("shop", 5, LoginFacts(databases=("app",)))
    store._db.execute("UPDATE login_facts SET body = '{\"said_later\":1,' || substr(body, 2)")
    assert store.facts("shop") == LoginFacts(databases=("app",))


def test_a_forgotten_volume_takes_its_facts_and_user_id_along(store: Store) -> None:
    store.add_volume("shop", 40_001)
    store.store_facts("shop", 1, LoginFacts())
    store.forget_volume("shop")
    assert (store.user_ids(), store.facts("shop"), store.has_volume("shop")) == ([], None, False)


def test_a_corrupt_catalog_is_named(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    path.write_bytes(b"this is no catalog" * 100)
    with pytest.raises(DataDamaged, match=str(path)):
        Store(path)
