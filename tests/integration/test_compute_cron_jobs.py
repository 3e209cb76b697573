"""What an agent tells of pg_cron's jobs, by a table that is made as that one makes it.

The extension itself is not on every machine that tests run on: another one's name is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from support.agent import AgentProcess, Agents, agents_in_a_folder
from torpor_api import messages as m
from torpor_api.rhythm import CRON_JOBS_MAX, CronJobs

ROLES = [{"name": "app"}, {"name": "boss", "superuser": True}]

JOBS = """
CREATE SCHEMA cron;
CREATE TABLE cron.job (
    jobid bigint PRIMARY KEY, schedule text NOT NULL, command text NOT NULL,
    nodename text NOT NULL DEFAULT 'localhost', nodeport int NOT NULL DEFAULT 5432,
    database text NOT NULL DEFAULT current_database(), username text NOT NULL DEFAULT current_user,
    active boolean NOT NULL DEFAULT true, jobname name);
ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
CREATE POLICY cron_job_policy ON cron.job USING (username = current_user);
"""

IS_PG_CRONS = """
ALTER EXTENSION plpgsql ADD TABLE cron.job;
UPDATE pg_extension SET extname = 'pg_cron' WHERE extname = 'plpgsql';
"""

A_TRAP = """
CREATE SCHEMA cron;
CREATE FUNCTION cron.trap() RETURNS text LANGUAGE sql AS $$ SELECT '* * * * *' $$;
CREATE VIEW cron.job AS SELECT 1::bigint AS jobid, cron.trap() AS schedule, true AS active;
"""


WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"

LOOKS_MAX = 5
"""Each gives up after some seconds, in which a machine with much to do answers nobody else."""


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


async def execute(agent: AgentProcess, statements: str, database: str) -> None:
    connection = await agent.connect("boss", database)
    await connection.execute(statements)
    await connection.close()


async def told(agent: AgentProcess) -> CronJobs | None:
    found: CronJobs | None = (await agent.ask(m.AskActivity())).activity.jobs
    return found


async def with_pg_cron(agents: Agents, database: str) -> AgentProcess:
    """Its setting is one of the server's, as where pg_cron is loaded."""
    agent = await agents.agent()
    await agent.start(agents.volume(), roles=ROLES)
    await execute(agent, f"ALTER SYSTEM SET cron.database_name = '{database}'", "postgres")
    await execute(agent, "ALTER SYSTEM SET cron.timezone = 'Europe/Berlin'", "postgres")
    await execute(agent, "SELECT pg_reload_conf()", "postgres")
    return agent


async def until_told(agent: AgentProcess) -> CronJobs:
    """The settings have to be read first."""
    while not (found := await told(agent)) or not found.schedules:
        pass
    return found


async def test_active_jobs_are_told_once_each_the_oldest_first(agents: Agents) -> None:
    """From the database that the setting names, which is not the agent's own."""
    agent = await with_pg_cron(agents, "app")
    await execute(agent, JOBS + IS_PG_CRONS, "app")
    await execute(
        agent,
        "INSERT INTO cron.job (jobid, schedule, command, username, active) VALUES"
        " (9, '0 0 $ * *', '', 'app', true), (2, '10 seconds', '', 'app', true),"
        " (3, '0 3 * * *', '', 'boss', true), (4, '10 seconds', '', 'boss', true),"
        " (5, '@hourly', '', 'app', false)",
        "app",
    )
    schedules = ("10 seconds", "0 3 * * *", "0 0 $ * *")
    assert await until_told(agent) == CronJobs(time_zone="Europe/Berlin", schedules=schedules)


async def test_what_only_looks_like_pg_cron_is_not_read_and_not_all_of_a_thousand_jobs(
    agents: Agents,
) -> None:
    """A view of a tenant's would run his functions as the agent's superuser."""
    agent = await with_pg_cron(agents, "postgres")
    await execute(agent, A_TRAP, "postgres")
    connection = await agent.connect("boss", "postgres")
    while await connection.fetchval("SELECT current_setting('cron.database_name', true)") is None:
        pass
    found = await told(agent)
    assert found is not None and found.schedules == ()
    await connection.execute("DROP SCHEMA cron CASCADE")
    await connection.execute(JOBS + IS_PG_CRONS)
    jobs = "SELECT n, n || ' ' || repeat('x', 1000), '' FROM generate_series(1, 1000) n"
    await connection.execute(f"INSERT INTO cron.job (jobid, schedule, command) {jobs}")
    found = await until_told(agent)
    assert len(found.schedules) == CRON_JOBS_MAX and len(found.schedules[0]) == 256
    await connection.close()


async def test_a_job_is_told_from_the_moment_at_which_it_is_there(agents: Agents) -> None:
    """A sleep may follow at once, and would never end for a job that nobody knows."""
    agent = await with_pg_cron(agents, "app")
    job = "INSERT INTO cron.job (jobid, schedule, command) VALUES ({}, '{}', '')"
    await execute(agent, JOBS + IS_PG_CRONS + job.format(1, "@hourly"), "app")
    known = await until_told(agent)
    for number in (2, 3):
        await execute(agent, job.format(number, f"{number} 3 * * *"), "app")
        found = await told(agent)
        assert found is not None
        assert found.schedules == (*known.schedules, f"{number} 3 * * *")
        known = found


async def test_nobody_waits_for_a_look_at_jobs_that_somebody_has_locked(agents: Agents) -> None:
    """Nor where they are in the database that the agent is connected to, pg_cron's own default."""
    agent = await with_pg_cron(agents, "postgres")
    job = "INSERT INTO cron.job (jobid, schedule, command) VALUES (1, '@hourly', '')"
    await execute(agent, JOBS + IS_PG_CRONS + job, "postgres")
    holder = await agent.connect("boss", "postgres")
    await holder.execute("BEGIN; LOCK cron.job IN ACCESS EXCLUSIVE MODE")
    for _ in range(LOOKS_MAX):
        looking = await waiting_look(agent, holder)
        assert (await agent.ask(m.AskRoleFacts(role="app"))).role is not None
        if await holder.fetchval(WAITING):
            break
        await looking
    else:
        pytest.fail("it is answered only when the look is over")
    await holder.close()
    await looking
    assert (await until_told(agent)).schedules == ("@hourly",)


async def waiting_look(
    agent: AgentProcess, holder: asyncpg.Connection[Any]
) -> asyncio.Task[CronJobs | None]:
    """One that waits for the lock, unless it has given up meanwhile."""
    looking = asyncio.create_task(told(agent))
    while not await holder.fetchval(WAITING):
        if looking.done():  # The settings have to be read first.
            looking = asyncio.create_task(told(agent))
    return looking
