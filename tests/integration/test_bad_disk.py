"""A full disk under a database: the one that writes is told, nobody else notices."""

from __future__ import annotations

import os
import subprocess

import pytest

from support.scratch import DISK, new_folder
from support.up import Up, a_database
from support.wire_client import Reported, logged_in

ROLES = [{"name": "app"}, {"name": "boss", "password": "boss", "superuser": True}]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount a small file system")
def test_a_full_disk(up: Up) -> None:
    """Of a tablespace: the one that writes is told, the others go on, and so does it."""
    with a_database(up, roles=ROLES) as place:
        small = new_folder(DISK)
        owner = (place.folder / "data").stat().st_uid
        options = f"size=4m,uid={owner},mode=700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", small], check=True)
        small.chmod(0o700)
        try:
            with logged_in(place, user="boss") as boss, logged_in(place) as other:
                other.query("create table done (n int)")
                boss.query(f"create tablespace small location '{small}'")
                boss.query("create table heap (v text) tablespace small")
                with pytest.raises(Reported, match=r"53100.*No space left"):
                    boss.query(
                        "insert into heap select repeat('x', 1000) from generate_series(1, 9999)"
                    )
                assert other.query("insert into done values (1) returning n") == [(b"1",)]
                boss.query("insert into heap values ('there is room for this')")
                boss.query("drop table heap")
                boss.query("drop tablespace small")
        finally:
            subprocess.run(["umount", small], check=True)
            small.rmdir()
