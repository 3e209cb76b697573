"""Asking an agent how its compute is, again and again, until it answers or is to be given up.

Given up at once is only one that the cluster no longer speaks of, at whose address another one
answers, or whose Postgres a proxy could not reach either. One that was told to end, or has long
been silent, gets a last question, behind one that the cluster has answered: so it is not we who are
cut off. And nobody is given up for his silence while we are deaf.
"""

from __future__ import annotations

from torpor_api.failures import Failure, Unavailable
from torpor_api.messages import AgentInfo, AgentState, AskAgentState
from torpor_autoscaler.lifecycle import outcomes
from torpor_autoscaler.lifecycle.actions import AskAgent, NotAsked, Plan, Replaced, Wait, ask
from torpor_autoscaler.lifecycle.database import Database
from torpor_autoscaler.lifecycle.writing import read


class Unanswered(Unavailable):
    """No reason to have a compute ended that may be sound: it is asked again."""


def ask_state(database: Database, agent: AgentInfo) -> Plan[AgentState]:
    """Raises NotAsked, Unanswered; any other failure is what it is to be given up for."""
    silences, is_last = database.world.silences, _is_long_silent(database, agent)
    if is_last and not _is_pressing(database):
        try:
            yield from read(database)
        except Failure as failure:
            silences.unanswered(database.name, database.world.now)
            raise Unanswered(failure.message) from failure
    try:
        state = yield from ask(AskAgent(agent, AskAgentState()))
    except NotAsked:
        raise
    except Failure as failure:
        if is_last or _speaks_against(database, agent, failure):
            silences.ended(database.name)
            raise
        _note_silence(database, agent, failure)
        raise Unanswered(failure.message) from failure
    silences.ended(database.name)
    return state


def is_asked_later(database: Database) -> bool:
    """It gave no answer just now, and nothing has become known since that speaks against it."""
    silence = database.world.silences.of(database.name)
    is_due = silence is None or database.world.now >= silence.ask_at
    return not is_due and not _is_pressing(database)


def until_asked_again(database: Database) -> Plan[None]:
    """Until then, or until something becomes known."""
    silence = database.world.silences.of(database.name)
    if silence is not None and is_asked_later(database):
        yield from ask(Wait(silence.ask_at))


def _is_long_silent(database: Database, agent: AgentInfo) -> bool:
    world = database.world
    silence = world.silences.of(database.name)
    if silence is None or world.silences.is_deaf:
        return False
    in_use_at = world.proxies.attached_at(database.name, database.status.epoch)
    is_patience_over = world.now >= max(silence.since, in_use_at) + world.limits.silence_s_max
    return is_patience_over or world.pool.leaves_at(agent.compute) is not None


def _speaks_against(database: Database, agent: AgentInfo, failure: Failure) -> bool:
    is_unknown = database.world.pool.find(agent.compute) is None
    return _is_pressing(database) or is_unknown or isinstance(failure, Replaced)


def _is_pressing(database: Database) -> bool:
    """A proxy has not reached its Postgres either: that is said whoever of us is cut off."""
    return database.doubt is not None and database.doubt.is_shared


def _note_silence(database: Database, agent: AgentInfo, failure: Failure) -> None:
    silences = database.world.silences
    is_first, was_deaf = silences.of(database.name) is None, silences.is_deaf
    silences.unanswered(database.name, database.world.now)
    if is_first:
        outcomes.warn(database, "agent_silent", compute=agent.compute, reason=failure.message)
    if silences.is_deaf and not was_deaf:
        outcomes.warn(database, "no_agent_is_heard")
