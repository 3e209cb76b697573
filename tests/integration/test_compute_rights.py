"""How Postgres runs under an agent, and who may log in to it as whom."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import psycopg
import pytest

from support.agent import VERIFIER, AgentProcess, Agents, agents_in_a_folder
from support.postgres import IS_ROOT, NOBODY, USER_ID, binaries, postmaster_of, processes_on
from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.resource import DatabaseSpec

needs_root = pytest.mark.skipif(not IS_ROOT, reason="only root gives each database a user id")

REFUSED = asyncpg.InvalidAuthorizationSpecificationError


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


@pytest.fixture
async def agent(agents: Agents) -> AgentProcess:
    """Running, with an ordinary role and a declared superuser."""
    running = await agents.agent()
    roles = [{"name": "app", "createrole": True}, {"name": "boss", "superuser": True}]
    await running.start(agents.volume(), roles=roles)
    return running


async def sql(agent: AgentProcess, statement: str, user: str = "app") -> Any:
    connection = await agent.connect(user)
    try:
        return await connection.fetchval(statement)
    finally:
        await connection.close()


async def facts_of(agent: AgentProcess, role: str) -> RoleFacts | None:
    answer: m.RoleFactsReply = await agent.ask(m.AskRoleFacts(role=role))
    return answer.role


async def apply(agent: AgentProcess, generation: int, *roles: dict[str, Any]) -> LoginFacts:
    spec = DatabaseSpec.model_validate({"roles": roles})
    request = m.ApplySpec(epoch=1, spec=spec, generation=generation, verifiers={})
    answer: m.LoginFactsReply = await agent.ask(request)
    return answer.facts


def run_as(user_id: int, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        argv, user=user_id, group=user_id, extra_groups=[], capture_output=True, text=True, cwd="/"
    )


@needs_root
async def test_it_runs_as_the_tenant_and_may_do_nothing_else(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    directory = Path(storage.directory)
    processes = processes_on(directory)
    assert len(processes) > 4
    for pid in processes:
        status = Path(f"/proc/{pid}/status").read_text()
        fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        assert fields["Uid"].split() == fields["Gid"].split() == [str(USER_ID)] * 4
        assert fields["Groups"].split() == []
        assert {int(fields[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
        assert fields["NoNewPrivs"] == "1"
    environment = Path(f"/proc/{postmaster_of(directory)}/environ").read_bytes()
    assert b"TORPOR" not in environment and b"PG" not in environment


async def test_the_port_is_a_part_of_the_socket_s_name_only(agent: AgentProcess) -> None:
    assert await sql(agent, "SHOW listen_addresses") == ""
    assert await sql(agent, "SHOW data_directory_mode") == "0700"


async def test_a_member_comes_in_over_the_socket(agent: AgentProcess) -> None:
    assert await sql(agent, "SELECT current_user::text") == "app"
    assert await sql(agent, "SHOW is_superuser") == "off"


async def test_the_promised_number_of_connections(agent: AgentProcess) -> None:
    connections = [await agent.connect() for _ in range(100)]
    assert (await facts_of(agent, "app")) is not None
    await agent.ask(m.Checkpoint(epoch=1))
    sample: m.ActivityReply = await agent.ask(m.AskActivity())
    assert sample.activity.backends == 100
    for connection in connections:
        await connection.close()


async def test_a_stranger_is_refused_until_it_is_asked_for(agent: AgentProcess) -> None:
    await sql(agent, f"CREATE ROLE fresh LOGIN PASSWORD '{VERIFIER}'")
    with pytest.raises(REFUSED):
        await agent.connect("fresh")
    facts = await facts_of(agent, "fresh")
    assert facts == RoleFacts(name="fresh", verifier=VERIFIER)
    assert await sql(agent, "SELECT current_user::text", "fresh") == "fresh"


async def test_a_role_that_may_not_log_in_is_not_admitted(agent: AgentProcess) -> None:
    await sql(agent, "CREATE ROLE crowd")
    facts = await facts_of(agent, "crowd")
    assert facts is not None and not facts.can_login and not facts.is_admitted


@pytest.mark.parametrize("name", ["nobody-here", "", "x" * 64, "app\n", 'a"b', "APP", "'; --"])
async def test_a_role_that_does_not_exist(agent: AgentProcess, name: str) -> None:
    assert await facts_of(agent, name) is None


async def test_names_that_need_quotes_are_admitted(agent: AgentProcess) -> None:
    name = 'o"; DROP ROLE boss; --'
    quoted = '"' + name.replace('"', '""') + '"'
    await sql(agent, f"CREATE ROLE {quoted} LOGIN")
    facts = await facts_of(agent, name)
    assert facts is not None and facts.name == name and facts.is_admitted
    assert await facts_of(agent, "boss") is not None


async def test_a_superuser_comes_in_only_where_the_spec_says_so(agent: AgentProcess) -> None:
    assert await sql(agent, "SHOW is_superuser", "boss") == "on"
    await sql(agent, "CREATE ROLE sneak LOGIN SUPERUSER", "boss")
    facts = await facts_of(agent, "sneak")
    assert facts is not None and not facts.is_admitted
    with pytest.raises(REFUSED):
        await agent.connect("sneak")


async def test_a_superuser_that_is_one_no_more(agent: AgentProcess) -> None:
    await apply(agent, 2, {"name": "app"}, {"name": "boss"})
    assert await sql(agent, "SHOW is_superuser", "boss") == "off"


async def test_a_superuser_that_left_the_spec_stays_and_may_not_come_in(
    agent: AgentProcess,
) -> None:
    facts = await apply(agent, 2, {"name": "app"})
    assert {role.name: role.is_admitted for role in facts.roles} == {"app": True, "boss": False}
    with pytest.raises(REFUSED):
        await agent.connect("boss")


async def test_the_bootstrap_superuser_is_nobody_to_the_proxy(agent: AgentProcess) -> None:
    facts = await facts_of(agent, "torpor_admin")
    assert facts is not None and not facts.is_admitted


async def test_physical_replication_is_refused(agent: AgentProcess) -> None:
    where = f"host={agent.run_directory} user=boss replication=true"
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba\.conf entry for replication"):
        psycopg.connect(where)


@needs_root
@pytest.mark.parametrize("role", ["app", "torpor_admin", "boss"])
async def test_another_operating_system_user_is_refused(agent: AgentProcess, role: str) -> None:
    psql = binaries().program("psql")
    argv = [psql, "-h", str(agent.run_directory), "-U", role, "-d", "app", "-c", "SELECT 1"]
    told = {NOBODY.pw_uid: "Permission denied", USER_ID: "Peer authentication failed"}
    for user_id, reason in told.items():
        assert user_id is not None
        refused = run_as(user_id, *argv)
        assert refused.returncode == 2 and reason in refused.stderr


async def test_nobody_else_can_take_up_connections(agent: AgentProcess) -> None:
    """Who can connect at all counts as a client until it is refused, and a stop waits for it."""
    socket = (agent.run_directory / ".s.PGSQL.5432").stat()
    assert stat.S_ISSOCK(socket.st_mode) and socket.st_mode & 0o777 == 0o700
    assert socket.st_uid == (USER_ID if IS_ROOT else os.geteuid())


@needs_root
async def test_an_ordinary_user_s_proxy_comes_in() -> None:
    """It runs as the same user as the agent and its Postgres: the socket is its own."""
    async with agents_in_a_folder(NOBODY) as agents:
        agent = await agents.agent()
        await agent.start(agents.volume())
        psql = binaries().program("psql")
        where = ("-h", str(agent.run_directory), "-U", "app", "-d", "app")
        asked = run_as(NOBODY.pw_uid, psql, *where, "-Atc", "SELECT current_user")
        assert (asked.returncode, asked.stdout) == (0, "app\n")


@needs_root
async def test_the_tenant_can_not_change_who_may_come_in(agent: AgentProcess) -> None:
    assert USER_ID is not None
    before = (agent.run_directory / "pg_hba.conf").read_text()
    for name in ("pg_hba.conf", "pg_ident.conf"):
        file = str(agent.run_directory / name)
        assert run_as(USER_ID, "cat", file).returncode == 0
        for attempt in (["rm", "-f", file], ["mv", file, file + ".x"], ["cp", "/dev/null", file]):
            assert run_as(USER_ID, *attempt).returncode != 0
    assert (agent.run_directory / "pg_hba.conf").read_text() == before


@needs_root
async def test_records_and_log_are_out_of_the_tenant_s_reach(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    await agent.start(storage)
    assert USER_ID is not None
    for name in ("ownership", "log"):
        assert run_as(USER_ID, "ls", os.path.join(storage.directory, name)).returncode != 0


async def test_verifiers_are_stored_as_they_are_and_never_logged(agents: Agents) -> None:
    agent, storage = await agents.agent(), agents.volume()
    conf = Path(storage.directory) / "data" / "postgresql.conf"
    conf.write_text(conf.read_text() + "\nlog_statement = 'all'\nlog_min_duration_statement = 0\n")
    await agent.start(storage)
    await apply(agent, 2, {"name": "app"}, {"name": "late"})
    facts = await facts_of(agent, "app")
    assert facts is not None and facts.verifier == VERIFIER
    log = (Path(storage.directory) / "log" / "postgres.log").read_text()
    assert "ready to accept connections" in log and "SCRAM" not in log


async def test_databases_get_their_owners(agent: AgentProcess) -> None:
    assert await sql(agent, "SELECT current_database()::text") == "app"
    spec = DatabaseSpec.model_validate(
        {"roles": [{"name": "app"}, {"name": "b"}], "databases": [{"name": "app", "owner": "b"}]}
    )
    for generation in (2, 3):
        await agent.ask(m.ApplySpec(epoch=1, spec=spec, generation=generation))
    owner = "SELECT datdba::regrole::text FROM pg_database WHERE datname = 'app'"
    assert await sql(agent, owner) == "b"


async def test_what_runs_inside_is_named(agent: AgentProcess) -> None:
    connection = await agent.connect()
    await connection.execute("SET application_name = 'worker'; BEGIN")
    sample: m.ActivityReply = await agent.ask(m.AskActivity())
    activity = sample.activity
    assert activity.busy[0].startswith("a transaction is open: app (worker) in app, process ")
    assert activity.backends == 1 and activity.active_queries == 0
    assert 5 << 20 < activity.memory_bytes < 1 << 30
    await connection.execute("ROLLBACK")
    idle: m.ActivityReply = await agent.ask(m.AskActivity())
    assert idle.activity.busy == () and idle.activity.backends == 1
    await connection.close()


async def test_a_tenant_s_settings_and_triggers_do_not_reach_the_agent(
    agent: AgentProcess,
) -> None:
    """A superuser of the tenant can spoil its own sessions, and not the agent's questions."""
    connection = await agent.connect("boss", "postgres")
    await connection.execute(
        """
        ALTER ROLE torpor_admin SET default_transaction_read_only = on;
        ALTER ROLE torpor_admin SET search_path = evil;
        ALTER DATABASE postgres SET statement_timeout = 1;
        CREATE SCHEMA evil;
        CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql
          AS $$ BEGIN IF session_user = 'torpor_admin' THEN RAISE 'no'; END IF; END $$;
        CREATE EVENT TRIGGER t ON login EXECUTE FUNCTION refuse();
        SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'torpor_admin';
        """
    )
    await connection.close()
    await sql(agent, "CREATE ROLE fresh LOGIN")
    facts = await facts_of(agent, "fresh")
    assert facts is not None and facts.is_admitted
    assert len((await apply(agent, 2, {"name": "app"}, {"name": "late"})).roles) == 4
