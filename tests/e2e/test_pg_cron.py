"""A database that wakes for nobody but the jobs of pg_cron."""

from __future__ import annotations

import time

from e2e.conftest import MakeDatabase
from e2e.database import QUICK
from e2e.kubectl import until

EACH_MINUTE = "* * * * *"

LOADED = (
    "alter system set shared_preload_libraries = pg_cron",
    "alter system set cron.database_name = app",
)
"""What a database's owner says once; the next start has it."""

LAST_RUN = """
select status, extract(epoch from start_time)::float8, extract(second from start_time)::float8
from cron.job_run_details order by start_time desc limit 1
"""

LATE_SECONDS_MAX = 10.0
"""Of a job, behind its minute."""


def test_a_job_of_pg_cron_wakes_it_runs_and_lets_it_sleep(make_database: MakeDatabase) -> None:
    database = make_database(idleTimeout=QUICK, roles=[{"name": "app", "superuser": True}])
    with database.connect() as client:
        for statement in LOADED:
            client.execute(statement)
        database.falls_asleep()
        client.execute("create extension pg_cron")
        client.execute("create table ran (at timestamptz)")
        client.execute("select cron.schedule(%s, 'insert into ran values (now())')", [EACH_MINUTE])
        database.falls_asleep()
        slept_at, epoch = time.time(), database.epoch
        assert database.status["cronJobs"] == {"timeZone": "GMT", "schedules": [EACH_MINUTE]}
        database.wakes_by_itself()
        until(lambda: f"pg_cron job {EACH_MINUTE} GMT" in database.why_awake, "its job is named")
        database.falls_asleep()
        assert database.epoch > epoch
        found = client.execute(LAST_RUN).fetchone()
        assert found is not None
        (status, began_at, second) = found
        assert status == "succeeded" and began_at > slept_at and second < LATE_SECONDS_MAX
        assert client.execute("select count(*) > 0 from ran").fetchone() == (True,)
