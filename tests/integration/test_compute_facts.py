"""Login facts of an awake database: every change is told with the next answer, none is lost."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.agent import VERIFIER, AgentProcess, Agents, agents_in_a_folder, until
from support.postgres import postmaster_of, processes_on
from torpor_api import messages as m
from torpor_api.facts import LoginFacts, RoleFacts
from torpor_api.scram import verifier_of

ROLES = [{"name": "app", "createrole": True}, {"name": "boss", "superuser": True}]

NEW_VERIFIER = str(verifier_of("new secret", b"fedcba9876543210", 4096))


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    async with agents_in_a_folder() as made:
        yield made


async def execute(agent: AgentProcess, statement: str) -> None:
    connection = await agent.connect("boss")
    await connection.execute(statement)
    await connection.close()


async def told_after_one_question(agent: AgentProcess) -> LoginFacts | None:
    """What the agent has told by its answer; told on the same connection, so it comes first."""
    await agent.ask(m.AskActivity())
    facts = None
    while not agent.heard.empty():
        event = agent.heard.get_nowait()
        assert isinstance(event, m.LoginFactsChanged)
        facts = event.facts
    return facts


def role_in(facts: LoginFacts | None, name: str) -> RoleFacts | None:
    assert facts is not None, "nothing was told"
    return next((role for role in facts.roles if role.name == name), None)


async def test_each_change_of_a_role_is_told_with_the_next_answer(agents: Agents) -> None:
    agent = await agents.agent()
    await agent.start(agents.volume(), roles=ROLES)
    assert await told_after_one_question(agent) is None
    fresh = RoleFacts(name="fresh", is_admitted=False, needs_admission=True)
    changes: list[tuple[str, dict[str, Any]]] = [
        ("CREATE ROLE fresh LOGIN", {}),
        ("GRANT torpor_login TO fresh", {"is_admitted": True, "needs_admission": False}),
        (f"ALTER ROLE fresh PASSWORD '{VERIFIER}'", {"verifier": VERIFIER}),
        (f"ALTER ROLE fresh PASSWORD '{NEW_VERIFIER}'", {"verifier": NEW_VERIFIER}),
        ("ALTER ROLE fresh VALID UNTIL '2020-01-01 00:00Z'", {"valid_until_s": 1577836800.0}),
        ("ALTER ROLE fresh CONNECTION LIMIT 3", {"connection_limit": 3}),
        ("ALTER ROLE fresh NOLOGIN", {"can_login": False}),
    ]
    for statement, change in changes:
        fresh = fresh.model_copy(update=change)
        await execute(agent, statement)
        assert role_in(await told_after_one_question(agent), "fresh") == fresh
    await execute(agent, "DROP ROLE fresh")
    assert role_in(await told_after_one_question(agent), "fresh") is None
    assert await told_after_one_question(agent) is None


async def test_a_new_database_is_told_with_the_next_answer(agents: Agents) -> None:
    agent = await agents.agent()
    await agent.start(agents.volume(), roles=ROLES)
    await execute(agent, "CREATE DATABASE more")
    facts = await told_after_one_question(agent)
    assert facts is not None and "more" in facts.databases


async def test_what_is_changed_right_after_a_wake_is_told(agents: Agents) -> None:
    """The client that woke the database may have come for just that."""
    storage = agents.volume()
    first = await agents.agent()
    await first.start(storage, roles=ROLES)
    await first.stop()
    agent = await agents.agent()
    assert (await agent.start(storage, 2, roles=ROLES)).facts is None
    await execute(agent, f"ALTER ROLE app PASSWORD '{NEW_VERIFIER}'")
    told = await told_after_one_question(agent)
    assert role_in(told, "app") == RoleFacts(name="app", verifier=NEW_VERIFIER)


async def test_the_facts_after_a_kill_of_everything_are_those_of_the_last_commit(
    agents: Agents,
) -> None:
    storage = agents.volume()
    agent = await agents.agent()
    started = await agent.start(storage, roles=ROLES)
    assert role_in(started.facts, "app") == RoleFacts(name="app", verifier=VERIFIER)
    await execute(agent, "CHECKPOINT")
    await execute(agent, f"ALTER ROLE app PASSWORD '{NEW_VERIFIER}'")
    os.kill(agent.process.pid, signal.SIGSTOP)
    processes = processes_on(Path(storage.directory))
    for pid in processes:
        os.kill(pid, signal.SIGKILL)
    agent.kill()
    await until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), "all gone")
    # The same generation: what the spec said of the role is not said again.
    again = await (await agents.agent()).start(storage, 2, fenced=("c0",), roles=ROLES)
    assert again.was_recovery
    assert role_in(again.facts, "app") == RoleFacts(name="app", verifier=NEW_VERIFIER)


async def test_the_facts_after_a_kill_of_postgres_are_those_of_the_last_commit(
    agents: Agents,
) -> None:
    storage = agents.volume()
    agent = await agents.agent()
    await agent.start(storage, roles=ROLES)
    await execute(agent, f"ALTER ROLE app PASSWORD '{NEW_VERIFIER}'")
    os.kill(postmaster_of(Path(storage.directory)), signal.SIGKILL)
    while not isinstance(back := await agent.hears(), m.PostgresBack):
        pass
    # Clients do not wait for them: what they are to do is judged by asking the agent.
    assert back.started.was_recovery and back.started.facts is None
    told = await agent.hears()
    assert isinstance(told, m.LoginFactsChanged)
    assert role_in(told.facts, "app") == RoleFacts(name="app", verifier=NEW_VERIFIER)
