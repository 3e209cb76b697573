"""A compute changes its size while its sessions go on: what its cgroup, Postgres and the resource
say of it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeAlias

import psycopg

from e2e import kubectl
from e2e.cluster import NAMESPACE
from e2e.conftest import MakeDatabase
from e2e.database import QUICK, Database
from e2e.kubectl import Json, until
from e2e.test_cli import named, torpor, torpor_json

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

CPU_PERIOD = 100_000
CROWD = 4
"""Clients that would use a processor each."""
GIB = 1 << 30
ROWS = 400_000
"""Four fill a page: 1.5 GiB of table and WAL."""

READ_CGROUP = """cd /sys/fs/cgroup
if [ -e cpu.max ]; then cut -d ' ' -f 1 cpu.max; cat memory.max memory.current
else cat cpu/cpu.cfs_quota_us memory/memory.limit_in_bytes memory/memory.usage_in_bytes; fi"""
"""Of either version."""


def test_a_compute_that_is_claimed_grows_to_its_database_s_size_under_its_session(
    make_database: MakeDatabase,
) -> None:
    database = make_database(minCU=2, maxCU=2)
    with database.connect() as client:
        backend = _process(client)
        until(lambda: database.status.get("currentCU") == 2, "the size is that of the spec")
        assert _limits(database) == (2 * CPU_PERIOD, 8 * GIB)
        assert _process(client) == backend
        assert client.execute("show effective_cache_size").fetchone() == ("6GB",)
    (pod,) = database.pods
    assert pod["status"]["qosClass"] == "Burstable"
    assert [one["restartCount"] for one in pod["status"]["containerStatuses"]] == [0]


def test_a_small_database_starts_at_full_speed_and_is_small_afterwards(
    make_database: MakeDatabase,
) -> None:
    database = make_database(maxCU=0.5)
    with database.connect() as client:
        client.execute("select 1")
        until(lambda: database.status.get("currentCU") == 0.5, "the size is that of the spec")
        assert _limits(database) == (CPU_PERIOD // 2, 2 * GIB)
        assert database.epoch == 1


def test_another_spec_reaches_postgres_by_a_switchover_that_no_session_notices(
    make_database: MakeDatabase,
) -> None:
    database = make_database(maxCU=1)
    with database.connect(application_name="held") as client:
        client.execute("set work_mem = '7MB'")
        client.execute("prepare one as select 1")
        assert client.execute("show shared_buffers").fetchone() == ("128MB",)
        database.apply(maxCU=2)
        until(lambda: database.epoch == 2, "a fresh compute serves it")
        until(_shown(client, "shared_buffers", "256MB"), "it has the buffers of its size")
        assert client.execute("show work_mem").fetchone() == ("7MB",)
        assert client.execute("execute one").fetchone() == (1,)


def test_a_session_that_can_t_be_moved_keeps_its_compute_and_the_resource_says_why(
    make_database: MakeDatabase,
) -> None:
    database = make_database(maxCU=1)
    with database.connect() as client:
        client.execute("create temporary table mine (x int)")
        backend = _process(client)
        database.apply(maxCU=2)
        until(lambda: _sized(database).get("reason") == "NeedsSwitchover", "the reason is said")
        assert "shared_buffers is 128MB, not 256MB" in _sized(database)["message"]
        assert _process(client) == backend and database.epoch == 1


def test_what_the_node_has_no_room_for_is_said_and_the_compute_goes_on(
    make_database: MakeDatabase,
) -> None:
    database = make_database(minCU=64, maxCU=64)
    with database.connect() as client:
        client.execute("select 1")
        until(lambda: bool(_sized(database)), "it is said")
        assert _sized(database)["reason"] == "NoRoom", database.status
        assert "does not get 64 CU" in _sized(database)["message"]
        assert database.status["currentCU"] == 1 and database.epoch == 1
        database.apply(minCU=1, maxCU=1)
        until(lambda: not _sized(database), "it has a size that can be")
        client.execute("select 1")


def test_a_person_s_choice_holds_until_the_next_sleep(make_database: MakeDatabase) -> None:
    database = make_database(maxCU=2)
    with database.connect() as client:
        client.execute("select 1")
        resized = torpor_json("resize", named(database), "2")
        assert resized == {"cu": "2", "pause_ms": None, "needs_restart": []}
        assert _limits(database) == (2 * CPU_PERIOD, 8 * GIB)
        until(_shown(client, "effective_cache_size", "6GB"), "Postgres has read it")
        assert (database.status["currentCU"], database.status["chosenCU"]) == (2, 2)
        torpor("suspend", named(database))
        database.falls_asleep()
        assert "chosenCU" not in database.status


def test_a_crowd_gets_a_larger_compute_in_place_and_nobody_is_interrupted(
    make_database: MakeDatabase,
) -> None:
    database = make_database(maxCU=2)
    with database.connect() as client, ThreadPoolExecutor(CROWD) as pool:
        backend = _process(client)
        until(lambda: database.status.get("currentCU") == 1, "it begins with a unit")
        crowd = [pool.submit(_work, database) for _ in range(CROWD)]
        until(lambda: database.status.get("currentCU") == 2, "it grows")
        assert _limits(database) == (2 * CPU_PERIOD, 8 * GIB)
        until(_shown(client, "effective_cache_size", "6GB"), "Postgres has read it")
        assert _process(client) == backend and database.epoch == 1
        for one in crowd:
            one.result()


def test_what_the_kernel_keeps_of_its_files_is_no_reason_to_stay_large(
    make_database: MakeDatabase,
) -> None:
    """A kubelet takes no memory that is in use, and a database's files fill whatever there is."""
    database = make_database(maxCU=2, roles=[{"name": "app", "superuser": True}])
    with database.connect() as client:
        client.execute(
            f"create table wide as select repeat('x', 1900) from generate_series(1, {ROWS})"
        )
        client.execute("checkpoint")
        backend = _process(client)
        assert _memory_in_use(database) > GIB, "it does not fill what it is to shrink to"
        assert torpor_json("resize", named(database), "0.25")["cu"] == "0.25"
        assert _limits(database) == (CPU_PERIOD // 4, GIB)
        assert client.execute("select count(*) from wide").fetchone() == (ROWS,)
        assert _process(client) == backend and database.epoch == 1


def _work(database: Database) -> None:
    """Of a processor, some ten seconds."""
    with database.connect() as client:
        client.execute("select count(*) from (select generate_series(1, 60000000)) as many")


def test_asleep_it_has_no_size(make_database: MakeDatabase) -> None:
    database = make_database(maxCU=2, idleTimeout=QUICK)
    with database.connect() as client:
        client.execute("select 1")
        database.falls_asleep()
        assert "currentCU" not in database.status


def _process(client: Connection) -> int:
    found = client.execute("select pg_backend_pid()").fetchone()
    assert found is not None
    return int(found[0])


def _shown(client: Connection, setting: str, value: str) -> Callable[[], bool]:
    def shown() -> bool:
        found = client.execute(f"show {setting}").fetchone()
        return bool(found == (value,))

    return shown


def _sized(database: Database) -> Json:
    found = [one for one in database.status.get("conditions", ()) if one["type"] == "Sized"]
    return dict(found[0]) if found else {}


def _limits(database: Database) -> tuple[int, int]:
    """Of the cgroup that its compute is in: microseconds of CPU in a period, bytes of memory."""
    cpu, memory, _ = _cgroup(database)
    return cpu, memory


def _memory_in_use(database: Database) -> int:
    """Bytes; with what the kernel keeps of files."""
    return _cgroup(database)[-1]


def _cgroup(database: Database) -> list[int]:
    (pod,) = database.pods
    where = (pod["metadata"]["name"], "--namespace", NAMESPACE)
    return [int(n) for n in kubectl.kubectl("exec", *where, "--", "sh", "-c", READ_CGROUP).split()]
