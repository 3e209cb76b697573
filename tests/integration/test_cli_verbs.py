"""The verbs that change what a running `torpor up` has: what they do, say and ask."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.stand_ins import MANIFEST, Up, folder_with_stand_ins, started_before


@pytest.fixture
def root() -> Iterator[Path]:
    with folder_with_stand_ins() as made:
        yield made


@pytest.fixture
def up(root: Path) -> Iterator[Up]:
    with started_before(root) as made:
        yield made


def test_verbs_without_a_running_one_say_what_to_run(up: Up) -> None:
    about_one = ("status", "uri", "why", "decisions", "sessions", "switchover", "suspend")
    for arguments in (["list"], *([verb, "shop"] for verb in about_one)):
        refused = up.run(*arguments)
        assert refused.returncode == 1
        assert "no `torpor up` is running" in refused.stderr and "`torpor up`" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_apply_and_delete_and_take_up_again(up: Up, root: Path) -> None:
    up.start()
    up.ready()
    manifest = str(root / "shop.yaml")
    assert up.run("apply", "-f", manifest).stdout == "shop created\n"
    assert up.run("apply", "-f", manifest).stdout == "shop unchanged\n"
    (root / "shop.yaml").write_text(MANIFEST.replace("s3 cret/", "another"))
    assert up.run("apply", "-f", manifest).stdout == "shop changed\n"
    volume = up.state / "databases" / "shop"
    deleted = up.run("delete", "shop")
    assert deleted.stdout.splitlines() == [
        f"shop is deleted; its data is kept in {volume}",
        f"apply it again to bring it back, or remove the data too: torpor delete shop --data "
        f"--state {up.state}",
    ]
    assert (volume / "data" / "PG_VERSION").exists()
    assert up.run("apply", "-f", manifest).stdout == "shop created\n"
    assert up.run("delete", "shop", "--data").stdout == "shop is deleted, and all its data\n"
    assert not volume.exists()
    missing = up.run("delete", "shop")
    assert missing.returncode == 1 and "no database 'shop'" in missing.stderr


@pytest.mark.parametrize(("answer", "is_deleted"), [(b"n\n", False), (b"y\n", True)])
def test_delete_asks_a_person(up: Up, root: Path, answer: bytes, is_deleted: bool) -> None:
    up.start("-f", str(root / "shop.yaml"))
    up.ready()
    person, terminal = os.openpty()
    try:
        os.write(person, answer)
        asked = up.run("delete", "shop", stdin=terminal)
    finally:
        os.close(person)
        os.close(terminal)
    assert "Delete shop and keep its data? [y/N]" in asked.stdout
    assert asked.returncode == (0 if is_deleted else 1)
    assert ("shop" in up.run("list").stdout) is not is_deleted


def test_secrets_are_the_owners_only(up: Up, root: Path) -> None:
    up.start("-f", str(root / "shop.yaml"))
    up.ready()
    private = ["catalog.sqlite", "secrets/shop.json", "tls/server.key", "tls/ca.key"]
    for path in (up.state / part for part in private):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert b"s3 cret" not in (up.state / "catalog.sqlite").read_bytes()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_on_a_full_disk_an_apply_fails_clearly_and_leaves_nothing(up: Up, root: Path) -> None:
    up.start()
    up.ready()
    databases = up.state / "databases"
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", databases], check=True)
    try:
        failed = up.run("apply", "-f", str(root / "shop.yaml"))
        assert failed.returncode == 1
        assert "no room for" in failed.stderr and "free some space" in failed.stderr
        assert list(databases.iterdir()) == []
    finally:
        subprocess.run(["umount", databases], check=True)
    assert up.run("apply", "-f", str(root / "shop.yaml")).stdout == "shop created\n"
