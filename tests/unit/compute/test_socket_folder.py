"""Whoever is led to a socket finds this database's Postgres behind it, or the start fails."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.postgres import IS_ROOT, NOBODY
from torpor_api.failures import StartFailed
from torpor_compute.adapters import socket_folder

OWN = NOBODY.pw_uid if IS_ROOT else os.geteuid()

NAME = ".s.PGSQL.5432"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Let in, with a socket of the tenant's and one of somebody else's beside the folder."""
    made = tmp_path / "c1"
    made.mkdir()
    socket_folder.let_in(made, OWN if IS_ROOT else os.getegid())
    with socket.socket(socket.AF_UNIX) as own, socket.socket(socket.AF_UNIX) as other:
        own.bind(str(made / NAME))
        os.chown(made / NAME, OWN, -1)
        other.bind(str(tmp_path / NAME))
        yield made


def test_it_is_open_for_the_start_and_shut_afterwards(folder: Path) -> None:
    assert folder.stat().st_mode & 0o7777 == 0o1771
    socket_folder.shut(folder, OWN)
    assert folder.stat().st_mode & 0o7777 == 0o711


def test_a_link_to_another_socket_is_refused(folder: Path) -> None:
    (folder / NAME).unlink()
    (folder / NAME).symlink_to(folder.parent / NAME)
    with pytest.raises(StartFailed, match="is not the socket"):
        socket_folder.shut(folder, os.geteuid())


@pytest.mark.skipif(not IS_ROOT, reason="only root has sockets of several users")
def test_another_user_s_socket_is_refused(folder: Path) -> None:
    (folder / NAME).unlink()
    os.link(folder.parent / NAME, folder / NAME)
    with pytest.raises(StartFailed, match="is not the socket"):
        socket_folder.shut(folder, OWN)


def test_a_socket_that_is_missing_is_named(folder: Path) -> None:
    (folder / NAME).unlink()
    with pytest.raises(StartFailed, match="no socket"):
        socket_folder.shut(folder, OWN)
