"""The fencer of one machine, against a real Postgres that an earlier `torpor up` left behind."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.scratch import DISK, new_folder
from torpor_cli.local import fence, proc
from torpor_cli.local.postgres_binaries import installed

USER_ID = 49_991 if os.geteuid() == 0 else None
"""Of the tenant; as an ordinary user everything runs under one id."""

INITDB_USER = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name

WAIT_SECONDS_MAX = 30.0


@pytest.fixture
def data() -> Iterator[Path]:
    """A real data directory that belongs to the tenant."""
    root = new_folder(DISK)
    data = root / "data"
    data.mkdir(mode=0o700)
    user = pwd.getpwnam(INITDB_USER)
    os.chown(data, user.pw_uid, user.pw_gid)
    run_as(
        user.pw_uid, [installed().program("initdb"), "-D", str(data), "--no-sync", "-A", "trust"]
    )
    if USER_ID is not None:
        subprocess.run(["chown", "-R", f"{USER_ID}:{USER_ID}", str(data)], check=True)
    yield data
    for pid in proc.users_of(data, USER_ID):
        os.kill(pid, 9)
    shutil.rmtree(root)


def run_as(user_id: int | None, argv: list[str]) -> None:
    subprocess.run(argv, check=True, capture_output=True, cwd="/", **as_user(user_id))  # type: ignore[call-overload]


def as_user(user_id: int | None) -> dict[str, object]:
    if user_id is None or os.geteuid() != 0:
        return {}
    return {"user": user_id, "group": user_id, "extra_groups": []}


def start_postgres(data: Path) -> subprocess.Popen[bytes]:
    argv = [installed().program("postgres"), "-D", str(data), "-c", "listen_addresses="]
    argv += ["-c", f"unix_socket_directories={data}"]
    process: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
        argv, cwd="/", stderr=subprocess.DEVNULL, **as_user(USER_ID)
    )
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not (data / ".s.PGSQL.5432").exists() or len(proc.users_of(data, USER_ID)) < 4:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    return process


def test_every_process_of_a_postgres_is_found_and_ended(data: Path) -> None:
    postgres = start_postgres(data)
    # A postmaster that was killed alone leaves backends that go on writing.
    postgres.kill()
    postgres.wait()
    asyncio.run(fence.end_users_of(data, USER_ID, "shop"))
    assert proc.users_of(data, USER_ID) == []


def test_who_only_looks_into_the_folder_is_left_alone(data: Path) -> None:
    onlooker = subprocess.Popen(["sleep", "999"], cwd=data)
    try:
        asyncio.run(fence.end_users_of(data, USER_ID, "shop"))
        assert onlooker.poll() is None
    finally:
        onlooker.kill()
        onlooker.wait()


@pytest.mark.skipif(USER_ID is None, reason="only root gives each database its own user id")
def test_whatever_runs_as_the_tenant_is_ended_wherever_it_works(data: Path) -> None:
    program: subprocess.Popen[bytes] = subprocess.Popen(  # type: ignore[call-overload]
        ["sleep", "999"], cwd="/", **as_user(USER_ID)
    )
    asyncio.run(fence.end_users_of(data, USER_ID, "shop"))
    assert program.wait(WAIT_SECONDS_MAX) == -9


@pytest.mark.skipif(USER_ID is None, reason="only root gives each database its own user id")
def test_another_state_folders_postgres_with_the_same_user_id_is_left_alone(data: Path) -> None:
    postgres = start_postgres(data)
    try:
        asyncio.run(fence.end_users_of(data.with_name("other"), USER_ID, "other"))
        assert postgres.poll() is None
    finally:
        postgres.terminate()
        postgres.wait()
