"""Volumes: copied from a template, whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from support.limits import files_of_at_most
from torpor_api.failures import DataDamaged, StorageFull
from torpor_cli.local.postgres_binaries import PostgresBinaries
from torpor_cli.local.storage import Storage


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    template = tmp_path / "templates" / "18"
    (template / "base" / "1").mkdir(parents=True)
    (template / "PG_VERSION").write_text("18\n")
    (template / "base" / "1" / "1259").write_bytes(os.urandom(300_000))
    (tmp_path / "databases").mkdir()
    binaries = PostgresBinaries(Path("/nowhere"), "18")
    return Storage(tmp_path / "templates", tmp_path / "databases", binaries)


def test_a_volume_is_a_private_copy(storage: Storage, tmp_path: Path) -> None:
    storage.provision("shop", None)
    copied = (storage.data("shop") / "base" / "1" / "1259").read_bytes()
    assert copied == (tmp_path / "templates" / "18" / "base" / "1" / "1259").read_bytes()
    assert stat.S_IMODE(storage.data("shop").stat().st_mode) == 0o700
    assert stat.S_IMODE((storage.volume("shop") / "ownership").stat().st_mode) == 0o700
    storage.check("shop")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_as_root_the_data_is_the_tenants_and_the_ownership_is_not(storage: Storage) -> None:
    storage.provision("shop", 40_123)
    assert (storage.data("shop") / "base" / "1" / "1259").stat().st_uid == 40_123
    assert storage.data("shop").stat().st_gid == 40_123
    assert (storage.volume("shop") / "ownership").stat().st_uid == 0


def test_on_a_full_disk_nothing_half_made_stays(storage: Storage, tmp_path: Path) -> None:
    with files_of_at_most(100_000), pytest.raises(StorageFull, match=r"no room for .*shop"):
        storage.provision("shop", None)
    assert list((tmp_path / "databases").iterdir()) == []
    storage.provision("shop", None)
    storage.check("shop")


def test_what_a_killed_try_left_half_made_is_made_anew(storage: Storage, tmp_path: Path) -> None:
    half = tmp_path / "databases" / "shop~partial" / "data"
    half.mkdir(parents=True)
    (half / "junk").write_text("")
    assert not storage.is_made("shop")
    storage.provision("shop", None)
    assert not (storage.data("shop") / "junk").exists()
    assert not half.exists()


def test_no_namespace_is_taken_for_something_half_made(storage: Storage) -> None:
    for name in ("shop.partial", "shop"):
        storage.provision(name, None)
    storage.remove("shop")
    storage.check("shop.partial")


def test_missing_data_is_named_with_the_way_out(storage: Storage) -> None:
    with pytest.raises(DataDamaged, match="missing") as refused:
        storage.check("shop")
    assert "torpor delete shop --data" in refused.value.hint


def test_removing_takes_everything_and_may_be_repeated(storage: Storage, tmp_path: Path) -> None:
    storage.provision("shop", None)
    storage.remove("shop")
    storage.remove("shop")
    assert list((tmp_path / "databases").iterdir()) == []
